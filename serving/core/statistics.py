"""Evidence from counters alone that may be looked at as often as one likes.

Each figure is the logarithm of an e-value: it starts at 0 and is a supermartingale while its null hypothesis holds, so the chance
that it ever reaches log(1/alpha) by accident is at most alpha (Ville's inequality), however often it is looked at.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import exp, fsum, log

ALTERNATIVES = (1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0)
"""How many times worse than allowed the mixtures look for, from a drift to a collapse."""

SAFER = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75)
"""The same downwards: how far below an allowed rate the mixture for SAFE looks."""

_PRIOR = 0.18
"""Pseudo-counts of a success and of a failure in the plug-in estimates (Turner, Ly, Grünwald arXiv:2106.02693)."""


def log_mean_exp(values: Sequence[float]) -> float:
    """The logarithm of the mean of exponentials, without overflow."""
    top = max(values)
    return top + log(fsum(exp(value - top) for value in values) / len(values))


@dataclass(frozen=True, slots=True)
class Outcomes:
    """How many of a number of trials failed (or had whatever property is counted)."""

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
    def rate(self) -> float:
        """The share of failures; 0 without trials."""
        return self.failures / self.trials if self.trials else 0.0

    @property
    def expected(self) -> float:
        """The plug-in estimate of the failure rate, never 0 or 1."""
        return (self.failures + _PRIOR) / (self.trials + 2 * _PRIOR)


@dataclass(frozen=True, slots=True)
class TwoArms:
    """Do two arms differ? Exact for any base rate, also one that changes with time (arXiv:2106.02693).

    One-sided: only a canary that looks worse than production is evidence.
    """

    canary: Outcomes = field(default_factory=Outcomes)
    production: Outcomes = field(default_factory=Outcomes)
    log_e: float = 0.0

    def after(self, canary: Outcomes, production: Outcomes, *, share: float) -> "TwoArms":
        """The evidence after one more tick in which the canary had `share` of the traffic, as fixed before it."""
        worse, better = self.canary.expected, self.production.expected
        pooled = share * worse + (1 - share) * better
        gain = _gain(canary, worse, pooled) + _gain(production, better, pooled) if worse > better else 0.0
        return TwoArms(self.canary + canary, self.production + production, self.log_e + gain)


def _gain(seen: Outcomes, supposed: float, pooled: float) -> float:
    return seen.failures * log(supposed / pooled) + (seen.trials - seen.failures) * log((1 - supposed) / (1 - pooled))


@dataclass(frozen=True, slots=True)
class ErrorRatio:
    """Does the canary fail more than `tolerated` times as often as production? From failures alone (arXiv:2011.03567).

    Kept as one log-likelihood per alternative: they add up over stages of different shares, their mixture does not.
    """

    tolerated: float = 1.0
    likelihoods: tuple[float, ...] = (0.0,) * len(ALTERNATIVES)

    def after(self, canary_failures: int, production_failures: int, *, share: float) -> "ErrorRatio":
        """The evidence after more failures, seen while the canary had `share` of the traffic."""
        if not canary_failures and not production_failures:
            return self
        failures = canary_failures + production_failures
        allowed = _odds_total(self.tolerated, share)
        gains = (
            canary_failures * log(times) + failures * log(allowed / _odds_total(self.tolerated * times, share)) for times in ALTERNATIVES
        )
        return ErrorRatio(self.tolerated, tuple(old + gain for old, gain in zip(self.likelihoods, gains, strict=True)))

    @property
    def log_e(self) -> float:
        """The evidence so far."""
        return log_mean_exp(self.likelihoods)


def _odds_total(ratio: float, share: float) -> float:
    # theta(r) = share r / _odds_total(r): written so that a share of 1 divides nothing by zero.
    return share * ratio + 1 - share


def log_e_above(seen: Outcomes, budget: float) -> float:
    """Evidence that the true rate is above `budget`, under the null that it is at or below it."""
    return _budget_evidence(seen, budget, ALTERNATIVES)


def log_e_below(seen: Outcomes, budget: float) -> float:
    """Evidence that the true rate is below `budget`, under the null that it is at or above it."""
    return _budget_evidence(seen, budget, SAFER)


def _budget_evidence(seen: Outcomes, budget: float, factors: Iterable[float]) -> float:
    successes = seen.trials - seen.failures
    rates = [budget * factor for factor in factors if budget * factor < 1]
    if not rates:
        return 0.0
    return log_mean_exp([_log_times(seen.failures, rate / budget) + successes * log((1 - rate) / (1 - budget)) for rate in rates])


def _log_times(count: int, ratio: float) -> float:
    if count == 0:
        return 0.0
    return count * log(ratio) if ratio > 0 else float("-inf")
