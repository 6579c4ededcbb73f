"""What makes a flip proven, and what is missing when it is not: pure, from what gateways say of themselves and what probes got."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from registry_client.versions import ModelVersion
from serving.core.audit import AuditEntry
from serving.core.holdbacks import holdback_of
from serving.core.lifecycle import FamilyRecord
from serving.core.refusals import named
from serving.core.traffic import WHOLE
from serving.ports import Departed, GatewayAck

_RARE = 1e-6
"""The chance below which it is no chance that no probe was production's."""


@dataclass(frozen=True, slots=True)
class GatewayProof:
    """How one gateway stands to an epoch of a family."""

    gateway: str
    node: str
    epoch: int
    since: datetime | None
    """When it began to serve that epoch, if it said so."""
    seen_at: datetime
    lapsed: bool
    """Whether it is not heard of any more: it counts no longer, and may still serve what it knew."""
    serves: bool
    """Whether it serves the epoch in question, or a later one."""
    in_flight: int
    """Requests that it still has with versions that have left."""
    strays: int
    """Answers that versions which have left gave after it served without them."""
    last_stray: datetime | None

    @property
    def is_proven(self) -> bool:
        """Whether no answer of a version that has left can come from it any more."""
        return self.serves and not self.in_flight


@dataclass(frozen=True, slots=True)
class Probe:
    """A golden example that was asked of the public listener, and what is wrong with its answer; nothing when `fault` is empty."""

    name: str
    version: str
    epoch: int | None
    seconds: float
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Moments:
    """When a flip was asked for, when every live gateway served it, when the last answer of the old kind was given, when it was proven."""

    asked: datetime
    acked: datetime | None = None
    last_stray: datetime | None = None
    verified: datetime | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether a family is served as an epoch decided it, by every live gateway and seen from outside; `missing` says what is not."""

    family: str
    epoch: int
    action: str
    production: ModelVersion | None
    departed: tuple[ModelVersion, ...]
    """Versions that lost their part in production by this flip or since."""
    gateways: tuple[GatewayProof, ...]
    """The live ones before those that lapsed."""
    probes: tuple[Probe, ...]
    missing: tuple[str, ...]
    moments: Moments
    unread: str = ""
    """Why the golden examples could not be had, if they could not."""

    @property
    def is_given(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing


@dataclass(frozen=True, slots=True)
class Sight:
    """What gateways said of one flip of a family at one moment. `entry` is the flip in the audit trail."""

    family: str
    entry: AuditEntry
    live: Sequence[GatewayAck] = ()
    lapsed: Sequence[GatewayAck] = ()

    @property
    def gateways(self) -> tuple[GatewayProof, ...]:
        """Every gateway, the live ones first."""
        return tuple(self._gateway(ack) for ack in (*self.live, *self.lapsed))

    @property
    def departed(self) -> tuple[ModelVersion, ...]:
        """The versions that some gateway saw leave by this flip or since."""
        return tuple(sorted({one.target.version for ack in self.live for one in self._left(ack)}))

    def missing(self) -> Iterator[str]:
        """What keeps the live gateways from being proof."""
        live = [gateway for gateway in self.gateways if not gateway.lapsed]
        if not live:
            yield "no gateway is live"
        behind = [gateway.gateway for gateway in live if not gateway.serves]
        if behind:
            yield f"epoch {self.entry.epoch} is not served by {', '.join(behind)}"
        for gateway in live:
            if gateway.in_flight:
                yield f"{gateway.gateway} still has {gateway.in_flight} requests with {named(self.departed)}"

    def moments(self, verified: datetime | None) -> Moments:
        """The moments that can be told from here."""
        live = [gateway for gateway in self.gateways if not gateway.lapsed]
        sinces = [gateway.since for gateway in live if gateway.since is not None]
        acked = max(sinces, default=None) if all(gateway.serves for gateway in live) else None
        strays = [gateway.last_stray for gateway in live if gateway.last_stray is not None]
        return Moments(self.entry.at, acked, max(strays, default=None), verified)

    def _gateway(self, ack: GatewayAck) -> GatewayProof:
        departed = tuple(self._left(ack))
        return GatewayProof(
            gateway=ack.gateway,
            node=ack.node,
            epoch=ack.epoch,
            since=ack.since,
            seen_at=ack.seen_at,
            lapsed=ack.lapsed,
            serves=(ack.fence, ack.epoch) >= (self.entry.fence, self.entry.epoch),
            in_flight=sum(one.in_flight for one in departed),
            strays=sum(one.strays for one in departed),
            last_stray=max((one.last_stray for one in departed if one.last_stray is not None), default=None),
        )

    def _left(self, ack: GatewayAck) -> Iterator[Departed]:
        for one in ack.departed:
            if one.target.family == self.family and (one.epoch >= self.entry.epoch or one.in_flight):
                yield one


def answering(record: FamilyRecord) -> Mapping[str, float]:
    """The versions that answer whoever names none, each with its share of the callers."""
    shares = {str(canary.version): canary.slice.weight / WHOLE for canary in record.canaries}
    held = holdback_of(record)
    if held is not None:
        shares[str(held.version)] = held.weight / WHOLE
    return {str(record.production): 1 - sum(shares.values()), **shares}


def faults_of(probes: Sequence[Probe], record: FamilyRecord) -> Iterator[str]:
    """What the probes say against a family being served as its record wants."""
    if record.production is None:
        yield "no version of it is in production"
        return
    faulty = [probe for probe in probes if probe.fault]
    if faulty:
        yield f"{len(faulty)} of {len(probes)} probes went wrong; {faulty[0].name}: {faulty[0].fault}"
    # Whoever has few of the callers, or none, is not to be expected among a few probes.
    by_chance = (1 - answering(record)[str(record.production)]) ** len(probes) if probes else 0.0
    if by_chance < _RARE and not any(probe.version == str(record.production) for probe in probes):
        yield f"no probe was answered by {record.production}"
