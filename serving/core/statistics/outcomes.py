"""Trials of which some failed, and the arithmetic that every test shares."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, fsum, isfinite, log

_PRIOR = 0.18
"""Pseudo-counts of a success and of a failure in the plug-in estimates (Turner, Ly, Grünwald, arXiv:2106.02693, section 4)."""


def log_mean_exp(values: Sequence[float]) -> float:
    """The logarithm of the mean of exponentials, without overflow. `values`: at least one, natural logarithms."""
    top = max(values)
    if not isfinite(top):
        return top
    return top + log(fsum(exp(value - top) for value in values) / len(values))


def log_times(count: int, ratio: float) -> float:
    """`count * log(ratio)`, with 0 * log(0) = 0: an alternative that forbids failures is not ruined before there is one."""
    if count == 0:
        return 0.0
    return count * log(ratio) if ratio > 0 else float("-inf")


@dataclass(frozen=True, slots=True)
class Outcomes:
    """How many of a number of trials failed (or had whatever property is counted). Raises `ValueError` for more failures than trials."""

    failures: int = 0
    trials: int = 0

    def __post_init__(self) -> None:
        """Refuse more failures than trials."""
        if not 0 <= self.failures <= self.trials:
            msg = f"{self.failures} of {self.trials} is no outcome"
            raise ValueError(msg)

    def __add__(self, other: "Outcomes") -> "Outcomes":
        return Outcomes(self.failures + other.failures, self.trials + other.trials)

    @property
    def successes(self) -> int:
        """The trials that did not fail."""
        return self.trials - self.failures

    @property
    def rate(self) -> float:
        """The share of failures; 0 without trials."""
        return self.failures / self.trials if self.trials else 0.0

    @property
    def expected(self) -> float:
        """The plug-in estimate of the failure rate, never 0 or 1."""
        return (self.failures + _PRIOR) / (self.trials + 2 * _PRIOR)
