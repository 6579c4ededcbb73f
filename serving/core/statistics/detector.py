"""Evidence that does not forgive a late jump because of a long good past: the e-detector, and the e-process of a late onset."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, log1p

from serving.core.statistics.outcomes import Outcomes, log_mean_exp, log_times
from serving.core.statistics.ratio import ALTERNATIVES, ErrorRatio

FIRST = 0.9
"""Of the weight: for what is so from the start. The rest is for whatever begins later."""


@dataclass(frozen=True, slots=True)
class Detector:
    """A change at an unknown moment: for each alternative M_t = (M_{t-1} + 1) e_t, and their mean.

    Source: Shin, Ramdas, Rinaldo, "E-detectors: a nonparametric framework for sequential change detection", arXiv:2203.03532 (the
    Shiryaev-Roberts e-detector). While the null holds the mean of M_t is at most t, so the first alarm at 1/alpha comes on average after
    no fewer than 1/alpha ticks. It is no test at level alpha for ever, and therefore watches only after promotion.
    Shapes: one logarithm for each alternative. Units: natural logarithms in and out.
    """

    logs: tuple[float, ...] = (float("-inf"),) * len(ALTERNATIVES)

    def after(self, gains: Sequence[float]) -> "Detector":
        """The detector after a tick; `gains` are log e_t of each alternative: what the tick added to its log-likelihood ratio."""
        return Detector(tuple(_log_one_more(log_m) + gain for log_m, gain in zip(self.logs, gains, strict=True)))

    @property
    def log_m(self) -> float:
        """The logarithm of the mean; minus infinity before the first tick."""
        return log_mean_exp(self.logs)


def _log_one_more(log_m: float) -> float:
    return log_m + log1p(exp(-log_m)) if log_m > 0 else log1p(exp(log_m))


@dataclass(frozen=True, slots=True)
class Onset:
    """Evidence that a rate is above a budget from some tick on, whichever that was: a long good past forgives nothing.

    Source: the same recursion with a prior on the tick of the change, M_t = (M_{t-1} + w_t) e_t with w_t = 1 / (t (t + 1)): a mixture of
    the likelihood ratios that begin at each tick, of which each is an e-process and whose weights add up to 1. So it is one too: under
    the null it ever reaches 1/alpha with a chance of at most alpha (Ville), however often it is looked at. A change at tick t costs
    log t (t + 1); one from the beginning log 2. Null and units as `log_e_above`.
    """

    budget: float
    logs: tuple[float, ...] = (float("-inf"),) * len(ALTERNATIVES)
    ticks: int = 0

    def after(self, new: Outcomes) -> "Onset":
        """With one more tick; one without trials is none."""
        if not new.trials:
            return self
        gains = tuple(self._gain(new, times) for times in ALTERNATIVES)
        return Onset(self.budget, onward(self.logs, gains, tick=self.ticks + 1), self.ticks + 1)

    @property
    def log_e(self) -> float:
        """The evidence so far."""
        return log_mean_exp(self.logs) if self.ticks else 0.0

    def _gain(self, new: Outcomes, times: float) -> float:
        rate = self.budget * times
        if rate >= 1:
            return float("-inf")
        return log_times(new.failures, times) + new.successes * log((1 - rate) / (1 - self.budget))


@dataclass(frozen=True, slots=True)
class RatioOnset:
    """`ErrorRatio` from some tick on, whichever that was: a long good past forgives nothing. Source and guarantee as `Onset`.

    The prior has 9/10 for the first tick, so that what is bad from the start is found as soon as ever, and 1 / (10 t (t - 1)) for tick t.
    `tolerated`: how many times as often as production the canary may fail. Units: failures in, natural logarithm out.
    """

    tolerated: float = 1.0
    logs: tuple[float, ...] = (float("-inf"),) * len(ALTERNATIVES)
    ticks: int = 0

    def after(self, canary_failures: int, production_failures: int, *, share: float) -> "RatioOnset":
        """With one more tick, seen while the canary had `share` (0 to 1) of the traffic; one without failures is none."""
        if not canary_failures and not production_failures:
            return self
        gains = ErrorRatio(self.tolerated).after(canary_failures, production_failures, share=share).likelihoods
        tick = self.ticks + 1
        weight = log(FIRST) if tick == 1 else log((1 - FIRST) / (tick * (tick - 1)))
        return RatioOnset(self.tolerated, begun(self.logs, gains, weight=weight), tick)

    @property
    def log_e(self) -> float:
        """The evidence so far."""
        return log_mean_exp(self.logs) if self.ticks else 0.0


def onward(logs: Sequence[float], gains: Sequence[float], *, tick: int) -> tuple[float, ...]:
    """The recursion of `Onset` for each alternative: what has begun before, or begins with this tick, times what the tick is worth."""
    return begun(logs, gains, weight=-log(tick * (tick + 1)))


def begun(logs: Sequence[float], gains: Sequence[float], *, weight: float) -> tuple[float, ...]:
    """The same, with the logarithm of the weight of what begins with this tick."""
    return tuple(_log_sum(log_m, weight) + gain for log_m, gain in zip(logs, gains, strict=True))


def _log_sum(one: float, other: float) -> float:
    high, low = max(one, other), min(one, other)
    return high + log1p(exp(low - high))
