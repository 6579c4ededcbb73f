"""Paired latency: of two answers to the same request, which took longer. A pair that shows no difference counts half."""

from dataclasses import dataclass
from math import log

from serving.core.statistics.detector import onward
from serving.core.statistics.outcomes import log_mean_exp

LEANINGS = (0.55, 0.6, 0.7, 0.8, 0.9, 0.97)
"""How often the slower of two versions is the slower one of a pair, from a nuance to nearly always."""

FAIR_OR_FASTER = (0.03, 0.2, 0.35, 0.5, 0.55)
"""The same for one that is as fast as the other, or faster."""


@dataclass(frozen=True, slots=True)
class Signs:
    """Pairs by who took longer: the shadow was `slower`, it was `faster`, or the two are `tied`."""

    slower: int = 0
    faster: int = 0
    tied: int = 0

    def __post_init__(self) -> None:
        """Refuse counts below nothing."""
        if min(self.slower, self.faster, self.tied) < 0:
            msg = f"no pairs come to {self}"
            raise ValueError(msg)

    def __add__(self, other: "Signs") -> "Signs":
        return Signs(self.slower + other.slower, self.faster + other.faster, self.tied + other.tied)

    @property
    def pairs(self) -> int:
        """How many there are."""
        return self.slower + self.faster + self.tied

    @property
    def share(self) -> float:
        """In what share of them the shadow took longer, a tie counting half; a half without pairs."""
        return (self.slower + self.tied / 2) / self.pairs if self.pairs else 0.5


def log_e_slower(seen: Signs, tolerated: float = 0.5) -> float:
    """Evidence that the shadow is the slower one of a pair more often than `tolerated`: a sign test that may be looked at at any time.

    Source: the sign test with a mixture of simple alternatives, as `log_e_above`. A tie is worth the mean of what both signs are worth:
    so a pair multiplies the evidence of an alternative by 1 + b (x - tolerated) with x of 0, 1/2 or 1, which is a bet on a bounded mean
    (arXiv:2010.09686). Null: given all before, the mean of x is at most `tolerated` (0 to 1). The distribution of the latencies does not
    matter, nor that a pair shares its request. Units: pairs in, natural logarithm out.
    """
    return _evidence(seen, tolerated, tuple(leaning for leaning in LEANINGS if leaning > tolerated))


def log_e_not_slower(seen: Signs, tolerated: float = 0.5) -> float:
    """Evidence that it is so less often than `tolerated`. As `log_e_slower`, with the null turned round: at least `tolerated`."""
    return _evidence(seen, tolerated, tuple(leaning for leaning in FAIR_OR_FASTER if leaning < tolerated))


@dataclass(frozen=True, slots=True)
class SlowerOnset:
    """`log_e_slower` from some tick on, whichever that was: a long fast past forgives nothing. Source and guarantee as `Onset`."""

    tolerated: float
    logs: tuple[float, ...] = ()
    ticks: int = 0

    def after(self, new: Signs) -> "SlowerOnset":
        """With one more tick; one without pairs is none."""
        leanings = tuple(leaning for leaning in LEANINGS if leaning > self.tolerated)
        if not new.pairs or not leanings:
            return self
        gains = tuple(_gain(new, leaning, self.tolerated) for leaning in leanings)
        logs = self.logs or (float("-inf"),) * len(leanings)
        return SlowerOnset(self.tolerated, onward(logs, gains, tick=self.ticks + 1), self.ticks + 1)

    @property
    def log_e(self) -> float:
        """The evidence so far."""
        return log_mean_exp(self.logs) if self.ticks else 0.0


def _evidence(seen: Signs, tolerated: float, leanings: tuple[float, ...]) -> float:
    return log_mean_exp([_gain(seen, leaning, tolerated) for leaning in leanings]) if leanings else 0.0


def _gain(new: Signs, leaning: float, tolerated: float) -> float:
    slower, faster = leaning / tolerated, (1 - leaning) / (1 - tolerated)
    return new.slower * log(slower) + new.faster * log(faster) + new.tied * log((slower + faster) / 2)
