"""Yielding: while the gateway has to wait for a core, its callers come first, and of the copies for shadows only some are made.

A copy costs a machine about what a call costs it. With a core to spare nobody notices; with none, each is paid for with a caller's time.
How many are made follows the wait as TCP follows loss: halved while the wait is too long, a little more at each look when it is not
(additive increase, multiplicative decrease; Chiu and Jain, 1989). Which are made depends on nothing in them, so that those compared stay a
fair sample; and some are made at any load, so that a verdict does not wait for a quiet hour. See docs/decisions/0043.
"""

from collections.abc import Callable
from typing import Final

LOOK_S: Final = 0.1
"""Seconds between two looks at how long was waited."""

CROWDED: Final = 0.1
"""The share of the time that a gateway may spend waiting for a core before copies give way."""

ALWAYS_A_SECOND: Final = 200
"""Copies of one gateway that are made all the same."""

MORE: Final = 0.05
"""The share of copies that comes back at a look."""

LEAST: Final = 0.01
"""A share below this is none."""

Waited = Callable[[], float | None]
"""Seconds that the calling thread was ready to run and had no core, in all; None where that is not known."""


def never_waits() -> float | None:
    """Where nobody looks."""
    return None


class Yielding:
    """Which copies one gateway makes. Where nobody knows how long was waited, all of them."""

    def __init__(self, waited: Waited) -> None:
        self._waited = waited
        self._looked = 0.0
        self._seen: float | None = None
        self._always = 0.0
        self._credit = 0.0
        self.share = 1.0
        """Of the copies beyond those that are always made."""

    def allows(self, now: float) -> bool:
        """Whether the next copy is made. `now`: monotonic seconds."""
        if now - self._looked >= LOOK_S:
            self._look(now)
        if self.share >= 1.0:
            return True
        if self._always >= 1.0:
            self._always -= 1.0
            return True
        self._credit += self.share
        if self._credit < 1.0:
            return False
        self._credit -= 1.0
        return True

    def _look(self, now: float) -> None:
        waited, elapsed = self._waited(), now - self._looked
        if waited is not None and self._seen is not None:
            if waited - self._seen > CROWDED * elapsed:
                self.share = self.share / 2 if self.share / 2 >= LEAST else 0.0
            else:
                self.share = min(1.0, self.share + MORE)
        self._seen, self._looked = waited, now
        self._always = ALWAYS_A_SECOND * LOOK_S
