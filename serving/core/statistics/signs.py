"""Paired latency: of two answers to the same request, which took longer."""

from math import log

from serving.core.statistics.outcomes import Outcomes, log_mean_exp

LEANINGS = (0.55, 0.6, 0.7, 0.8, 0.9, 0.97)
"""How often the slower of two versions is the slower one of a pair, from a nuance to nearly always."""


def log_e_slower(seen: Outcomes, tolerated: float = 0.5) -> float:
    """Evidence that the shadow is the slower one of a pair more often than `tolerated`: a sign test that may be looked at at any time.

    `seen`: failures are pairs in which the shadow took longer (by whatever factor the caller allows), trials all pairs without a tie.
    Source: the sign test with a mixture of simple alternatives, as `log_e_above`. Null: given all before, the chance is at most
    `tolerated` (0 to 1). The distribution of the latencies does not matter, nor that a pair shares its request.
    Units: pairs in, natural logarithm out.
    """
    leanings = [leaning for leaning in LEANINGS if leaning > tolerated]
    if not leanings:
        return 0.0
    return log_mean_exp(
        [seen.failures * log(leaning / tolerated) + seen.successes * log((1 - leaning) / (1 - tolerated)) for leaning in leanings]
    )
