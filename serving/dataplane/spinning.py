"""Waiting awake: for a moment an event loop goes on turning rather than sleeping, where the next message is likely to be near.

Every request crosses two processes that would otherwise have just gone to sleep. Waking them, with caches gone cold, took more than
half of a lone request's time. So both ends of a link stay awake for a moment after a write, and let anybody else who wants the core go
first. See docs/decisions/0011.
"""

import asyncio
import os
import time
from collections.abc import Callable


class Spinner:
    """Keeps one loop turning for at most `seconds` at a time; zero turns it off."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._loop = loop
        self._seconds = seconds
        self._until = 0.0
        self._is_turning = False

    def spin(self, still_waiting: Callable[[], bool]) -> None:
        """Wait awake from now on while `still_waiting`, but not for long."""
        if self._seconds <= 0:
            return
        self._until = time.monotonic() + self._seconds
        if not self._is_turning:
            self._is_turning = True
            self._loop.call_soon(self._turn, still_waiting)

    def _turn(self, still_waiting: Callable[[], bool]) -> None:
        if still_waiting() and time.monotonic() < self._until:
            os.sched_yield()  # whoever else wants this core goes first
            self._loop.call_soon(self._turn, still_waiting)
        else:
            self._is_turning = False
