"""Who answers a request: the route table, and `decide`, which finds in it one target, its shadows and the reason why.

Pure and total: any table and any facts give a `Decision` or raise a `Refusal`; nothing here does I/O or reads a clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from registry_client.references import AnyVersion, Exact, InRange, Selector, Tag, Tagged
from registry_client.versions import ModelVersion
from serving.core.bucketers import Bucketer, place
from serving.core.deprecation import Deprecation
from serving.core.errors import FamilyNotServed, NothingInProduction, Refusal, SelectorNotServed
from serving.core.injections import Injection
from serving.core.traffic import WHOLE, End, Slice, refuse_weight
from serving.core.watches import Watch


class Reason(StrEnum):
    """Why a target was chosen; the `X-Route-Reason` header."""

    __hash__ = str.__hash__  # Enum's own is Python code, and these are looked up for every request

    PRODUCTION = "production"
    CANARY = "canary"
    HOLDBACK = "holdback"
    PINNED = "pinned"
    RANGE = "range"
    TAG = "tag"
    FALLBACK = "fallback"


class Arm(StrEnum):
    """The part a version played in a request; a metric label."""

    __hash__ = str.__hash__  # as above

    PRODUCTION = "production"
    CANARY = "canary"
    HOLDBACK = "holdback"
    SHADOW = "shadow"
    PINNED = "pinned"


class MissingKey(StrEnum):
    """What a canary split does with a request that carries no routing key."""

    RANDOM = "random"
    PRODUCTION = "production"


@dataclass(frozen=True, slots=True)
class Target:
    """One version by name and by content: a worker answers only for the digest it verified."""

    family: str
    version: ModelVersion
    digest: str


@dataclass(frozen=True, slots=True)
class CanaryRoute:
    """A canary in force: its target and its slice of the traffic."""

    target: Target
    slice: Slice


@dataclass(frozen=True, slots=True)
class HoldbackRoute:
    """The old production that some callers stay with: `weight` basis points of them, those whom the new one would have got last."""

    target: Target
    weight: int

    def __post_init__(self) -> None:
        """Refuse a weight outside 0..WHOLE."""
        refuse_weight("holdback weight", self.weight)

    def covers(self, at: float) -> bool:
        """Whether a point is none of the candidate's, as it was before it was live."""
        return not Slice(End.LOW, WHOLE - self.weight).covers(at)


@dataclass(frozen=True, slots=True)
class ShadowRoute:
    """A shadow in force: its target and how many basis points of the requests are mirrored to it."""

    target: Target
    weight: int

    def __post_init__(self) -> None:
        """Refuse a weight outside 0..WHOLE."""
        refuse_weight("shadow weight", self.weight)


@dataclass(frozen=True, slots=True)
class RehearsalRoute:
    """Where a made-up bad version answers whoever names the key whose SHA-256 this is: nobody else, and never by itself (`rehearsals`)."""

    key: str
    target: Target
    weight: int
    """The bad arm's share of what is asked here, in basis points."""
    injection: Injection
    watch: Watch


@dataclass(frozen=True, slots=True)
class FamilyRoute:
    """How one family's requests are routed. `served` holds every target a version slot may name, newest last."""

    family: str
    production: Target | None = None
    canaries: tuple[CanaryRoute, ...] = ()
    holdback: HoldbackRoute | None = None
    shadows: tuple[ShadowRoute, ...] = ()
    served: Mapping[ModelVersion, Target] = field(default_factory=dict[ModelVersion, Target])
    live: frozenset[ModelVersion] = frozenset()
    """Versions that a range may pick: in production, or superseded and still served; never a candidate."""
    tags: Mapping[Tag, Target] = field(default_factory=dict[Tag, Target])
    key_headers: tuple[str, ...] = ()
    """Lower-case names; the first that a request carries is its routing key."""
    missing_key: MissingKey = MissingKey.RANDOM
    salt: str = ""
    bucketer: Bucketer = Bucketer.NATIVE
    override: str = ""
    """The operation id of the override that this route stands under; empty when the store alone decides."""
    deprecated: Mapping[ModelVersion, Deprecation | None] = field(default_factory=dict[ModelVersion, "Deprecation | None"])
    """Versions whose answers say that they are deprecated, and whose callers are counted; None where it is not known since when."""
    consumers: frozenset[str] = frozenset()
    """The names by which callers may be counted."""
    watch: Watch | None = None
    """What gateways count of the family's rollout; None while none is afoot."""
    rehearsal: RehearsalRoute | None = None
    """A route of its own, which nothing that `decide` gives leads to."""

    def __post_init__(self) -> None:
        """Refuse slices that overlap: together they may not exceed the whole."""
        if sum(canary.slice.weight for canary in self.canaries) > WHOLE:
            msg = f"the canaries of {self.family!r} together weigh more than {WHOLE}"
            raise ValueError(msg)

    @property
    def is_undivided(self) -> bool:
        """Whether every request that names no version gets the same decision: production, and nobody listens in."""
        return self.production is not None and not self.is_split and not self.shadows

    @property
    def is_split(self) -> bool:
        """Whether it depends on the caller who answers."""
        return bool(self.canaries) or self.holdback is not None


@dataclass(frozen=True, slots=True)
class RouteTable:
    """Every family's route at one epoch; gateways swap it whole."""

    epoch: int = 0
    families: Mapping[str, FamilyRoute] = field(default_factory=dict[str, FamilyRoute])


@dataclass(frozen=True, slots=True)
class Facts:
    """What `decide` may know of a request. `dice` and `shadow_dice` are drawn in [0, 1) by the caller."""

    family: str
    selector: Selector
    key: str | None
    dice: float
    shadow_dice: float


@dataclass(frozen=True, slots=True)
class Decision:
    """Who answers, who listens in, whom to ask if a canary fails, and why."""

    target: Target
    arm: Arm
    reason: Reason
    shadows: tuple[Target, ...] = ()
    fallback: Target | None = None


def decide(table: RouteTable, facts: Facts) -> Decision:
    """Find the target of a request. Raises `FamilyNotServed`, `NothingInProduction` or `SelectorNotServed`."""
    route = table.families.get(facts.family)
    if route is None:
        raise FamilyNotServed(facts.family)
    match facts.selector:
        case AnyVersion():
            return _split(route, facts)
        case Exact(version):
            target = route.served.get(version)
            return Decision(_found(route, target, facts.selector, "is not served"), Arm.PINNED, Reason.PINNED)
        case Tagged(tag):
            target = route.production if tag is Tag.PRODUCTION else route.tags.get(tag)
            return Decision(_found(route, target, facts.selector, "is on no version that is served"), Arm.PINNED, Reason.TAG)
        case InRange(wanted):
            highest = wanted.highest(route.live)
            target = None if highest is None else route.served.get(highest)
            return Decision(_found(route, target, facts.selector, "is satisfied by no live version"), Arm.PINNED, Reason.RANGE)


def _found(route: FamilyRoute, target: Target | None, selector: Selector, otherwise: str) -> Target:
    if target is None:
        raise _refused(route, selector, otherwise)
    return target


def _refused(route: FamilyRoute, selector: Selector, otherwise: str) -> Refusal:
    served = ", ".join(str(version) for version in sorted(route.served)) or "none"
    return SelectorNotServed(route.family, str(selector), f"{selector} {otherwise} (served: {served})")


def _split(route: FamilyRoute, facts: Facts) -> Decision:
    production = route.production
    if production is None:
        raise NothingInProduction(route.family)
    shadows = _mirrored(route, facts.shadow_dice) if route.shadows else ()
    if route.is_split:
        at = _place(route, facts)
        for canary in route.canaries:
            if at is not None and canary.slice.covers(at):
                return Decision(canary.target, Arm.CANARY, Reason.CANARY, shadows, fallback=production)
        held = route.holdback
        if at is not None and held is not None and held.covers(at):
            return Decision(held.target, Arm.HOLDBACK, Reason.HOLDBACK, shadows, fallback=production)
    return Decision(production, Arm.PRODUCTION, Reason.PRODUCTION, shadows)


def _place(route: FamilyRoute, facts: Facts) -> float | None:
    if facts.key is not None:
        return place(route.bucketer, route.salt, facts.key)
    return facts.dice if route.missing_key is MissingKey.RANDOM else None


def _mirrored(route: FamilyRoute, dice: float) -> tuple[Target, ...]:
    return tuple(shadow.target for shadow in route.shadows if dice * WHOLE < shadow.weight)
