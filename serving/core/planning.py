"""What to expect of a rollout before it starts: how long until SAFE, how long until a stated regression is caught, and what that costs.

The guards' own gauges are shown what would be seen on average. Half of the real rollouts are about as fast or faster; `docs/statistics.md`
has how far they scatter.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import floor

from serving.core.assessing import Evidence, edges, share_of
from serving.core.gauges import Gauge
from serving.core.policy import Guard, Policy, Stage
from serving.core.rules import JUDGED_ALONE, Metric
from serving.core.statistics import Sums
from serving.core.totals import MARGIN, ArmTotals, PairTotals, Totals
from serving.core.traffic import WHOLE
from serving.core.verdicts import Finding

_GROWTH = 0.03
"""Ticks grow with what was seen, so that a million trials are a few hundred ticks."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_MOST = 10_000_000
"""Trials of the candidate after which it is no use to wait."""


@dataclass(frozen=True, slots=True)
class Conduct:
    """How a version behaves on average; chances of one trial. `over`: of exceeding each pinned edge. `reward`: the mean, from 0 to 1."""

    errors: float = 0.0
    odd: float = 0.0
    over: tuple[float, ...] = ()
    classes: tuple[float, ...] = ()
    disagreeing: float = 0.0
    reward: float | None = None
    signs: tuple[float, float] = (0.0, 0.0)
    """The chances that its answer to a request takes clearly longer than production's, and clearly less long."""


_TAIL = 4.0
"""How steeply latencies are taken to fall off beyond a quantile, as 1/x to this power: nobody has measured the tail before it is pinned."""


_SPREAD = (0.1,) * 10
"""Output classes as they are supposed before any were seen: ten alike. Scores are binned by their tenths, so for them it is just so."""


def conduct_of(policy: Policy, *, errors: float = 0.0, slower: float = 1.0, odd: float = 0.0, disagreeing: float = 0.0) -> Conduct:
    """How a version behaves that is `slower` times as slow as production, in the policy's own edges."""
    over: list[float] = []
    for quantile, ratio in edges(policy).values():
        over += [min((1 - quantile) * (slower / edge) ** _TAIL, 1.0) for edge in (1.0, ratio)]
    sorts = any(guard.rule.metric is Metric.OUTPUT for guard in policy.guards)
    signs = (_longer(slower / MARGIN), _longer(1 / (slower * MARGIN)))
    return Conduct(errors, odd, tuple(over), _SPREAD if sorts else (), disagreeing, signs=signs)


def _longer(times: float) -> float:
    """The chance that the one of two such latencies is longer that is multiplied by so much."""
    steep: float = times**_TAIL
    return steep / 2 if times <= 1 else 1 - 1 / (2 * steep)


@dataclass(frozen=True, slots=True)
class Traffic:
    """What comes in: trials (requests, or units) a second, and how production answers them."""

    per_second: float
    production: Conduct


@dataclass(frozen=True, slots=True)
class Outlook:
    """One guard in one stage. None: not in any time worth waiting for, or never."""

    stage: str
    guard: str
    safe_after: timedelta | None
    """Until a candidate that behaves as production does is SAFE."""
    caught_after: timedelta | None
    """Until the stated regression is HARM."""
    failed_requests: float | None
    """How many requests the regression fails until then."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole of it."""

    outlooks: tuple[Outlook, ...]
    false_rollbacks_a_year: float
    least: timedelta
    """The shortest time to live: every stage's least time, and the soak."""
    numbers: Mapping[str, float] = field(default_factory=dict[str, float])


def plan(policy: Policy, traffic: Traffic, regression: Conduct, *, rollouts_a_year: float) -> Plan:
    """What to expect, stage by stage and guard by guard."""
    outlooks = tuple(_outlook(policy, stage, guard, traffic, regression) for stage in policy.stages for guard in _judging(policy, stage))
    least = sum((max(stage.need.time, stage.soak) for stage in policy.stages), timedelta())
    return Plan(outlooks, policy.risk.false_rollback * rollouts_a_year, least)


def _judging(policy: Policy, stage: Stage) -> tuple[Guard, ...]:
    """The guards that learn something in a stage."""
    return tuple(guard for guard in policy.watching(stage) if stage.weight < WHOLE or guard.rule.metric in JUDGED_ALONE)


def trials_until(policy: Policy, stage: Stage, guard: Guard, conducts: tuple[Conduct, Conduct], finding: Finding) -> int | None:
    """The candidate's trials until a guard says HARM or SAFE, seeing what is to be expected; `conducts`: the candidate's, production's."""
    gauge: Gauge = Evidence.none(policy, "", at=_EPOCH).dials[guard.id].gauge
    share = _share(policy, stage)
    ratio = (1 - share) / share if share else 0.0
    trials = 0
    while trials < _MOST:
        before, trials = trials, trials + max(1, round(trials * _GROWTH))
        others = round(before * ratio), round(trials * ratio)
        pairs = _pairs(conducts[0], before, trials) if stage.is_shadow else PairTotals()
        new = Totals(_between(conducts[0], before, trials), _between(conducts[1], *others), pairs)
        gauge = gauge.after(new, share=share_of(policy, stage, guard, new, share))
        reading = gauge.read()
        if reading.is_harm if finding is Finding.HARM else reading.is_safe and not reading.is_harm:
            return trials
    return None


def _outlook(policy: Policy, stage: Stage, guard: Guard, traffic: Traffic, regression: Conduct) -> Outlook:
    a_second = traffic.per_second * (stage.mirror if stage.is_shadow else policy.weight(stage)) / WHOLE
    safe = trials_until(policy, stage, guard, (traffic.production, traffic.production), Finding.SAFE)
    caught = trials_until(policy, stage, guard, (regression, traffic.production), Finding.HARM)
    return Outlook(
        stage.name,
        guard.id,
        None if safe is None else timedelta(seconds=safe / a_second),
        None if caught is None else timedelta(seconds=caught / a_second),
        # A shadow fails nobody.
        None if caught is None else 0.0 if stage.is_shadow else caught * regression.errors,
    )


def _share(policy: Policy, stage: Stage) -> float:
    if stage.is_shadow:
        return stage.mirror / (stage.mirror + WHOLE)
    return policy.weight(stage) / WHOLE


def _between(conduct: Conduct, before: int, after: int) -> ArmTotals:
    """What is to be expected of the trials from one count to another, in whole numbers that add up to the expectation in the long run."""
    trials = after - before

    def new(chance: float) -> int:
        return floor(after * chance) - floor(before * chance)

    classes = _in_turn(len(conduct.classes), before, after) if conduct.classes == _SPREAD else [new(chance) for chance in conduct.classes]
    while sum(classes) > trials:
        classes[classes.index(max(classes))] -= 1
    # Thumbs up or down: of all scores with this mean the ones that vary most.
    rewards = Sums() if conduct.reward is None else Sums(trials, trials * conduct.reward, trials * conduct.reward)
    return ArmTotals(
        trials=trials,
        failures=new(conduct.errors),
        odd=new(conduct.odd),
        slow=tuple(new(chance) for chance in conduct.over),
        classes=tuple(classes),
        rewards=rewards,
    )


def _in_turn(classes: int, before: int, after: int) -> list[int]:
    """Of trials that go through the classes in turn: to round each by itself would put them off together, which looks like drift."""
    return [(after - one + classes - 1) // classes - (before - one + classes - 1) // classes for one in range(classes)]


def _pairs(conduct: Conduct, before: int, after: int) -> PairTotals:
    pairs = after - before
    chances = (conduct.disagreeing, *conduct.signs)
    disagreed, slower, faster = (floor(after * chance) - floor(before * chance) for chance in chances)
    # Of one pair only one can be so, though what is to be expected is rounded to more.
    return PairTotals(offered=pairs, compared=pairs, disagreed=disagreed, slower=slower, faster=min(faster, pairs - slower))
