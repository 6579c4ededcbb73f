"""Splitting traffic: who answers is a pure function of a salt and the caller's key, so it is sticky and monotone.

The point is `sha256(salt US key)` read as a fraction of the unit interval. A low-end canary answers below its weight, a high-end
one above one minus its weight: raising a weight only ever moves callers from production to that canary. The hash is a
frozen contract; its vectors are in tests/golden.
"""

from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

WHOLE = 10_000
"""Weights are basis points: this many are all of the traffic."""

_SCALE = 2.0**-64
BELOW_ONE = 1.0 - 2.0**-53
"""The largest point there is."""


class End(StrEnum):
    """The end of the unit interval that a canary grows from; two canaries grow towards each other."""

    LOW = "low"
    HIGH = "high"


def point(salt: str, key: str) -> float:
    """Where a key falls in [0, 1): the same for ever, whatever process asks."""
    fraction = int.from_bytes(sha256(f"{salt}\x1f{key}".encode("utf-8", "surrogateescape")).digest()[:8]) * _SCALE
    # The last 2**10 integers round up to 1.0, which no slice of the whole would cover.
    return min(fraction, BELOW_ONE)


def refuse_weight(field: str, weight: int) -> None:
    """Raise `ValueError` unless 0 <= weight <= WHOLE."""
    if not 0 <= weight <= WHOLE:
        msg = f"{field} must be between 0 and {WHOLE} basis points, not {weight}"
        raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Slice:
    """A canary's part of the unit interval: `weight` basis points from one end."""

    end: End
    weight: int

    def __post_init__(self) -> None:
        """Refuse a weight outside 0..WHOLE."""
        refuse_weight("weight", self.weight)

    def covers(self, at: float) -> bool:
        """Whether a point falls into this slice."""
        share = self.weight / WHOLE
        return at < share if self.end is End.LOW else at >= 1.0 - share
