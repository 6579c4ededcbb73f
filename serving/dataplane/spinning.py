"""Waiting awake: for a moment an event loop goes on turning rather than sleeping, where the next message is likely to be near.

With one caller at a time every request crosses two processes that have just gone to sleep. Waking them, with caches gone cold, took
more than half of such a request's time. So both ends of a link stay awake for a moment while requests come one by one; as soon as they
come in batches there is work enough, and nobody waits awake. See docs/decisions/0011.
"""

import asyncio
import os
import time
from collections.abc import Callable

STREAK = 16
"""Messages that must have come one by one before anybody waits awake for the next."""


class Spinner:
    """Keeps one loop turning for at most `seconds` at a time; zero turns it off."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._loop = loop
        self._seconds = seconds
        self._until = 0.0
        self._is_turning = False
        self._streak = 0

    def sent(self, messages: int, still_waiting: Callable[[], bool]) -> None:
        """Take note of a write: after a streak of single messages, wait awake while `still_waiting`, but not for long."""
        self._streak = self._streak + 1 if messages == 1 else 0
        if self._streak < STREAK or self._seconds <= 0:
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
