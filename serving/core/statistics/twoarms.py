"""A1: do two arms fail at different rates? Exact for any base rate, also one that changes with time."""

from dataclasses import dataclass, field
from enum import StrEnum
from math import log

from serving.core.statistics.outcomes import Outcomes


class Direction(StrEnum):
    """What is looked for in the canary."""

    WORSE = "worse"
    BETTER = "better"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class TwoArms:
    """Evidence that the canary's rate differs from production's in one direction (A1).

    Source: Turner, Ly, Grünwald, "Generic E-Variables for Exact Sequential k-Sample Tests", arXiv:2106.02693, adapted to arms that are
    not balanced: the simple alternative (th_c, th_p) is bet against th_0 = share * th_c + (1 - share) * th_p.
    Null: at every moment th_c <= th_p (`WORSE`), th_c >= th_p (`BETTER`) or th_c = th_p (`DIFFERENT`); the common rate may change at will.
    Assumes: who answers a trial is decided at random with probability `share`, known before the outcome; trials are independent given
    the rates. Callers who stick to an arm and fail again and again break that: count units (`windows`).
    Units: counts in, natural logarithm out.
    """

    canary: Outcomes = field(default_factory=Outcomes)
    production: Outcomes = field(default_factory=Outcomes)
    log_e: float = 0.0
    direction: Direction = Direction.WORSE

    def after(self, canary: Outcomes, production: Outcomes, *, share: float) -> "TwoArms":
        """The evidence after one more tick.

        `canary`, `production`: the tick's own trials, in one look or in many: within a tick the bets stay as they were at its start.
        `share`: the chance, 0 to 1, that a trial of the tick was the canary's, fixed before it; it may differ from tick to tick.
        """
        of_canary, of_production = self.canary.expected, self.production.expected
        pooled = share * of_canary + (1 - share) * of_production
        gain = 0.0
        if self._bets(of_canary, of_production):
            gain = _gain(canary, of_canary, pooled) + _gain(production, of_production, pooled)
        return TwoArms(self.canary + canary, self.production + production, self.log_e + gain, self.direction)

    def _bets(self, of_canary: float, of_production: float) -> bool:
        match self.direction:
            case Direction.WORSE:
                return of_canary > of_production
            case Direction.BETTER:
                return of_canary < of_production
            case Direction.DIFFERENT:
                return True


def _gain(seen: Outcomes, supposed: float, pooled: float) -> float:
    return seen.failures * log(supposed / pooled) + seen.successes * log((1 - supposed) / (1 - pooled))
