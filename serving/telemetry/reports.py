"""The gateways' reports on their way to the controller, as datagrams.

Reports are cumulative, so one that is lost is made good by the next.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Annotated, TypeVar

import msgspec

from registry_client.errors import InvalidVersion
from registry_client.versions import ModelVersion
from serving.core.routing import Arm, Target
from serving.core.sketches import Baseline
from serving.core.totals import Report
from serving.ports import ArmCounts, Clock, Failure, GatewayReport
from serving.telemetry.datagrams import Inbox, Outbox

HEAD = 40
"""Bytes of a datagram beside its counts and the gateway's name, and some more."""
SILENCE = 10.0
"""Seconds after which a gateway that says nothing is taken for gone."""
_DRAIN = 64
"""Datagrams read before other work of the event loop has its turn."""

ROLLOUTS_MOST = 64
"""Rollouts that are remembered of a gateway, the latest ones: it does not say when it stops counting for one."""

_Number = Annotated[int, msgspec.Meta(ge=0)]


class _Counts(msgspec.Struct, array_like=True, frozen=True):
    family: str
    version: str
    digest: str
    arm: Arm
    requests: _Number
    failures: dict[Failure, _Number]
    failures_in_a_row: _Number


class _Datagram(msgspec.Struct, array_like=True, frozen=True):
    gateway: str
    started: float
    counts: list[_Counts]
    rollouts: dict[str, msgspec.Raw] = {}
    baselines: dict[str, Baseline] = {}


_WHY_MOST = 160
"""Characters of what is said of a report that cannot be read."""


class _Sent(msgspec.Struct, array_like=True, frozen=True):
    """The same with the counts encoded already, to know their size."""

    gateway: str
    started: float
    counts: list[msgspec.Raw]
    rollouts: dict[str, Report] = {}
    baselines: dict[str, Baseline] = {}


class DatagramReports:
    """The gateway's end: sends and forgets."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._encoder = msgspec.msgpack.Encoder()

    def send(self, report: GatewayReport) -> None:
        """Send a report, in several datagrams if it is long. A receiver that is away or full does not get it."""
        room = self._outbox.largest - HEAD - len(report.gateway)
        for counts in _parcels([self._encode(counts) for counts in report.counts], room):
            self._send(_Sent(report.gateway, report.started, [msgspec.Raw(one) for one in counts]))
        # Each of these in a datagram of its own: they have no parts that could be told apart, and there are few.
        for rollout, counted in report.rollouts.items():
            self._send(_Sent(report.gateway, report.started, [], {rollout: counted}))
        for rollout, baseline in report.baselines.items():
            self._send(_Sent(report.gateway, report.started, [], {}, {rollout: baseline}))

    def _send(self, sent: _Sent) -> None:
        self._outbox.send(self._encoder.encode(sent))

    def close(self) -> None:
        """Let go of what it sends by."""
        self._outbox.close()

    def _encode(self, counts: ArmCounts) -> bytes:
        target = counts.target
        wire = _Counts(
            target.family,
            str(target.version),
            target.digest,
            counts.arm,
            counts.requests,
            dict(counts.failures),
            counts.failures_in_a_row,
        )
        return self._encoder.encode(wire)


def _parcels(encoded: Sequence[bytes], largest: int) -> Iterator[list[bytes]]:
    """Split into lists that fit a datagram; nothing to say is one empty list, since it says that the gateway lives."""
    parcel: list[bytes] = []
    room = largest
    for one in encoded:
        if parcel and len(one) > room:
            yield parcel
            parcel, room = [], largest
        parcel.append(one)
        room -= len(one)
    yield parcel


@lru_cache(maxsize=4096)
def _target(family: str, version: str, digest: str) -> Target:
    return Target(family, ModelVersion.parse(version), digest)


def _arm_counts(wire: _Counts) -> ArmCounts:
    target = _target(wire.family, wire.version, wire.digest)
    return ArmCounts(target, wire.arm, wire.requests, wire.failures, wire.failures_in_a_row)


Said = TypeVar("Said", Report, Baseline, str)


@dataclass(frozen=True, slots=True)
class _Heard:
    report: GatewayReport
    at: float


class DatagramObservations:
    """The controller's end: the newest counters of every gateway that was heard of lately. Use it inside an event loop."""

    def __init__(self, inbox: Inbox, clock: Clock) -> None:
        self._inbox = inbox
        self._clock = clock
        self._decoder = msgspec.msgpack.Decoder(_Datagram)
        self._reads = msgspec.msgpack.Decoder(Report)
        self._heard: dict[str, _Heard] = {}
        self._wakes: list[Callable[[], None]] = []
        self._is_listening = False
        self.malformed = 0
        """Datagrams that were no report, since the start."""

    async def start(self) -> None:
        """Listen."""
        self._inbox.open()
        asyncio.get_running_loop().add_reader(self._inbox, self._drain)
        self._is_listening = True

    async def stop(self) -> None:
        """Stop listening."""
        if self._is_listening:
            asyncio.get_running_loop().remove_reader(self._inbox)
            self._inbox.close()
            self._is_listening = False

    def latest(self) -> Mapping[str, GatewayReport]:
        """The newest report of every gateway that is not silent."""
        oldest = self._clock.monotonic() - SILENCE
        self._heard = {gateway: heard for gateway, heard in self._heard.items() if heard.at >= oldest}
        return {gateway: heard.report for gateway, heard in self._heard.items()}

    def subscribe(self, wake: Callable[[], None]) -> None:
        """Have `wake` called after every arrival; reports that arrive together wake once."""
        self._wakes.append(wake)

    def _drain(self) -> None:
        before = self.malformed
        arrived = tuple(islice(self._inbox.datagrams(), _DRAIN))
        for datagram in arrived:
            self._take(datagram)
        if len(arrived) > self.malformed - before:
            for wake in self._wakes:
                wake()

    def _take(self, datagram: bytes) -> None:
        try:
            said = self._decoder.decode(datagram)
            counts = {(wire.digest, wire.arm): _arm_counts(wire) for wire in said.counts}
        except (msgspec.DecodeError, UnicodeDecodeError, InvalidVersion):
            self.malformed += 1
            return
        known = self._heard.get(said.gateway)
        rollouts, unreadable = self._read(said.rollouts)
        report = GatewayReport(said.gateway, said.started, tuple(counts.values()), rollouts, said.baselines, unreadable)
        if known is not None and known.report.started == said.started:
            report = _merged(known.report, report)
        self._heard[said.gateway] = _Heard(report, self._clock.monotonic())

    def _read(self, said: Mapping[str, msgspec.Raw]) -> tuple[Mapping[str, Report], Mapping[str, str]]:
        """The reports of rollouts, and why some are none. Who sent those is known, so that somebody can be told."""
        read, unreadable = dict[str, Report](), dict[str, str]()
        for rollout, raw in said.items():
            try:
                read[rollout] = self._reads.decode(raw)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                unreadable[rollout] = str(error)[:_WHY_MOST]
        return read, unreadable


def _merged(known: GatewayReport, new: GatewayReport) -> GatewayReport:
    """With the other parts of a long report, or of the one before: counters only grow, so the newest of each stands."""
    counts = {(one.target.digest, one.arm): one for one in (*known.counts, *new.counts)}
    rollouts, baselines = _latest(known.rollouts, new.rollouts), _latest(known.baselines, new.baselines)
    unread = {rollout: why for rollout, why in known.unreadable.items() if rollout not in new.rollouts}
    return GatewayReport(new.gateway, new.started, tuple(counts.values()), rollouts, baselines, _latest(unread, new.unreadable))


def _latest(known: Mapping[str, Said], new: Mapping[str, Said]) -> Mapping[str, Said]:
    # What is new goes to the end, so that what is no longer said of falls out at the front.
    merged = {**{rollout: said for rollout, said in known.items() if rollout not in new}, **new}
    return dict(islice(merged.items(), max(len(merged) - ROLLOUTS_MOST, 0), None))
