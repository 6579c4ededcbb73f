"""What a policy comes to, in numbers and sentences, before anything is started with it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import log

from registry_client.versions import Bump
from serving.control.policies.quantities import Duration
from serving.core.policy import Counting, Guard, Missing, Pinned, Policy, Stage
from serving.core.rehearsals import played, unseen
from serving.core.renewals import RENEWALS, TAKEOVER_S
from serving.core.rules import (
    AssignmentRule,
    CollapseRule,
    DisagreementRule,
    ErrorRule,
    LatencyRule,
    OutputRule,
    PairedLatencyRule,
    RewardRule,
    Rule,
)
from serving.core.statistics import (
    Assignment,
    Onset,
    Outcomes,
    RatioOnset,
    Signs,
    SlowerOnset,
    log_e_below,
    log_e_not_slower,
    part_of,
)
from serving.core.traffic import WHOLE

_MOST = 2**24
"""Where looking for the fewest trials ends."""

_STEEP = 10
"""A weight that grows by more than this factor in one step is worth a word."""


@dataclass(frozen=True, slots=True)
class GuardReading:
    """What a guard's part of the risks means: by `alpha` it may be wrong with HARM, by `beta` with SAFE.

    `harm_from`: the fewest bad outcomes in a row from the start that are HARM; `safe_from`: the fewest good ones that are SAFE. None
    where it depends on more than a count.
    """

    id: str
    metric: str
    share: float
    alpha: float
    beta: float
    harm_from: int | None
    safe_from: int | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Reading:
    """A policy, explained."""

    digest: str
    guards: tuple[GuardReading, ...]
    stages: tuple[str, ...]
    warnings: tuple[str, ...]


def read(pinned: Pinned) -> Reading:
    """Explain a policy."""
    policy = pinned.policy
    guards = tuple(_guard(policy, guard) for guard in policy.guards)
    stages = tuple(_stage(policy, stage) for stage in policy.stages)
    return Reading(pinned.digest, guards, stages, tuple(_warnings(policy, {one.id: one for one in guards})))


def fewest(enough: Callable[[int], bool]) -> int | None:
    """The smallest number from 1 on that is enough, supposing that more is enough too; None when none is."""
    high = 1
    while not enough(high):
        high *= 2
        if high > _MOST:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _guard(policy: Policy, guard: Guard) -> GuardReading:
    alpha, beta = policy.alpha(guard), policy.beta(guard)
    total = sum(other.share for other in policy.guards)
    harm, safe = _fewest(policy, guard, harm=-log(alpha), safe=-log(beta))
    return GuardReading(guard.id, guard.rule.metric.value, guard.share / total, alpha, beta, harm, safe, _sentence(guard))


def _fewest(policy: Policy, guard: Guard, *, harm: float, safe: float) -> tuple[int | None, int | None]:
    share = next(stage.weight for stage in policy.stages if not stage.is_shadow) / WHOLE
    # What the first window costs, where units are counted in windows.
    price = -log(part_of(1)) if policy.unit.count is Counting.UNIT_WINDOW else 0.0
    match guard.rule:
        case ErrorRule() as errors:
            from_failures = fewest(lambda n: _error_harm(errors, n, share) >= harm + price)
            return from_failures, fewest(lambda n: log_e_below(Outcomes(0, n), errors.ok_below) >= safe + price)
        case CollapseRule(rate=rate) | DisagreementRule(rate=rate):
            from_failures = fewest(lambda n: Onset(rate).after(Outcomes(n, n)).log_e >= harm)
            return from_failures, fewest(lambda n: log_e_below(Outcomes(0, n), rate) >= safe)
        case PairedLatencyRule(share=allowed):
            from_slower = fewest(lambda n: SlowerOnset(allowed).after(Signs(slower=n)).log_e >= harm)
            return from_slower, fewest(lambda n: log_e_not_slower(Signs(tied=n), allowed) >= safe)
        case AssignmentRule() as split:
            return None, fewest(lambda n: _split(n, share).is_within(split.within, policy.beta(guard)))
        case LatencyRule() | OutputRule() | RewardRule():
            return None, None


def _error_harm(rule: ErrorRule, failures: int, share: float) -> float:
    ratio = RatioOnset(rule.ratio).after(failures, 0, share=share).log_e
    return min(ratio, Onset(rule.floor).after(Outcomes(failures, failures)).log_e)


def _split(canary: int, share: float) -> Assignment:
    return Assignment().after(canary, round(canary * (1 - share) / share), share=share)


def _sentence(guard: Guard) -> str:
    on = guard.on
    return f"{_says(guard.rule)}. HARM: {on.harm.value}; undecided at the deadline: {on.undecided.value}; no data: {on.no_data.value}"


def _says(rule: Rule) -> str:
    says: str
    match rule:
        case ErrorRule():
            harm = f"it fails more than {rule.ratio:g} times as often as production and more than {rule.floor:.2%}"
            says = f"HARM when {harm}; SAFE below {rule.ok_below:.2%}"
        case LatencyRule():
            more = f"more than {rule.ratio:g} times production's and {Duration(rule.floor)} above it"
            says = f"HARM when the {rule.quantile:g} quantile is {more}; SAFE when shown to be less"
        case OutputRule():
            says = f"HARM when the {rule.bins.value} differ by a JS divergence of {rule.js:g} or more; SAFE when shown to be closer"
        case CollapseRule():
            says = f"HARM when more than {rule.rate:.2%} of the answers are constant or invalid; SAFE when shown to be fewer"
        case DisagreementRule() | PairedLatencyRule():
            says = _says_of_pairs(rule)
        case RewardRule():
            says = f"HARM when the mean reward is more than {rule.drop:g} below production's; SAFE when shown to be less"
        case AssignmentRule():
            says = f"HARM when the split is not the planned one; SAFE when within a factor of {1 + rule.within:g} of it"
    return says


def _says_of_pairs(rule: DisagreementRule | PairedLatencyRule) -> str:
    match rule:
        case DisagreementRule():
            return f"HARM when more than {rule.rate:.2%} of the shadow pairs disagree; SAFE when shown to be fewer"
        case PairedLatencyRule():
            how = f"in more than {rule.share:.0%} of the shadow pairs, ties counting half"
            return f"HARM when it takes longer than production {how}; SAFE when shown to be in fewer"


def _stage(policy: Policy, stage: Stage) -> str:
    name = (
        f"{stage.name}: {stage.mirror / WHOLE:.0%} mirrored"
        if stage.is_shadow
        else f"{stage.name}: {policy.weight(stage) / WHOLE:.2%} of callers"
    )
    if stage.weight == WHOLE:
        safe = f" and while SAFE by {', '.join(policy.needed(stage))}" if policy.needed(stage) else ""
        held = f" with {policy.rollback.holdback / WHOLE:.2%} of the callers" if policy.rollback.holdback else ""
        kept = f"the old production kept for {Duration(policy.rollback.keep_warm)}{held}"
        return f"{name}, live after {Duration(stage.soak)}{safe}, {kept}"
    need = stage.need
    wants = [f"at least {Duration(need.time)}"] if need.time else []
    wants += [f"{need.units:,} {_trials(policy)}"] if need.units else []
    wants += [f"{need.pairs:,} pairs"] if need.pairs else []
    wants += [f"SAFE by {', '.join(need.safe)}"]
    wants += [f"the word of {stage.approve.role}"] if stage.approve else []
    return f"{name}; next needs {'; '.join(wants)}; by {Duration(policy.deadline.per_stage)} or {policy.deadline.then.value}"


def _trials(policy: Policy) -> str:
    return "units" if policy.unit.count is Counting.UNIT_WINDOW else "requests"


def _warnings(policy: Policy, guards: dict[str, GuardReading]) -> Iterator[str]:
    yield from _keyless(policy)
    if policy.keep_pairs and not policy.redact:
        yield "keep_pairs: requests are kept as they came; name in `redact` what must not be seen"
    yield from _impatient(policy, guards)
    live = [stage for stage in policy.stages if not stage.is_shadow]
    for before, after in pairwise(live):
        if after.weight > _STEEP * before.weight:
            times = after.weight / before.weight
            yield f"stages: from {before.name} to {after.name} the candidate gets {times:.0f} times the callers at once"
    if {bump for bump, _ in policy.tracks} >= {Bump.PATCH, Bump.MINOR, Bump.MAJOR}:
        yield "tracks: every bump goes by another policy, so the stages and guards here are used for none"
    left = policy.lease.total_seconds() * (1 - 1 / RENEWALS)
    if left < TAKEOVER_S:
        yield (
            f"lease: {Duration(policy.lease)} is renewed every third of it, and the {left:.1f} s that are left are fewer than the "
            f"{TAKEOVER_S:g} s that a change of leader may take: the candidate would lose its callers meanwhile"
        )
    if "auto" not in policy.authority.rollback:
        yield "authority.rollback: guards and tripwire roll back whether `auto` is named or not; `on: {harm: hold}` keeps a guard from it"
    yield from _blind_drills(policy)
    if not policy.tell.on:
        yield "tell.on: nobody is told of anything"


def _blind_drills(policy: Policy) -> Iterator[str]:
    for kind in policy.drill.inject if policy.drill is not None else ():
        blind = unseen(policy, played(policy), kind)
        if blind:
            yield f"drill.inject: {blind}"


def _keyless(policy: Policy) -> Iterator[str]:
    if policy.unit.key:
        return
    if policy.unit.missing is Missing.PRODUCTION:
        yield "unit.key: without a key every request goes to production, and the candidate gets none; name a header, or missing: random"
    elif policy.unit.count is Counting.UNIT_WINDOW:
        yield "unit.count: there are no units without a key; write count: request"


def _impatient(policy: Policy, guards: dict[str, GuardReading]) -> Iterator[str]:
    asked: set[str] = set()
    for index, stage in enumerate(policy.stages):
        new = [name for name in stage.need.safe if name not in asked]  # a SAFE of an earlier stage carries over
        asked.update(new)
        for name in new:
            rule, least = policy.guard(name).rule, guards[name].safe_from
            floor = stage.need.pairs if stage.is_shadow else stage.need.units
            if least is not None and 0 < floor < least:
                yield f"stages[{index}].need: {floor:,} is fewer than the {least:,} good outcomes that {name} needs to be SAFE"
            if isinstance(rule, RewardRule) and rule.delay >= policy.deadline.per_stage:
                yield f"stages[{index}].need.safe: {name} hears after {Duration(rule.delay)}, the deadline of the stage"
