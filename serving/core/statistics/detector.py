"""The e-detector: beside the cumulative evidence, one that does not forgive a late jump because of a long good past."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log1p

from serving.core.statistics.outcomes import log_mean_exp
from serving.core.statistics.ratio import ALTERNATIVES


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
