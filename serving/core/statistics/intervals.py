"""What a confidence sequence says at one moment."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interval:
    """From `low` to `high`, in the units of what was observed."""

    low: float
    high: float
