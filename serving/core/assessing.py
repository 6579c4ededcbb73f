"""From ticks to the verdicts of a rollout's guards. No data never passes, and whoever sees only a part sees nothing safe.

`Evidence` is everything seen of one candidate, by digest. It carries over stages: what was shown safe stays shown unless what is seen now
speaks against it. Where units are counted in windows, a stage or the window's end opens a new one, with its own part of the risks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from serving.core.gauges import Chances, ErrorGauge, Gauge, Reading, gauge
from serving.core.policy import Counting, Guard, Policy, Stage
from serving.core.rules import LatencyRule, Metric, RewardRule
from serving.core.statistics import part_of
from serving.core.totals import RefusedReport, Tick, Totals
from serving.core.traffic import WHOLE
from serving.core.verdicts import Finding


@dataclass(frozen=True, slots=True)
class GuardVerdict:
    """What one guard says, in a sentence and in numbers. `has_data`: whether it heard anything for as long as it may be silent."""

    guard: str
    finding: Finding
    has_data: bool
    sentence: str
    numbers: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, slots=True)
class Assessment:
    """All verdicts of a moment. `trip`: why the tripwire went off, if it did."""

    verdicts: tuple[GuardVerdict, ...] = ()
    units: int = 0
    """Trials of the candidate in this stage."""
    pairs: int = 0
    """Pairs compared in this stage."""
    trip: str = ""
    missed: tuple[str, ...] = ()
    """Gateways that should be heard of and were not just now: what they have seen is in none of this."""
    spent: timedelta = timedelta()
    """In this stage, as its looks have measured: no clock that is put forward or back changes it."""

    def of(self, guard: str) -> GuardVerdict | None:
        """A guard's verdict, None where it does not watch."""
        return next((verdict for verdict in self.verdicts if verdict.guard == guard), None)


@dataclass(frozen=True, slots=True)
class Dial:
    """One guard's gauge in the current window, and what it showed in the windows before."""

    gauge: Gauge
    heard: datetime
    was_safe: bool = False

    def is_safe(self, reading: Reading) -> bool:
        """Whether it is shown to be safe: here, or earlier and nothing here speaks against it."""
        return reading.is_safe or (self.was_safe and not reading.is_doubtful)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything seen of one candidate since it began. Another digest is another candidate: it begins with `Evidence.none`."""

    digest: str
    stage: str
    window: int
    opened: datetime
    dials: Mapping[str, Dial]
    units: int = 0
    pairs: int = 0
    production: int = 0
    keyless: int = 0
    """Answers in this stage to whoever has no routing key and is therefore in no arm."""
    rows: Mapping[str, int] = field(default_factory=dict[str, int])
    silent: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    refused: tuple[RefusedReport, ...] = ()
    """Reports of the last look that did not count."""

    @classmethod
    def none(cls, policy: Policy, digest: str, *, at: datetime) -> "Evidence":
        """Nothing seen yet."""
        dials = {guard.id: Dial(_gauge(policy, guard, 1), at) for guard in policy.guards}
        return cls(digest, "", 0, at, dials)

    def after(self, policy: Policy, stage: Stage, tick: Tick, *, at: datetime) -> "Evidence":
        """The evidence with what happened since the last look, in a stage."""
        here = self._in(policy, stage, at)
        new = tick.totals
        units, production = here.units + new.canary.trials, here.production + new.production.trials
        observed = units / max(units + production, 1)
        dials = {
            guard.id: _turned(here.dials[guard.id], guard, new, share=share_of(policy, stage, guard, new, observed), at=at)
            for guard in policy.watching(stage)
        }
        return replace(
            here,
            dials={**here.dials, **dials},
            units=units,
            pairs=here.pairs + new.pairs.compared,
            production=production,
            keyless=here.keyless + new.production.keyless,
            rows={**here.rows, **tick.rows},
            silent=tick.silent,
            missed=tick.missed,
            refused=tick.refused,
        )

    def _in(self, policy: Policy, stage: Stage, at: datetime) -> "Evidence":
        is_new = stage.name != self.stage
        is_over = policy.unit.count is Counting.UNIT_WINDOW and at - self.opened >= policy.unit.window
        if not is_new and not is_over:
            return self
        moved = self if not is_new else replace(self, stage=stage.name, units=0, pairs=0, production=0, keyless=0)
        window = self.window + 1
        dials: dict[str, Dial] = {}
        for guard in policy.guards:
            dial = self.dials[guard.id]
            fresh = policy.unit.count is Counting.UNIT_WINDOW and guard.rule.metric in _WINDOWED
            now = _renewed(dial.gauge, _gauge(policy, guard, window)) if fresh else dial.gauge
            dials[guard.id] = Dial(now, max(dial.heard, at) if is_new else dial.heard, dial.is_safe(dial.gauge.read()))
        return replace(moved, window=window, opened=at, dials=dials)


_NEARLY_ALL = 1 - 1e-9
"""The largest share beside production; 1 is where there is none."""

_WINDOWED = frozenset({Metric.ERROR, Metric.LATENCY, Metric.OUTPUT, Metric.COLLAPSE, Metric.ASSIGNMENT})
"""What is counted in units. A pair and a reward are each counted once anyway."""


def assess(policy: Policy, stage: Stage, evidence: Evidence, *, at: datetime) -> Assessment:
    """The verdicts of the guards that watch a stage. Pure: the same evidence gives the same bytes."""
    verdicts = tuple(_verdict(policy, guard, evidence, at) for guard in policy.watching(stage))
    return Assessment(verdicts, evidence.units, evidence.pairs, _trip(policy, evidence), evidence.missed)


def edges(policy: Policy) -> Mapping[str, tuple[float, float]]:
    """For each latency guard, in the order of the pinned edges: production's quantile, and what it is multiplied with for the second."""
    return {guard.id: (guard.rule.quantile, guard.rule.ratio) for guard in policy.guards if isinstance(guard.rule, LatencyRule)}


def floors(policy: Policy) -> tuple[float, ...]:
    """For each latency guard, in the same order: how many seconds the second edge is above production's quantile at least."""
    return tuple(guard.rule.floor.total_seconds() for guard in policy.guards if isinstance(guard.rule, LatencyRule))


def _gauge(policy: Policy, guard: Guard, window: int) -> Gauge:
    is_windowed = policy.unit.count is Counting.UNIT_WINDOW and guard.rule.metric in _WINDOWED
    part = part_of(window) if is_windowed else 1.0
    edge = 2 * list(edges(policy)).index(guard.id) if guard.rule.metric is Metric.LATENCY else 0
    return gauge(guard.rule, Chances(policy.alpha(guard) * part, policy.beta(guard) * part), edge=edge)


def _renewed(before: Gauge, fresh: Gauge) -> Gauge:
    """A window's gauge, with what the one before knows of production where it will have to do without it."""
    return before.renewed(fresh.chances) if isinstance(before, ErrorGauge) else fresh


def share_of(policy: Policy, stage: Stage, guard: Guard, new: Totals, observed: float) -> float:
    """The chance that a trial of the tick was the candidate's; `observed`: its part of the stage's trials so far."""
    if stage.is_shadow:
        # Copies may be shed: what counts is how many trials the arms had, which is fixed before their outcomes are looked at.
        trials = new.canary.trials + new.production.trials
        return min(new.canary.trials / trials, _NEARLY_ALL) if trials else 0.5
    planned = policy.weight(stage) / WHOLE
    if policy.unit.count is Counting.REQUEST and guard.rule.metric is Metric.ERROR:
        # A few busy callers can bring a canary far more requests than its weight; by weight alone it would be blamed for all of them.
        # It is all of them only where it was meant to be, however few were seen of production.
        return max(planned, min(observed, _NEARLY_ALL))
    return planned


def _turned(dial: Dial, guard: Guard, new: Totals, *, share: float, at: datetime) -> Dial:
    # A clock that was put back makes nothing heard later than now.
    heard = at if _is_heard(guard, new) else min(dial.heard, at)
    return Dial(dial.gauge.after(new, share=share), heard, dial.was_safe)


def _is_heard(guard: Guard, new: Totals) -> bool:
    """Whether a tick says anything of the candidate: production's data alone are no data."""
    match guard.rule.metric:
        case Metric.DISAGREEMENT | Metric.PAIRED_LATENCY:
            return new.pairs.compared > 0
        case Metric.REWARD:
            return new.canary.rewards.count > 0
        case Metric.OUTPUT:
            return bool(new.canary.classes) and new.canary.is_heard
        case Metric.LATENCY:
            return bool(new.canary.slow) and new.canary.is_heard
        case Metric.ERROR | Metric.COLLAPSE | Metric.ASSIGNMENT:
            return new.canary.is_heard


def _patience(policy: Policy, guard: Guard) -> timedelta:
    # Feedback is slow by nature: it is missed only when it should have been there.
    return policy.deadline.silence + (guard.rule.delay if isinstance(guard.rule, RewardRule) else timedelta())


def _verdict(policy: Policy, guard: Guard, evidence: Evidence, at: datetime) -> GuardVerdict:
    dial = evidence.dials[guard.id]
    reading = dial.gauge.read()
    is_heard = at - dial.heard <= _patience(policy, guard)
    says = partial(GuardVerdict, guard.id, numbers=reading.numbers)
    if reading.is_harm:
        return says(Finding.HARM, is_heard, f"the candidate {reading.compared}")
    if evidence.silent or not is_heard:
        who = _unheard(evidence) if evidence.silent else f"nothing heard since {dial.heard:%H:%M:%S}{_keyless(evidence)}"
        return says(Finding.UNDECIDED, has_data=False, sentence=f"{who}: nothing passes unseen")
    if dial.is_safe(reading):
        before = "" if reading.is_safe else " (safe in an earlier window)"
        return says(Finding.SAFE, has_data=True, sentence=f"the candidate {reading.compared}{before}")
    said = f"the candidate {reading.compared}: too little to tell" if reading.trials else "nothing seen of the candidate yet"
    return says(Finding.UNDECIDED, has_data=True, sentence=said)


def _unheard(evidence: Evidence) -> str:
    refused = {one.source: one.why for one in evidence.refused}
    who = (f"{source} (its reports are refused: {refused[source]})" if source in refused else source for source in evidence.silent)
    return f"{', '.join(who)} cannot be heard"


def _keyless(evidence: Evidence) -> str:
    """Why nothing can be heard, where that is because of who calls."""
    if evidence.units or not evidence.keyless:
        return ""
    return f" (all {evidence.keyless:,} answers in this stage were to callers without a routing key, who are in no arm)"


def _trip(policy: Policy, evidence: Evidence) -> str:
    source, row = max(evidence.rows.items(), key=lambda item: item[1], default=("", 0))
    limit = policy.tripwire.errors_in_a_row
    return f"failed {row} times in a row on {source} (limit {limit})" if row >= limit else ""
