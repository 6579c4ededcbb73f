"""A clock that stands still until a test moves it."""

from datetime import UTC, datetime, timedelta

START = datetime(2030, 1, 1, tzinfo=UTC)


class FakeClock:
    """Wall clock and monotonic clock, moved together by `advance`; the wall clock alone by `set_back`."""

    def __init__(self) -> None:
        self._passed = timedelta()
        self._set_back = timedelta()

    def now(self) -> datetime:
        return START + self._passed - self._set_back

    def monotonic(self) -> float:
        return self._passed.total_seconds()

    def advance(self, seconds: float) -> None:
        self._passed += timedelta(seconds=seconds)

    def set_back(self, seconds: float) -> None:
        self._set_back += timedelta(seconds=seconds)
