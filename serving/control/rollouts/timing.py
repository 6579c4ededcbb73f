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
