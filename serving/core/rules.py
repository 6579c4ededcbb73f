"""What a guard looks at, and from where on it is harm or safe: one value for each kind of rule.

Rates are fractions of one. What a rule needs to be told by the gateways is in `observations`; how it judges is in `assessing`.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Metric(StrEnum):
    """What is looked at; the `metric` of a guard in a policy."""

    ERROR = "error"
    LATENCY = "latency"
    OUTPUT = "output"
    COLLAPSE = "output_constant_or_invalid"
    DISAGREEMENT = "shadow_disagreement"
    PAIRED_LATENCY = "paired_latency"
    REWARD = "reward"
    ASSIGNMENT = "assignment"


@dataclass(frozen=True, slots=True)
class ErrorRule:
    """Harm: more than `ratio` times production's failures, and more than `floor` of its own. Safe: fewer than `ok_below`."""

    ratio: float = 1.5
    floor: float = 0.002
    ok_below: float = 0.01
    metric: Metric = Metric.ERROR


@dataclass(frozen=True, slots=True)
class LatencyRule:
    """Harm: its quantile is more than `ratio` times production's, and `floor` above it. Safe: it is shown to be less than that."""

    quantile: float
    ratio: float
    floor: timedelta = timedelta()
    metric: Metric = Metric.LATENCY


class Bins(StrEnum):
    """What an answer is sorted into."""

    CLASSES = "classes"
    DECILES = "deciles"


@dataclass(frozen=True, slots=True)
class OutputRule:
    """Harm: other classes than production's, `js` (Jensen-Shannon, natural logarithms) or more apart. Safe: shown to be closer."""

    js: float
    bins: Bins = Bins.CLASSES
    report: tuple[str, ...] = ("psi", "js")
    metric: Metric = Metric.OUTPUT


@dataclass(frozen=True, slots=True)
class CollapseRule:
    """Harm: more than `rate` of the answers are invalid or the same whatever is asked. Safe: shown to be fewer."""

    rate: float
    metric: Metric = Metric.COLLAPSE


@dataclass(frozen=True, slots=True)
class DisagreementRule:
    """Harm: more than `rate` of the pairs disagree. `atol`: how far numbers may lie apart; labels must be the same.

    `rank`: how much of the order of a list must be the same, as the average overlap of its beginnings (1: all of it).
    """

    rate: float
    atol: float = 1e-3
    is_label_exact: bool = True
    rank: float = 1.0
    metric: Metric = Metric.DISAGREEMENT


@dataclass(frozen=True, slots=True)
class PairedLatencyRule:
    """Harm: of two answers to one request its own takes longer in more than `share` of the pairs, a tie counting half. Safe: in fewer."""

    share: float
    metric: Metric = Metric.PAIRED_LATENCY


@dataclass(frozen=True, slots=True)
class RewardRule:
    """Harm: the mean reward is more than `drop` below production's. Safe: shown to be less than that below it."""

    drop: float
    low: float = 0.0
    high: float = 1.0
    delay: timedelta = timedelta()
    metric: Metric = Metric.REWARD

    def __post_init__(self) -> None:
        """Refuse bounds without room between them."""
        if not self.low < self.high:
            msg = f"bounds: {self.low} to {self.high} is no range"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class AssignmentRule:
    """Harm: the router does not split as planned. Safe: the true share is shown to be within a factor of 1 + `within`."""

    within: float = 0.25
    metric: Metric = Metric.ASSIGNMENT


Rule = ErrorRule | LatencyRule | OutputRule | CollapseRule | DisagreementRule | PairedLatencyRule | RewardRule | AssignmentRule

JUDGED_ALONE = frozenset({Metric.ERROR, Metric.COLLAPSE})
"""What can still be judged where the candidate has all callers and nobody is beside it: by a budget."""

UNSEEN_IN_SHADOW = frozenset({Metric.REWARD, Metric.ASSIGNMENT})
"""A shadow answers nobody: nobody rates it, and nobody was sent to it."""

SEEN_IN_SHADOW_ONLY = frozenset({Metric.DISAGREEMENT, Metric.PAIRED_LATENCY})
"""Pairs are there only where both versions answer the same request."""
