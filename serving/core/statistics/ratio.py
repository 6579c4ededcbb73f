"""A2: whether the canary fails more than so many times as often as production, from failures alone."""

from dataclasses import dataclass
from math import log

from serving.core.statistics.outcomes import log_mean_exp

ALTERNATIVES = (1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0)
"""How many times worse than allowed the mixtures look for, from a drift to a collapse."""

RELIEFS = (0.1, 0.25, 0.5, 0.7, 0.85)
"""The same downwards: how many times better than allowed a canary may be that is shown to be safe."""


@dataclass(frozen=True, slots=True)
class ErrorRatio:
    """Evidence that the canary's failure rate is more than `tolerated` times production's (A2).

    Source: Lindon, Malek, "Anytime-Valid Inference for Multinomial Count Data", arXiv:2011.03567: given that a trial failed, it was the
    canary's with probability theta(r) = share r / (share r + 1 - share), whatever the base rate was at that moment.
    Null: the ratio of the rates is at most `tolerated` (with `alternatives` above 1), or at least that (with `alternatives` below 1).
    Assumes: as `TwoArms`. A failure of one trial in a thousand is enough data; successes are not looked at.
    Kept as one log-likelihood ratio for each alternative, because these add up over stages of different shares and their mixture does not.
    Shapes: `likelihoods` has the length of `alternatives`. Units: failures in, natural logarithm out.
    """

    tolerated: float = 1.0
    alternatives: tuple[float, ...] = ALTERNATIVES
    likelihoods: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Start every alternative at 0."""
        if not self.likelihoods:
            object.__setattr__(self, "likelihoods", (0.0,) * len(self.alternatives))

    def after(self, canary_failures: int, production_failures: int, *, share: float) -> "ErrorRatio":
        """The evidence after more failures, seen while the canary had `share` (0 to 1) of the traffic."""
        if not canary_failures and not production_failures:
            return self
        failures = canary_failures + production_failures
        allowed = _odds_total(self.tolerated, share)
        gains = (
            canary_failures * log(times) + failures * log(allowed / _odds_total(self.tolerated * times, share))
            for times in self.alternatives
        )
        summed = tuple(old + gain for old, gain in zip(self.likelihoods, gains, strict=True))
        return ErrorRatio(self.tolerated, self.alternatives, summed)

    def gains(self, before: "ErrorRatio") -> tuple[float, ...]:
        """What each alternative gained since `before`: the tick of a `Detector`."""
        return tuple(now - then for now, then in zip(self.likelihoods, before.likelihoods, strict=True))

    @property
    def log_e(self) -> float:
        """The evidence so far."""
        return log_mean_exp(self.likelihoods)


def _odds_total(ratio: float, share: float) -> float:
    # theta(r) = share r / _odds_total(r): written so that a share of 1 divides nothing by zero.
    return share * ratio + 1 - share
