"""What production's answers were like before anything was pinned: latencies in buckets, from which the edges of a rollout are taken.

Buckets add up over gateways, and a quantile read from them is off by at most 2.5 %: each is 5 % wider than the one before
(the logarithmic buckets of DDSketch, arXiv:1908.10693).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from math import exp, fsum, isfinite, log

from serving.core.rules import Bins

GROWTH = 1.05
"""How much wider each bucket is than the one before."""

PARTS = 10
"""Scores are sorted into tenths of production's."""

LABELS_MOST = 64
"""Labels that a gateway counts by name before any is pinned."""

CLASSES_MOST = 31
"""Labels that are pinned, the most frequent ones; what is none of them is one class more."""

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
    labels: Mapping[str, int] = field(default_factory=dict[str, int])
    """How often each label was given; at most `LABELS_MOST` of them."""
    scores: int = 0
    """How many scores `deciles` were taken from: the first ones."""
    deciles: tuple[float, ...] = ()
    """The nine values between the tenths of the scores."""

    def __post_init__(self) -> None:
        """Refuse what no answers could come to."""
        is_possible = self.scores >= 0 and len(self.deciles) in {0, PARTS - 1} and all(count >= 0 for count in self.labels.values())
        if not is_possible or not all(isfinite(decile) for decile in self.deciles):
            msg = f"no answers come to {self}"
            raise ValueError(msg)


def pinned_edges(quantiles: Iterable[tuple[float, float]], latencies: Sketch, floors: Iterable[float] = ()) -> tuple[float, ...]:
    """Two edges in seconds for each latency guard, given as in `Terms.quantiles`: production's quantile, and ratio times it.

    The second lies at least as far above the first as its floor says, given as in `Terms.floors`.

    Raises `ValueError` when production has answered nothing yet.
    """
    edges: list[float] = []
    for (share, ratio), floor in zip(quantiles, chain(floors, repeat(0.0))):  # noqa: B905 - the second has no end
        quantile = latencies.quantile(share)
        edges += [quantile, max(ratio * quantile, quantile + floor)]
    return tuple(edges)


def deciles_of(scores: Sequence[float]) -> tuple[float, ...]:
    """The nine values between the tenths; none of fewer than ten scores."""
    ordered = sorted(scores)
    if len(ordered) < PARTS:
        return ()
    return tuple(ordered[len(ordered) * tenth // PARTS] for tenth in range(1, PARTS))


def pinned_classes(bins: Bins, baselines: Collection[Baseline]) -> tuple[str, ...]:
    """What answers are sorted into from now on: production's labels, or the bounds of its scores' tenths, as text.

    Counters have one class more than there are texts: any other label, or what lies beyond the last bound. Of several gateways the
    deciles are averaged by how many scores each had; any bounds would do, as long as they are fixed before they are used.
    Raises `ValueError` when production has answered nothing that could be sorted.
    """
    classes = _frequent(baselines) if bins is Bins.CLASSES else _bounds(baselines)
    if not classes:
        msg = f"production has given nothing yet to take {bins.value} from"
        raise ValueError(msg)
    return classes


def _frequent(baselines: Iterable[Baseline]) -> tuple[str, ...]:
    counts: dict[str, int] = {}
    for baseline in baselines:
        for label, count in baseline.labels.items():
            counts[label] = counts.get(label, 0) + count
    ordered = sorted(counts, key=lambda label: (-counts[label], label))
    return tuple(ordered[:CLASSES_MOST])


def _bounds(baselines: Collection[Baseline]) -> tuple[str, ...]:
    heard = [baseline for baseline in baselines if baseline.deciles]
    total = sum(baseline.scores for baseline in heard)
    if not total:
        return ()
    weighed = ([baseline.deciles[tenth] * baseline.scores for baseline in heard] for tenth in range(PARTS - 1))
    bounds = [fsum(each) / total for each in weighed]
    # Where many scores are alike, tenths coincide: one bound is enough for them.
    return tuple(repr(bound) for bound in dict.fromkeys(bounds))
