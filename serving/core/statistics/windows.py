"""Unit windows: a caller who sticks to one arm and fails always is one outcome, not a thousand."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import log

from serving.core.statistics.outcomes import Outcomes


def spent(log_e: float, window: int) -> float:
    """What a window's evidence is worth in the whole: window 1 is given half of alpha, window j a share of 1 / (j (j + 1)).

    Callers come back, so the windows depend on each other and their evidence must not be added up. The shares sum to 1: by the union
    bound the chance that any window ever reaches log(1/alpha) is at most alpha, whatever the dependence. `window` counts from 1.
    """
    return log_e - log(window * (window + 1))


@dataclass(frozen=True, slots=True)
class UnitWindow:
    """Which units were seen in a window; the first answer that a unit gets in it is its outcome there, in the arm that gave it.

    Assumes: a unit's arm is drawn by its hash. Then, given everything else, the arm of each failing unit is a draw with the canary's
    share, however often the unit comes back: exactly what `TwoArms` and `ErrorRatio` want of a trial. Units are hashes (any integers).
    """

    arms: Mapping[str, Outcomes] = field(default_factory=dict[str, Outcomes])
    units: frozenset[int] = frozenset()

    def after(self, answers: Iterable[tuple[int, str, bool]]) -> "UnitWindow":
        """The window after more answers: (unit, arm, whether it failed). A unit that was seen before adds nothing."""
        arms, units = dict(self.arms), set(self.units)
        for unit, arm, failed in answers:
            if unit not in units:
                units.add(unit)
                arms[arm] = arms.get(arm, Outcomes()) + Outcomes(int(failed), 1)
        return UnitWindow(arms, frozenset(units))

    def of(self, arm: str) -> Outcomes:
        """The units of an arm."""
        return self.arms.get(arm, Outcomes())
