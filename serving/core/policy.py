"""What a rollout may do: stages, guards, risks, and what follows from a verdict. Frozen values; a policy is never changed, only replaced.

`GuardPolicy` is what the guards of a plain canary go by; `Policy` is a whole rollout's.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from itertools import pairwise

from registry_client.versions import Bump
from serving.core.bucketers import Bucketer
from serving.core.injections import Injection
from serving.core.rules import JUDGED_ALONE, SEEN_IN_SHADOW_ONLY, UNSEEN_IN_SHADOW, Rule
from serving.core.traffic import WHOLE, refuse_weight

DEFAULT_LEASE = timedelta(seconds=15)
SHORTEST_LEASE = timedelta(seconds=5)
"""A renewal at each third of it, a look of the controller and one of a gateway (a second each) must fit in, with room to spare."""

LONGEST_LEASE = timedelta(minutes=10)
"""Whoever is not looked at for longer shall not have callers."""


@dataclass(frozen=True, slots=True)
class GuardPolicy:
    """Limits of a canary. Rates and risks are fractions of one, times are seconds."""

    errors_in_a_row: int = 8
    """The tripwire: so many failures of its own in a row on one gateway, and no statistics are asked."""
    risk_false_rollback: float = 0.01
    """The chance that a canary no worse than allowed is ever rolled back by the error-rate guard."""
    risk_false_safe: float = 0.05
    """The chance that a canary which fails more often than `ok_below` is ever called safe."""
    worse_ratio: float = 1.5
    """A canary may fail this many times as often as production."""
    worse_floor: float = 0.002
    """Below this error rate a canary is never harmful, whatever production does."""
    ok_below: float = 0.01
    """A canary is safe when its error rate is shown to be below this."""
    lease_seconds: float = 15.0
    """How long a canary keeps its traffic without the controller's word."""

    def __post_init__(self) -> None:
        """Refuse limits that could never, or would always, trip."""
        for name in ("risk_false_rollback", "risk_false_safe", "worse_floor", "ok_below"):
            value: float = getattr(self, name)
            if not 0 < value < 1:
                msg = f"{name} must lie between 0 and 1, not {value}"
                raise ValueError(msg)
        if self.errors_in_a_row < 1 or self.worse_ratio < 1 or self.lease_seconds <= 0:
            msg = "errors_in_a_row and worse_ratio must be at least 1 and lease_seconds positive"
            raise ValueError(msg)


class Action(StrEnum):
    """What may follow from a guard or a deadline. There is no `promote`: silence never moves a rollout on."""

    HOLD = "hold"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class Reaction:
    """What follows when a guard finds harm, is still undecided at the stage's deadline, or has heard nothing for too long."""

    harm: Action = Action.HOLD
    undecided: Action = Action.HOLD
    no_data: Action = Action.HOLD


@dataclass(frozen=True, slots=True)
class Guard:
    """One rule with its part of the risk and what follows from its verdicts.

    `stages`: where it watches; none named are all in which its metric can be seen.
    """

    id: str
    rule: Rule
    share: int = 1
    on: Reaction = Reaction()
    stages: tuple[str, ...] = ()

    def watches(self, stage: "Stage") -> bool:
        """Whether it is asked in a stage."""
        return self.can_see(stage) and (not self.stages or stage.name in self.stages)

    def can_see(self, stage: "Stage") -> bool:
        """Whether its metric is there at all in a stage."""
        return self.rule.metric not in (UNSEEN_IN_SHADOW if stage.is_shadow else SEEN_IN_SHADOW_ONLY)


class Counting(StrEnum):
    """What one trial is."""

    REQUEST = "request"
    UNIT_WINDOW = "unit_window"


class Missing(StrEnum):
    """Where a request without a key goes."""

    PRODUCTION = "production"
    RANDOM = "random"


@dataclass(frozen=True, slots=True)
class Unit:
    """Who is sticky to an arm, and what counts as one outcome."""

    key: tuple[str, ...] = ()
    missing: Missing = Missing.PRODUCTION
    salt: str = "rollout"
    count: Counting = Counting.UNIT_WINDOW
    window: timedelta = timedelta(hours=24)
    bucketer: Bucketer = Bucketer.NATIVE


@dataclass(frozen=True, slots=True)
class Risk:
    """Chances for the whole rollout, split over the guards by their shares."""

    false_rollback: float = 0.01
    false_safe: float = 0.05


@dataclass(frozen=True, slots=True)
class MirrorLimits:
    """What a shadow may cost a gateway; bodies are bytes."""

    inflight: int = 64
    timeout: timedelta = timedelta(seconds=2)
    max_body: int = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Need:
    """What a stage needs before the next one. `safe`: the guards that must have said SAFE."""

    time: timedelta = timedelta()
    units: int = 0
    pairs: int = 0
    safe: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Approval:
    """Whose word a stage needs before the next one."""

    role: str
    is_author_barred: bool = True


@dataclass(frozen=True, slots=True)
class Stage:
    """One step: a share of the traffic (basis points) or of mirrored copies, and what must be shown in it."""

    name: str
    weight: int = 0
    mirror: int = 0
    need: Need = Need()
    limits: MirrorLimits = MirrorLimits()
    approve: Approval | None = None
    soak: timedelta = timedelta()

    def __post_init__(self) -> None:
        """Refuse shares outside of the whole."""
        refuse_weight("weight", self.weight)
        refuse_weight("mirror", self.mirror)

    @property
    def is_shadow(self) -> bool:
        """Whether no caller is answered by the candidate."""
        return self.weight == 0


@dataclass(frozen=True, slots=True)
class Tripwire:
    """No statistics, no alpha: so many failures of its own in a row on one gateway, and the candidate goes."""

    errors_in_a_row: int = 8


@dataclass(frozen=True, slots=True)
class Deadline:
    """How long a stage may take, what follows then, and after how long a silence a guard counts as without data."""

    per_stage: timedelta = timedelta(hours=24)
    then: Action = Action.HOLD
    silence: timedelta = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Verification:
    """When a rollback is over: all acks, no stray answer for `quiet`, golden probes, and a guard's errors recovered."""

    stray: int = 0
    quiet: timedelta = timedelta(seconds=10)
    probes: int = 20
    recovered: str = ""
    recovery: timedelta = timedelta(minutes=5)

    @property
    def deadline(self) -> timedelta:
        """After this it is escalated."""
        return self.quiet + self.recovery


@dataclass(frozen=True, slots=True)
class WayBackPolicy:
    """How a rollback is verified, and how long the old production stays at hand."""

    verify: Verification = Verification()
    cooldown: timedelta = timedelta(minutes=30)
    keep_warm: timedelta = timedelta(hours=72)
    holdback: int = 0
    """Basis points of the callers who stay with the old production meanwhile, and from 100 % on."""


@dataclass(frozen=True, slots=True)
class Authority:
    """Which roles may do what. `auto` is the rollout itself."""

    rollback: tuple[str, ...] = ("oncall", "owner", "auto")
    advance: tuple[str, ...] = ("owner", "release")
    override: tuple[str, ...] = ("release",)
    start: tuple[str, ...] = ("owner", "release")


@dataclass(frozen=True, slots=True)
class Tell:
    """Whom to tell of what."""

    webhooks: tuple[str, ...] = ()
    on: tuple[str, ...] = ()


class StaleDrill(StrEnum):
    """What a drill too long ago does."""

    BLOCK_START = "block_start"
    WARN = "warn"


@dataclass(frozen=True, slots=True)
class Drill:
    """When rollback is practised. `window`: minutes from Monday 00:00 UTC, from and to; none: the quietest found."""

    after: Bump = Bump.MAJOR
    within: timedelta = timedelta(days=7)
    every: timedelta = timedelta(days=30)
    window: tuple[int, int] | None = None
    max_age: timedelta = timedelta(days=45)
    stale: StaleDrill = StaleDrill.BLOCK_START
    inject: tuple[Injection, ...] = ()
    """Made-up bad versions that the guards have to catch as often as a drill is held."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything that a rollout goes by. `tracks` sends a bump to another policy, by name; what it does not name is this one's own."""

    stages: tuple[Stage, ...]
    guards: tuple[Guard, ...]
    unit: Unit = Unit()
    risk: Risk = Risk()
    tripwire: Tripwire = Tripwire()
    deadline: Deadline = Deadline()
    lease: timedelta = DEFAULT_LEASE
    warm_up: int = 0
    """Answers of a candidate on each gateway that no statistic counts."""
    rollback: WayBackPolicy = WayBackPolicy()
    authority: Authority = Authority()
    tell: Tell = Tell()
    drill: Drill | None = None
    keep_pairs: int = 0
    """Disagreeing pairs that each gateway keeps for operators."""
    redact: tuple[str, ...] = ()
    """JSON pointers to what is not kept of them."""
    tracks: tuple[tuple[Bump, str], ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no rollout could go by: the state machine relies on it."""
        faults = [*contradictions(self)]
        if faults:
            raise ValueError("; ".join(faults))

    def guard(self, guard_id: str) -> Guard:
        """The guard of that name. Raises `KeyError`."""
        return {guard.id: guard for guard in self.guards}[guard_id]

    def weight(self, stage: Stage) -> int:
        """The candidate's share of the callers in a stage, in basis points: all of them are all but the holdback."""
        return min(stage.weight, WHOLE - self.rollback.holdback)

    def watching(self, stage: Stage) -> tuple[Guard, ...]:
        """The guards that are asked in a stage."""
        return tuple(guard for guard in self.guards if guard.watches(stage))

    def needed(self, stage: Stage) -> tuple[str, ...]:
        """The guards that must say SAFE before the stage may end: those it names; where the last one names none, all that any did before.

        So nothing becomes production that was safe once and no longer is. Where none of them watches it, those that can judge it alone.
        """
        if stage.need.safe or stage.weight != WHOLE:
            return stage.need.safe
        named = dict.fromkeys(name for earlier in self.stages for name in earlier.need.safe)
        watching = self.watching(stage)
        known = tuple(name for name in named if self.guard(name) in watching)
        return known or tuple(guard.id for guard in watching if guard.rule.metric in JUDGED_ALONE)

    def alpha(self, guard: Guard) -> float:
        """The guard's part of the risk of a false rollback. The parts add up to the whole: at most so many false alarms by any of them."""
        return self.risk.false_rollback * guard.share / sum(other.share for other in self.guards)

    def beta(self, guard: Guard) -> float:
        """The guard's part of the risk of a false SAFE."""
        return self.risk.false_safe * guard.share / sum(other.share for other in self.guards)


@dataclass(frozen=True, slots=True)
class Pinned:
    """A policy with the digest of its canonical document: what a rollout is started with and held to."""

    policy: Policy
    digest: str
    document: bytes = field(repr=False, default=b"")


def contradictions(policy: Policy) -> Iterator[str]:
    """Everything that makes a policy one that no rollout could go by, each as a sentence that starts with the field."""
    yield from _stage_faults(policy)
    yield from _holdback_faults(policy)
    yield from _need_faults(policy)
    yield from _guard_faults(policy)
    if not SHORTEST_LEASE <= policy.lease <= LONGEST_LEASE:
        yield f"lease: {policy.lease.total_seconds():g}s is not from {SHORTEST_LEASE.seconds}s to {LONGEST_LEASE.seconds}s"


def _stage_faults(policy: Policy) -> Iterator[str]:
    names = [stage.name for stage in policy.stages]
    yield from (f"stages: the name {name!r} is used twice" for name in sorted({one for one in names if names.count(one) > 1}))
    live = [stage for stage in policy.stages if not stage.is_shadow]
    if not live or policy.stages[-1].weight != WHOLE:
        yield "stages: the last one must have weight 1.0, or the candidate never gets all of the traffic"
    for index, stage in enumerate(policy.stages):
        if stage.is_shadow and index:
            yield f"stages[{index}]: {stage.name!r} has no weight; only the first stage may be a shadow, weight only rises"
        if stage.is_shadow and not stage.mirror:
            yield f"stages[{index}]: {stage.name!r} has neither weight nor mirror, so nothing would ever be seen in it"
        if stage.soak and stage.weight != WHOLE:
            yield f"stages[{index}].soak: only the stage with weight 1.0 soaks; use need.time instead"
    for before, after in pairwise(live):
        if after.weight <= before.weight:
            yield f"stages: {after.name!r} must have more weight than {before.name!r} before it"


def _holdback_faults(policy: Policy) -> Iterator[str]:
    left = WHOLE - policy.rollback.holdback
    for stage in policy.stages[:-1]:
        if policy.rollback.holdback and stage.weight >= left:
            yield f"rollback.holdback: {stage.name!r} has as many callers as the last stage would have; weight only rises"


def _need_faults(policy: Policy) -> Iterator[str]:
    known = {guard.id: guard for guard in policy.guards}
    for index, stage in enumerate(policy.stages):
        for name in stage.need.safe:
            if name in known and not known[name].watches(stage):
                yield f"stages[{index}].need.safe: guard {name!r} does not watch stage {stage.name!r}, so it could never be safe there"
        if stage.weight != WHOLE and not stage.need.safe:
            yield f"stages[{index}].need.safe: name at least one guard, or `all`: a stage advances only on SAFE"
        if stage.need.time > policy.deadline.per_stage:
            yield f"stages[{index}].need.time: longer than deadline.per_stage, so the stage could never end in time"


def _guard_faults(policy: Policy) -> Iterator[str]:
    names = [guard.id for guard in policy.guards]
    yield from (f"guards: the id {name!r} is used twice" for name in sorted({one for one in names if names.count(one) > 1}))
    if not names:
        yield "guards: there must be at least one: a stage advances only on SAFE"
    stages = {stage.name: stage for stage in policy.stages}
    for index, guard in enumerate(policy.guards):
        for name in guard.stages:
            if name in stages and not guard.can_see(stages[name]):
                yield f"guards[{index}].stages: {guard.rule.metric.value} cannot be seen in stage {name!r}; leave it out"
    yield from _unknown_names(policy)


def _unknown_names(policy: Policy) -> Iterator[str]:
    guards, stages = {guard.id for guard in policy.guards}, {stage.name for stage in policy.stages}
    named = [(f"stages[{index}].need.safe", name, guards) for index, stage in enumerate(policy.stages) for name in stage.need.safe]
    named += [(f"guards[{index}].stages", name, stages) for index, guard in enumerate(policy.guards) for name in guard.stages]
    if policy.rollback.verify.recovered:
        named.append(("rollback.verify.recovered", policy.rollback.verify.recovered, guards))
    for place, name, known in named:
        if name not in known:
            yield f"{place}: there is no {name!r}; there are {', '.join(sorted(known))}"
