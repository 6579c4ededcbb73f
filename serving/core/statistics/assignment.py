"""The sample-ratio test: whether our own router split the traffic as planned."""

from dataclasses import dataclass
from math import lgamma, log

from serving.core.statistics.classes import log_radius
from serving.core.statistics.outcomes import log_times

CONCENTRATION = 100.0
"""How close to the planned share the alternatives lie; as Lindon and Malek's implementation has it."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """Evidence that the canary's share of the trials is not the planned one.

    Source: Lindon, Malek, arXiv:2011.03567, section 3: Dirichlet-multinomial mixture against a point null.
    Null: each trial is the canary's with probability `share`, independently. With callers that stick to an arm the trials are units: a
    few busy callers are no fault of the router.
    A new share starts a new mixture; the product of both stays an e-value (`settled` is the logarithm so far).
    Units: trials in, natural logarithm out; shares are 0 to 1.
    """

    share: float = 0.0
    canary: int = 0
    production: int = 0
    settled: float = 0.0

    def after(self, canary: int, production: int, *, share: float) -> "Assignment":
        """The evidence after more trials, planned with `share`."""
        if share != self.share:
            return Assignment(share, canary, production, self.log_e)
        return Assignment(share, self.canary + canary, self.production + production, self.settled)

    @property
    def log_e(self) -> float:
        """The evidence so far. A share of 0 or 1 leaves nothing to test."""
        if not 0 < self.share < 1:
            return self.settled
        of_canary, of_production = CONCENTRATION * self.share, CONCENTRATION * (1 - self.share)
        marginal = _log_beta(of_canary + self.canary, of_production + self.production) - _log_beta(of_canary, of_production)
        return self.settled + marginal - self.canary * log(self.share) - self.production * log(1 - self.share)

    def is_within(self, tolerance: float, alpha: float) -> bool:
        """Whether the true share is shown to lie within a factor of 1 + `tolerance` of the planned one, wrong with a chance of `alpha`."""
        counts = (self.canary, self.production)
        total = sum(counts)
        if not total or not 0 < self.share < 1:
            return False
        radius = log_radius(counts, alpha) / total
        seen = self.canary / total
        low, high = self.share / (1 + tolerance), min(self.share * (1 + tolerance), 1 - 1e-12)
        return low < seen < high and min(_divergence(seen, low), _divergence(seen, high)) > radius


def _log_beta(one: float, other: float) -> float:
    return lgamma(one) + lgamma(other) - lgamma(one + other)


def _divergence(seen: float, other: float) -> float:
    # Kullback-Leibler divergence of two coins.
    return (log_times(1, seen / other) * seen if seen else 0.0) + (1 - seen) * log((1 - seen) / (1 - other))
