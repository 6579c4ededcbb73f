"""What the gateways say of rollouts and of traffic, out of their reports. Pure, but for remembering what was said before."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from serving.core.decisions import Measured
from serving.core.routing import Arm, Target
from serving.core.rules import Bins
from serving.core.sketches import Baseline, Sketch, pinned_classes, pinned_edges
from serving.core.totals import ArmTotals, Report
from serving.core.underway import Underway
from serving.ports import ArmCounts, Failure, GatewayReport

LEAST_ANSWERS = 200
"""Of production, before anything is pinned by them."""

LEAST_BEYOND = 10
"""Answers that must lie beyond a quantile before it is believed."""

_COUNTED = frozenset({Arm.CANARY, Arm.PRODUCTION, Arm.HOLDBACK})
"""A version that answers whoever named it is compared with nobody."""


def reports_of(latest: Mapping[str, GatewayReport], rollout: str) -> tuple[Report, ...]:
    """What each gateway has counted of a rollout, by the gateways' names."""
    return tuple(report.rollouts[rollout] for _, report in sorted(latest.items()) if rollout in report.rollouts)


def unreadable_of(latest: Mapping[str, GatewayReport], rollout: str) -> tuple[tuple[str, str], ...]:
    """The gateways whose newest report of a rollout could not be read, and why."""
    return tuple((gateway, report.unreadable[rollout]) for gateway, report in sorted(latest.items()) if rollout in report.unreadable)


def measures_of(latest: Mapping[str, GatewayReport], underway: Underway, at: datetime) -> Measured | None:
    """What is to be pinned now by what production was seen to do; None while there is nothing, or too little was seen."""
    baselines = [report.baselines[underway.id] for report in latest.values() if underway.id in report.baselines]
    edges = _edges(baselines, underway)
    classes = _classes(baselines, underway)
    return Measured(at, edges, classes) if edges or classes else None


def _edges(baselines: Sequence[Baseline], underway: Underway) -> tuple[float, ...]:
    quantiles = underway.terms.quantiles
    if underway.edges or not quantiles:
        return ()
    sketch = Sketch()
    for baseline in baselines:
        sketch += baseline.latencies
    least = max(LEAST_ANSWERS, *(LEAST_BEYOND / (1 - quantile) for quantile, _ in quantiles))
    return pinned_edges(quantiles, sketch, underway.terms.floors) if sketch.trials >= least else ()


def _classes(baselines: Sequence[Baseline], underway: Underway) -> tuple[str, ...]:
    bins = underway.terms.bins
    if underway.classes or bins is None:
        return ()
    seen = sum(sum(one.labels.values()) if bins is Bins.CLASSES else one.scores for one in baselines)
    return pinned_classes(bins, baselines) if seen >= LEAST_ANSWERS else ()


def answered(report: GatewayReport, target: Target) -> ArmTotals:
    """What a version answered to callers on a gateway, since the gateway's start."""
    return _arm(counts for counts in report.counts if counts.target == target and counts.arm in _COUNTED)


def _arm(counted: Iterable[ArmCounts]) -> ArmTotals:
    requests = failures = mistakes = 0
    for counts in counted:
        requests += counts.requests
        mistakes += counts.failures.get(Failure.CLIENT, 0)
        failures += sum(number for failure, number in counts.failures.items() if failure is not Failure.CLIENT)
    return ArmTotals(trials=requests - mistakes, failures=failures, mistakes=mistakes)


@dataclass(frozen=True, slots=True)
class Pace:
    """How much production answers, over about the last minute: answers a second, and the part of them that fail."""

    per_second: float = 0.0
    failing: float = 0.0


@dataclass(frozen=True, slots=True)
class _Reading:
    at: float
    answers: int
    failures: int


SPAN_S = 60.0
"""What a pace is measured over, once so much was seen."""


class Paces:
    """The pace of every family that is asked of, out of what gateways counted."""

    def __init__(self) -> None:
        self._readings: dict[tuple[str, str, float], list[_Reading]] = {}

    def step(self, latest: Mapping[str, GatewayReport], now: float) -> Mapping[str, Pace]:
        """The pace of each family now (monotonic seconds)."""
        readings: dict[tuple[str, str, float], list[_Reading]] = {}
        for report in latest.values():
            for family, arm in _by_family(report).items():
                key = (family, report.gateway, report.started)
                known = self._readings.get(key, [])
                readings[key] = [*_lately(known, now), _Reading(now, arm.trials, arm.failures)]
        self._readings = readings
        return _paces(readings)


def _by_family(report: GatewayReport) -> Mapping[str, ArmTotals]:
    counted: dict[str, list[ArmCounts]] = {}
    for counts in report.counts:
        if counts.arm in _COUNTED:
            counted.setdefault(counts.target.family, []).append(counts)
    return {family: _arm(counts) for family, counts in counted.items()}


def _lately(readings: list[_Reading], now: float) -> list[_Reading]:
    """What is needed of the past: the last reading from before the span, and those in it."""
    within = [index for index, reading in enumerate(readings) if now - reading.at <= SPAN_S]
    return readings[max(within[0] - 1, 0) :] if within else readings[-1:]


def _paces(readings: Mapping[tuple[str, str, float], list[_Reading]]) -> Mapping[str, Pace]:
    sums: dict[str, list[float]] = {}
    for (family, _, _), seen in readings.items():
        first, last = seen[0], seen[-1]
        if last.at > first.at:
            rate, answers, failures = sums.setdefault(family, [0.0, 0.0, 0.0])
            new = last.answers - first.answers
            sums[family] = [rate + new / (last.at - first.at), answers + new, failures + last.failures - first.failures]
    return {family: Pace(rate, failures / answers if answers else 0.0) for family, (rate, answers, failures) in sums.items()}
