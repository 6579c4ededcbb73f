"""Confidence sequences for means: intervals that are right at all times at once, so that one may stop whenever one likes."""

from dataclasses import dataclass
from math import inf, isfinite, log, log1p, sqrt

from serving.core.statistics.intervals import Interval

_LARGEST_BET = 0.5
"""c of arXiv:2010.09686, Theorem 2: keeps the bets away from ruin."""


@dataclass(frozen=True, slots=True)
class Sums:
    """A number of scores, their sum and the sum of their squares: all that a tick has to say of them. Refuses NaN and infinities."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no scores could add up to."""
        # By Cauchy and Schwarz total^2 <= count * squares; the slack is for rounding.
        is_possible = self.count >= 0 and isfinite(self.total) and isfinite(self.squares)
        if not is_possible or self.total**2 > self.count * self.squares * (1 + 1e-9) + 1e-9:
            msg = f"{self.count} scores cannot have sum {self.total} and squares {self.squares}"
            raise ValueError(msg)

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(self.count + other.count, self.total + other.total, self.squares + other.squares)

    @property
    def mean(self) -> float:
        """The mean; 0 without scores."""
        return self.total / self.count if self.count else 0.0

    def about(self, centre: float) -> float:
        """The sum of squared distances from a centre."""
        return max(self.squares - 2 * centre * self.total + self.count * centre * centre, 0.0)


@dataclass(frozen=True, slots=True)
class BernsteinSequence:
    """A confidence sequence for the mean of scores with known bounds: empirical Bernstein, narrow where they vary little.

    Source: Waudby-Smith, Ramdas, "Estimating means of bounded random variables by betting", arXiv:2010.09686, Theorem 2.
    Assumes: each score lies in [0, 1] (scale before) and has, given all before, the same mean; nothing of its distribution.
    The estimates of mean and variance and the bet are those at the start of a tick, so ticks of one score give the paper's sequence.
    Units: scores of 0 to 1. `alpha`: the chance that the interval is ever wrong, on either side.
    """

    alpha: float
    seen: Sums = Sums()
    spread: float = 0.0
    """Sum of (x - the estimate before it)^2 after its update, for the variance estimate."""
    bets: float = 0.0
    betted: float = 0.0
    """Sum of bet times score."""
    penalty: float = 0.0

    def after(self, tick: Sums) -> "BernsteinSequence":
        """The sequence after more scores, all of them in [0, 1]."""
        if not tick.count:
            return self
        bet = self._bet()
        psi = -log1p(-bet) - bet
        seen = self.seen + tick
        return BernsteinSequence(
            alpha=self.alpha,
            seen=seen,
            spread=self.spread + tick.about((0.5 + seen.total) / (seen.count + 1)),
            bets=self.bets + bet * tick.count,
            betted=self.betted + bet * tick.total,
            penalty=self.penalty + psi * tick.about(self._centre),
        )

    @property
    def interval(self) -> Interval:
        """Where the mean is; all of [0, 1] without scores."""
        if not self.bets:
            return Interval(0.0, 1.0)
        centre = self.betted / self.bets
        radius = (log(2 / self.alpha) + self.penalty) / self.bets
        return Interval(max(centre - radius, 0.0), min(centre + radius, 1.0))

    @property
    def _centre(self) -> float:
        return (0.5 + self.seen.total) / (self.seen.count + 1)

    def _bet(self) -> float:
        variance = (0.25 + self.spread) / (self.seen.count + 1)
        ordinal = self.seen.count + 1
        return min(sqrt(2 * log(2 / self.alpha) / (variance * ordinal * log1p(ordinal))), _LARGEST_BET)


@dataclass(frozen=True, slots=True)
class AsymptoticSequence:
    """A confidence sequence for any mean with a finite variance, in the long run. Never for rare errors.

    Source: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, "Time-uniform central limit theory and asymptotic confidence sequences",
    arXiv:2103.06476, Theorem 2.2 (two-sided); narrowest at `narrowest_at` observations (its equation for rho).
    Assumes: independent scores with a common mean; right only as their number grows, so it says nothing before `patience` of them.
    Units: those of the scores.
    """

    alpha: float
    seen: Sums = Sums()
    narrowest_at: int = 5000
    patience: int = 100

    def after(self, tick: Sums) -> "AsymptoticSequence":
        """The sequence after more scores."""
        return AsymptoticSequence(self.alpha, self.seen + tick, self.narrowest_at, self.patience)

    @property
    def interval(self) -> Interval:
        """Where the mean is; everywhere before `patience` scores."""
        count = self.seen.count
        if count < max(self.patience, 2):
            return Interval(-inf, inf)
        variance = self.seen.about(self.seen.mean) / (count - 1)
        scaled = count * self.rho**2
        radius = sqrt(variance) * sqrt(2 * (scaled + 1) * log(sqrt(scaled + 1) / self.alpha)) / (count * self.rho)
        return Interval(self.seen.mean - radius, self.seen.mean + radius)

    @property
    def rho(self) -> float:
        """The tuning that makes the interval narrowest at `narrowest_at` (equation 161 of version 7)."""
        twice = -2 * log(self.alpha)
        return sqrt((twice + log(twice + 1)) / self.narrowest_at)
