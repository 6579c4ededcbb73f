"""What production's answers were like before anything was pinned: latencies in buckets, from which the edges of a rollout are taken.

Buckets add up over gateways, and a quantile read from them is off by at most 2.5 %: each is 5 % wider than the one before
(the logarithmic buckets of DDSketch, arXiv:1908.10693).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import exp, log

GROWTH = 1.05
"""How much wider each bucket is than the one before."""

SHORTEST = 1e-6
"""Seconds; what took less is in the bucket of this."""

_STEP = log(GROWTH)


def bucket_of(seconds: float) -> int:
    """The bucket that a time falls into."""
    return int(log(max(seconds, SHORTEST)) // _STEP)


@dataclass(frozen=True, slots=True)
class Sketch:
    """How many times fell into each bucket."""

    counts: Mapping[int, int] = field(default_factory=dict[int, int])

    def __post_init__(self) -> None:
        """Refuse counts below nothing."""
        if any(count < 0 for count in self.counts.values()):
            msg = "a bucket holds less than nothing"
            raise ValueError(msg)

    def __add__(self, other: "Sketch") -> "Sketch":
        counts = dict(self.counts)
        for bucket, count in other.counts.items():
            counts[bucket] = counts.get(bucket, 0) + count
        return Sketch(counts)

    @property
    def trials(self) -> int:
        """How many there are in all."""
        return sum(self.counts.values())

    def quantile(self, share: float) -> float:
        """The time, in seconds, that a `share` of all took at most. Raises `ValueError` when there are none."""
        left = share * self.trials
        for bucket in sorted(self.counts):
            left -= self.counts[bucket]
            if left <= 0 and self.counts[bucket]:
                return exp(_STEP * (bucket + 0.5))
        msg = "there is no quantile of nothing"
        raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Baseline:
    """Production on one gateway since the rollout began, for as long as something is still to be pinned."""

    latencies: Sketch = Sketch()


def pinned_edges(quantiles: Iterable[tuple[float, float]], latencies: Sketch) -> tuple[float, ...]:
    """Two edges in seconds for each latency guard, given as in `Terms.quantiles`: production's quantile, and ratio times it.

    Raises `ValueError` when production has answered nothing yet.
    """
    edges: list[float] = []
    for share, ratio in quantiles:
        quantile = latencies.quantile(share)
        edges += [quantile, ratio * quantile]
    return tuple(edges)
