"""A3: is a rate above, or below, an absolute budget? For SAFE; as HARM it would blame a canary for an incident that all share."""

from collections.abc import Iterable
from math import log

from serving.core.statistics.outcomes import Outcomes, log_mean_exp, log_times
from serving.core.statistics.ratio import ALTERNATIVES

SAFER = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75)
"""How far below an allowed rate the mixture for SAFE looks."""


def log_e_above(seen: Outcomes, budget: float) -> float:
    """Evidence that the true rate is above `budget` (A3).

    Source: mixture of simple likelihood ratios, as in Robbins, "Statistical Methods Related to the Law of the Iterated Logarithm" (1970),
    over the alternatives of arXiv:2011.03567. Null: at every trial the chance of failure, given all before, is at most `budget`.
    Needs no independence beyond that. `budget`: a rate between 0 and 1. Units: counts in, natural logarithm out.
    """
    return _budget_evidence(seen, budget, ALTERNATIVES)


def log_e_below(seen: Outcomes, budget: float) -> float:
    """Evidence that the true rate is below `budget`. As `log_e_above`, with the null turned round: the rate is at least `budget`."""
    return _budget_evidence(seen, budget, SAFER)


def _budget_evidence(seen: Outcomes, budget: float, factors: Iterable[float]) -> float:
    rates = [budget * factor for factor in factors if budget * factor < 1]
    if not rates:
        return 0.0
    return log_mean_exp([log_times(seen.failures, rate / budget) + seen.successes * log((1 - rate) / (1 - budget)) for rate in rates])
