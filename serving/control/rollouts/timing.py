"""The time that a rollout is followed by: it goes on evenly, however the wall clock is put forward or back meanwhile."""

from datetime import datetime, timedelta

from serving.ports import Clock


class SteadyTime:
    """The wall clock as it was when last set, and the time that has passed since.

    So an hour that nobody lived through ends no stage early, and a day put back hides no silence and delays no page.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.set()

    def set(self) -> None:
        """Go on from what the wall clock says now: somebody else did something, and wrote down when by it."""
        self._wall, self._since = self._clock.now(), self._clock.monotonic()

    def now(self) -> datetime:
        """The time, in UTC."""
        return self._wall + timedelta(seconds=self._clock.monotonic() - self._since)


class Lap:
    """The time since the last line that counts by it, by the clock that only goes on; none is known before the first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._begun: float | None = None
        self._taken = 0.0

    def take(self) -> timedelta | None:
        """How long it has been; it goes on until `end`, since the line may not get written."""
        self._taken = self._clock.monotonic()
        return None if self._begun is None else timedelta(seconds=self._taken - self._begun)

    def end(self) -> None:
        """The line stands: from when it was taken the next one counts."""
        self._begun = self._taken

    def forget(self) -> None:
        """Somebody else may have written lines meanwhile: it is not known any more."""
        self._begun = None

    def begin(self) -> None:
        """Count from now on: something has just happened that the next one is to count from."""
        self._begun = self._clock.monotonic()
