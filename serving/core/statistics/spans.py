"""Evidence that begins anew again and again beside what began at the start: so a long good past forgives nothing.

`Onset` can begin with every tick, since its alternatives are fixed. Evidence that estimates what it bets on cannot: its estimates are made
of the whole past. Here several of them run at once, each over its own span of the latest ticks.
"""

from dataclasses import dataclass
from math import log

from serving.core.statistics.classes import ClassArms, Classes, Divergence
from serving.core.statistics.detector import FIRST
from serving.core.statistics.outcomes import Outcomes, log_mean_exp
from serving.core.statistics.twoarms import Direction, TwoArms

SPANS = (16, 64, 256, 1024)
"""Ticks after which each begins anew. A change is seen within about one of them and what it takes; which one, nobody need know."""

_NEVER, _ENDLESS = float("-inf"), float("inf")


def log_weight(turn: int) -> float:
    """What the evidence of a span is multiplied by that begins for the `turn`th time, from 1 on.

    Nine tenths of all are those of what never begins anew. The last one is shared alike by the spans, by each over its turns, as
    1 / (j (j + 1)): all of it adds up to 1. A mixture of e-processes is one, whenever each begins; to leave some out makes it less.
    """
    return log((1 - FIRST) / (len(SPANS) * turn * (turn + 1)))


@dataclass(frozen=True, slots=True)
class ArmsSpan:
    """Two arms' rates over the latest ticks. `settled`: the logarithm of what its earlier turns came to, each with its weight."""

    arms: TwoArms
    ticks: int = 0
    turn: int = 1
    settled: float = _NEVER

    def after(self, canary: Outcomes, production: Outcomes, *, share: float, length: int) -> "ArmsSpan":
        """With one more tick; from a span's end on, the next."""
        here = self
        if self.ticks >= length:
            here = ArmsSpan(TwoArms(direction=self.arms.direction), 0, self.turn + 1, self.log_e)
        return ArmsSpan(here.arms.after(canary, production, share=share), here.ticks + 1, here.turn, here.settled)

    @property
    def log_e(self) -> float:
        """Its part of the mixture: what ended stays at what it was worth."""
        return _log_sum(self.settled, self.arms.log_e + log_weight(self.turn))


@dataclass(frozen=True, slots=True)
class LatelyArms:
    """`TwoArms` in one direction from the start on, and over each of the spans."""

    whole: TwoArms
    spans: tuple[ArmsSpan, ...]

    @classmethod
    def of(cls, direction: Direction) -> "LatelyArms":
        """No evidence yet."""
        return cls(TwoArms(direction=direction), tuple(ArmsSpan(TwoArms(direction=direction)) for _ in SPANS))

    def after(self, canary: Outcomes, production: Outcomes, *, share: float) -> "LatelyArms":
        """The evidence after one more tick, as `TwoArms.after`."""
        if not canary.trials and not production.trials:
            return self
        spans = (one.after(canary, production, share=share, length=length) for one, length in zip(self.spans, SPANS, strict=True))
        return LatelyArms(self.whole.after(canary, production, share=share), tuple(spans))

    @property
    def log_e(self) -> float:
        """The logarithm of the mixture."""
        parts = [self.whole.log_e + log(FIRST), *(span.log_e for span in self.spans)]
        return log_mean_exp(parts) + log(len(parts))

    @property
    def strongest(self) -> TwoArms:
        """What shows the most: the whole, or a span as it is now."""
        parts = [
            (self.whole.log_e + log(FIRST), self.whole),
            *((span.arms.log_e + log_weight(span.turn), span.arms) for span in self.spans),
        ]
        return max(parts, key=lambda part: part[0])[1]


@dataclass(frozen=True, slots=True)
class ClassSpan:
    """Two arms' classes over the latest ticks."""

    arms: ClassArms
    ticks: int = 0
    turn: int = 1

    def after(self, canary: Classes, production: Classes, *, share: float, length: float) -> "ClassSpan":
        """With one more tick; from a span's end on, the next."""
        here = self if self.ticks < length else ClassSpan(ClassArms.of(len(self.arms.canary)), 0, self.turn + 1)
        return ClassSpan(here.arms.after(canary, production, share=share), here.ticks + 1, here.turn)

    @property
    def log_e(self) -> float:
        """Its evidence, less what looking at it costs."""
        return self.arms.log_e + log_weight(self.turn)


@dataclass(frozen=True, slots=True)
class LatelyClasses:
    """`ClassArms` from the start on, and over each of the spans: proof and distance are asked of the same one."""

    whole: ClassArms
    spans: tuple[ClassSpan, ...]

    @classmethod
    def of(cls, classes: int) -> "LatelyClasses":
        """No evidence yet, over so many classes."""
        return cls(ClassArms.of(classes), tuple(ClassSpan(ClassArms.of(classes)) for _ in SPANS))

    def after(self, canary: Classes, production: Classes, *, share: float, proof: "Proof") -> "LatelyClasses":
        """The evidence after one more tick, as `ClassArms.after`. A span that has given the proof goes on: it shall not be forgotten."""
        if not any(canary) and not any(production):
            return self
        spans = (
            one.after(canary, production, share=share, length=_ENDLESS if proof.is_given_by(one.log_e, one.arms) else length)
            for one, length in zip(self.spans, SPANS, strict=True)
        )
        return LatelyClasses(self.whole.after(canary, production, share=share), tuple(spans))

    def strongest(self, proof: "Proof") -> tuple[float, ClassArms]:
        """The strongest evidence among those whose arms are far enough apart, and its arms; where none are, the whole's."""
        whole = self.whole.log_e + log(FIRST)
        every = [(whole, self.whole), *((span.log_e, span.arms) for span in self.spans)]
        apart = [(log_e, arms) for log_e, arms in every if proof.is_far(arms)]
        return max(apart, key=lambda one: one[0], default=(whole, self.whole))


@dataclass(frozen=True, slots=True)
class Proof:
    """What it takes to prove harm: evidence of at least so much, by arms that are at least so far apart."""

    log_e: float
    js: float

    def is_far(self, arms: ClassArms) -> bool:
        """Whether the two are far enough apart."""
        return Divergence(arms.canary, arms.production).js >= self.js

    def is_given_by(self, log_e: float, arms: ClassArms) -> bool:
        """Whether one evidence is all of it."""
        return log_e >= self.log_e and self.is_far(arms)


def _log_sum(one: float, other: float) -> float:
    high, low = max(one, other), min(one, other)
    return high if low == _NEVER else high + log_mean_exp((0.0, low - high)) + log(2)
