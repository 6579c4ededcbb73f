"""Time, as everything that is not the core takes it."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """`now` for records (UTC); `monotonic` (seconds, the same in all processes of a machine) for deadlines and leases."""

    def now(self) -> datetime: ...
    def monotonic(self) -> float: ...
