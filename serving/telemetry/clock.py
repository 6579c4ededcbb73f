"""The real clock."""

import time
from datetime import UTC, datetime


class SystemClock:
    """The machine's time, for everyone who takes a Clock."""

    def now(self) -> datetime:
        """The wall clock, in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - this is the Clock port's home

    def monotonic(self) -> float:
        """Seconds that never go backwards, from an arbitrary start."""
        return time.monotonic()
