"""From samples to figures: medians over rounds, ratios between servers, percentiles of times. Pure."""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

import msgspec

from benchmarks.wrk import Reading

CLIENTS = (1, 8, 64)


class Name(StrEnum):
    """The servers that are compared."""

    POINTSMAN = "pointsman"
    HANDWRITTEN = "handwritten"
    RAY_SERVE = "ray-serve"


class Sample(msgspec.Struct, frozen=True):
    """One server under one load in one round."""

    server: Name
    clients: int
    reading: Reading
    rss_mb: float


class Result(msgspec.Struct, frozen=True):
    """One line of `latest.json`: medians over the valid rounds. `rss_mb`: MiB of all processes of the server."""

    server: Name
    clients: int
    rps: float
    p50_ms: float
    p99_ms: float
    rss_mb: float


class Target(msgspec.Struct, frozen=True):
    """What Pointsman promises: so many times the throughput of a peer with so many clients."""

    peer: Name
    clients: int
    at_least: float


class Ratio(msgspec.Struct, frozen=True):
    """What came of a target; `measured` is None when one of the two was not measured."""

    target: Target
    measured: float | None

    @property
    def is_met(self) -> bool:
        """Whether the promise is kept."""
        return self.measured is not None and self.measured >= self.target.at_least


TARGETS = (
    Target(Name.HANDWRITTEN, 1, 0.85),
    Target(Name.HANDWRITTEN, 8, 1.1),
    Target(Name.HANDWRITTEN, 64, 1.4),
    Target(Name.RAY_SERVE, 1, 50.0),
    Target(Name.RAY_SERVE, 64, 100.0),
)


def results_of(samples: Iterable[Sample]) -> list[Result]:
    """The median of each figure over the valid rounds, for each server and number of clients, in the order they came."""
    rounds: dict[tuple[Name, int], list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.reading.is_valid:
            rounds[sample.server, sample.clients].append(sample)
    return [_median(server, clients, valid) for (server, clients), valid in rounds.items()]


def _median(server: Name, clients: int, rounds: Sequence[Sample]) -> Result:
    return Result(
        server=server,
        clients=clients,
        rps=round(statistics.median(sample.reading.rps for sample in rounds), 1),
        p50_ms=round(statistics.median(sample.reading.p50_ms for sample in rounds), 3),
        p99_ms=round(statistics.median(sample.reading.p99_ms for sample in rounds), 3),
        rss_mb=round(statistics.median(sample.rss_mb for sample in rounds), 1),
    )


def spread_of(samples: Iterable[Sample]) -> Mapping[tuple[Name, int], float]:
    """How far the rounds lie apart: (fastest - slowest) / median of the throughput, for each server and number of clients."""
    rounds: dict[tuple[Name, int], list[float]] = defaultdict(list)
    for sample in samples:
        if sample.reading.is_valid:
            rounds[sample.server, sample.clients].append(sample.reading.rps)
    return {key: (max(rates) - min(rates)) / statistics.median(rates) for key, rates in rounds.items()}


def invalid_of(samples: Iterable[Sample]) -> list[str]:
    """A sentence for each round that does not count."""
    return [
        f"{sample.server} with {sample.clients} clients: {why_invalid(sample.reading)}" for sample in samples if not sample.reading.is_valid
    ]


def why_invalid(reading: Reading) -> str:
    """What went wrong, in words."""
    return ", ".join(f"{count} {kind} errors" for kind, count in reading.errors.items()) or "no answer at all"


def ratios_of(results: Iterable[Result], targets: Iterable[Target] = TARGETS) -> list[Ratio]:
    """Pointsman's throughput over each target's peer."""
    rates = {(result.server, result.clients): result.rps for result in results}
    return [
        Ratio(target, ratio(rates.get((Name.POINTSMAN, target.clients)), rates.get((target.peer, target.clients)))) for target in targets
    ]


def ratio(ours: float | None, theirs: float | None) -> float | None:
    """How many times theirs is ours, where both are known."""
    if ours is None or not theirs:
        return None
    return round(ours / theirs, 3)


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of all do not exceed (nearest rank: never a value that was not measured)."""
    ranked = sorted(values)
    return ranked[max(math.ceil(len(ranked) * percent / 100) - 1, 0)]
