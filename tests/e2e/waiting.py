"""Waiting for a condition, with a deadline: the only way in which these tests let time pass."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

LOOK_S = 0.02


class TooLate(AssertionError):
    """A condition that did not come true in time."""

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(f"not within {seconds:g} s: {what}")


def wait_for(look: Callable[[], Found | None], what: str, *, seconds: float = 60.0) -> Found:
    """Look again and again until something is found (an empty answer is none), and give it back. Raises `TooLate`."""
    until = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > until:
            raise TooLate(what, seconds)
        time.sleep(LOOK_S)
