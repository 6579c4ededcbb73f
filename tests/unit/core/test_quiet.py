from datetime import UTC, datetime, timedelta
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.core.quiet import DAY, HOURS, WEEK, Profile, Window, minute_of, quietest

MONDAY = datetime(2030, 1, 7, tzinfo=UTC)


def lived(loads: list[int], begin: datetime = MONDAY, looks: int = 4) -> Profile:
    """A profile that has seen these requests an hour, looked at several times an hour, the last hour to its end."""
    profile = Profile()
    for hour, load in enumerate([*loads, 0]):
        for look in range(looks):
            profile = profile.after(load // looks, begin + timedelta(hours=hour, minutes=60 * look // looks))
    return profile


def test_nobody_knows_before_a_whole_day_was_seen() -> None:
    assert quietest(lived([100] * DAY)) == (), "the first hour was not seen from its beginning"


def test_after_a_day_it_is_the_same_hour_of_any_day() -> None:
    loads = [400] * 3 + [40] + [400] * (DAY - 3)

    windows = quietest(lived(loads))

    assert [window.start for window in windows] == [day * 1440 + 3 * 60 for day in range(7)]
    assert str(windows[6]) == "Sun 03:00-04:00 UTC"


def test_after_a_week_it_is_one_hour_of_it() -> None:
    loads = [400] * (HOURS + 1)
    loads[6 * DAY + 4] = 40
    loads[2 * DAY + 5] = 80

    [window] = quietest(lived(loads))

    assert str(window) == "Sun 04:00-05:00 UTC"


def test_a_quiet_hour_between_two_busy_ones_is_not_the_quietest() -> None:
    loads = [400] * (HOURS + 1)
    loads[10:13] = [4000, 0, 4000]
    loads[60:63] = [100, 100, 100]

    [window] = quietest(lived(loads))

    assert window.start == 61 * 60


def test_an_hour_that_was_not_seen_whole_does_not_count_as_quiet() -> None:
    seen = lived([400] * (DAY + 1))

    gone = seen.after(4, MONDAY + timedelta(hours=30, minutes=50)).after(400, MONDAY + timedelta(hours=31, minutes=1))

    assert gone.hours == seen.hours


def test_weeks_are_averaged_and_the_newest_counts_most_of_any_one() -> None:
    profile = lived([400] * HOURS + [40] * (HOURS + 1))

    assert profile.hours[5] == pytest.approx(0.7 * 400 + 0.3 * 40)


@given(st.lists(st.integers(0, 10_000), min_size=HOURS + 1, max_size=HOURS + 1), st.integers(0, WEEK - 1))
def test_the_window_is_an_hour_with_no_more_around_it_than_around_any_other(loads: list[int], start: int) -> None:
    begin = MONDAY + timedelta(minutes=start)
    profile = lived([load * 4 for load in loads], begin.replace(minute=0))

    [window] = quietest(profile)

    hours = [value or 0.0 for value in profile.hours]
    around = [hours[hour - 1] / 2 + hours[hour] + hours[(hour + 1) % HOURS] / 2 for hour in range(HOURS)]
    assert window.end - window.start == 60
    assert around[window.start // 60] == min(around)


@given(st.integers(0, WEEK - 1), st.integers(1, 600))
def test_a_window_contains_its_minutes_and_no_others(start: int, length: int) -> None:
    end = min(start + length, WEEK)
    window = Window(start, end)

    inside = [minute for minute in range(0, WEEK, 7) if window.contains(MONDAY + timedelta(minutes=minute))]

    assert inside == [minute for minute in range(0, WEEK, 7) if start <= minute < end]


@pytest.mark.parametrize(("start", "end"), [(-1, 5), (5, 5), (7, 5), (0, WEEK + 1)])
def test_a_window_outside_of_the_week_is_refused(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="no part of a week"):
        Window(start, end)


def test_a_profile_has_a_whole_week() -> None:
    with pytest.raises(ValueError, match="168"):
        Profile((1.0,))


def test_minutes_are_counted_from_monday() -> None:
    spans = accumulate([timedelta(days=1)] * 7)

    assert [minute_of(MONDAY + span) for span in spans] == [1440, 2880, 4320, 5760, 7200, 8640, 0]
