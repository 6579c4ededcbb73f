"""When in the week there is the least traffic, learnt from what the gateways count. Pure. UTC, in minutes from Monday 00:00."""

from dataclasses import dataclass, replace
from datetime import datetime

HOURS, DAY, WEEK = 168, 24, 168 * 60
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_WEIGHT = 0.3
"""Of the newest week in the average of an hour: an unusual one is forgotten in a month."""


@dataclass(frozen=True, slots=True)
class Window:
    """A part of one day of the week, from one minute to another."""

    start: int
    end: int

    def __post_init__(self) -> None:
        """Refuse minutes outside of the week."""
        if not 0 <= self.start < self.end <= WEEK:
            msg = f"{self.start} to {self.end} is no part of a week of {WEEK} minutes"
            raise ValueError(msg)

    def contains(self, at: datetime) -> bool:
        """Whether a moment lies in it."""
        return self.start <= minute_of(at) < self.end

    def __str__(self) -> str:
        day, start = divmod(self.start, 1440)
        return f"{_DAYS[day]} {_clock(start)}-{_clock(self.end - day * 1440)} UTC"


def minute_of(at: datetime) -> int:
    """The minute of the week."""
    return at.weekday() * 1440 + at.hour * 60 + at.minute


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


@dataclass(frozen=True, slots=True)
class Profile:
    """A family's requests in each hour of the week, on average of the weeks that were seen; None in an hour that never was."""

    hours: tuple[float | None, ...] = (None,) * HOURS
    hour: int = -1
    """The hour that is being counted."""
    requests: float = 0.0
    """In it so far."""
    is_whole: bool = False
    """Whether it was counted from its beginning."""

    def __post_init__(self) -> None:
        """Refuse a week of another length."""
        if len(self.hours) != HOURS:
            msg = f"a week has {HOURS} hours, not {len(self.hours)}"
            raise ValueError(msg)

    def after(self, requests: int, at: datetime) -> "Profile":
        """With requests that were counted since the last time. An hour counts when all of it was seen."""
        hour = minute_of(at) // 60
        if hour == self.hour:
            return replace(self, requests=self.requests + requests)
        is_next = self.hour >= 0 and hour == (self.hour + 1) % HOURS
        hours = self.hours
        if is_next and self.is_whole:
            old = hours[self.hour]
            new = self.requests if old is None else (1 - _WEIGHT) * old + _WEIGHT * self.requests
            hours = (*hours[: self.hour], new, *hours[self.hour + 1 :])
        return Profile(hours, hour, float(requests), is_whole=is_next)


def quietest(profile: Profile) -> tuple[Window, ...]:
    """The hour with the least traffic, its neighbours counting half; none before a whole day was seen.

    Until a whole week was seen, days are taken to be alike, and it is that hour of any of them.
    """
    week = [value for value in profile.hours if value is not None]
    if len(week) == HOURS:
        return (_hour(_least(week)),)
    days = [[value for value in profile.hours[hour::DAY] if value is not None] for hour in range(DAY)]
    if not all(days):
        return ()
    hour = _least([sum(values) / len(values) for values in days])
    return tuple(_hour(day + hour) for day in range(0, HOURS, DAY))


def _least(hours: list[float]) -> int:
    """Which hour of a round has the least."""
    smooth = [here + (hours[hour - 1] + hours[(hour + 1) % len(hours)]) / 2 for hour, here in enumerate(hours)]
    return smooth.index(min(smooth))


def _hour(hour: int) -> Window:
    return Window(hour * 60, (hour + 1) * 60)
