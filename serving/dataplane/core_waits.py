"""How long a thread waited for a core, as the kernel counts it."""

import os
from typing import Final

SCHEDSTAT: Final = "/proc/thread-self/schedstat"
"""Nanoseconds on a core, nanoseconds ready to run without one, turns (Linux, Documentation/scheduler/sched-stats.rst)."""

_ROOM = 128


class CoreWaits:
    """Called by one thread, tells how many seconds this thread was ready to run and had no core, in all; None where the kernel does not."""

    def __init__(self, path: str = SCHEDSTAT) -> None:
        self._path = path
        self._file: int | None = None

    def __call__(self) -> float | None:
        """Read it; some microseconds."""
        try:
            if self._file is None:
                self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            return int(os.pread(self._file, _ROOM, 0).split()[1]) / 1e9
        except (OSError, ValueError, IndexError):
            return None
