"""Waiting awake: for a moment an event loop goes on turning rather than sleeping, where the next message is likely to be near.

With one caller at a time every request crosses two processes that have just gone to sleep. Waking them, with caches gone cold, took
more than half of such a request's time. So both ends of a link stay awake for a moment while requests come one by one; as soon as they
come in batches there is work enough, and nobody waits awake. Where waiting awake does not pay (callers pause for longer, the model takes
longer, or a busy neighbour keeps the other end from running), it ends by itself. See docs/decisions/0011.
"""

import asyncio
import os
import time
from collections.abc import Callable

STREAK = 16
"""Messages that must have come one by one before anybody waits awake for the next."""

LONGEST_STREAK = 4096
"""The same after many waits in vain: each doubles it, one that was rewarded makes it short again."""


class Spinner:
    """Keeps one loop turning for at most `seconds` at a time; zero turns it off."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._loop = loop
        self._seconds = seconds
        self._until = 0.0
        self._is_turning = False
        self._streak = 0
        self._needed = STREAK

    def sent(self, messages: int, still_waiting: Callable[[], bool]) -> None:
        """Take note of a write: after a streak of single messages, wait awake while `still_waiting`, but not for long."""
        self._streak = self._streak + 1 if messages == 1 else 0
        if self._streak < self._needed or self._seconds <= 0:
            return
        self._until = time.monotonic() + self._seconds
        if not self._is_turning:
            self._is_turning = True
            self._loop.call_soon(self._turn, still_waiting)

    def _turn(self, still_waiting: Callable[[], bool]) -> None:
        if not still_waiting():
            self._is_turning = False
            self._needed = STREAK
        elif time.monotonic() < self._until:
            os.sched_yield()  # whoever else of this session wants the core goes first; other sessions the kernel does not let us yield to
            self._loop.call_soon(self._turn, still_waiting)
        else:
            self._is_turning = False
            self._streak, self._needed = 0, min(self._needed * 2, LONGEST_STREAK)
