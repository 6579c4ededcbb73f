"""Copies give way to callers while a gateway waits for a core."""

import pytest

from serving.gateway.yielding import ALWAYS_A_SECOND, CROWDED, LOOK_S, Yielding, never_waits

STEPS = 400
A_SECOND = 4000


class Crowd:
    """A gateway that asks for so many copies a second; `waiting` is the share of the time that it waits for a core."""

    def __init__(self, waiting: float = 0.0) -> None:
        self.waiting, self.waited, self.now = waiting, 0.0, 50.0
        self.yielding = Yielding(lambda: self.waited)

    def made(self, seconds: float, a_second: int = A_SECOND) -> float:
        """Copies a second that were made."""
        asked = round(seconds * a_second)
        made = 0
        for _ in range(asked):
            self.now += 1 / a_second
            self.waited += self.waiting / a_second
            made += self.yielding.allows(self.now)
        return made / seconds


def test_all_copies_are_made_while_there_is_a_core_to_spare() -> None:
    crowd = Crowd(waiting=CROWDED * 0.9)

    assert crowd.made(5.0) == A_SECOND


def test_all_copies_are_made_where_nobody_knows_how_long_was_waited() -> None:
    yielding = Yielding(never_waits)

    assert all(yielding.allows(step / A_SECOND) for step in range(A_SECOND))


def test_while_there_is_no_core_only_so_many_are_made_as_a_verdict_needs() -> None:
    crowd = Crowd(waiting=0.5)
    crowd.made(2.0)  # until it has noticed

    assert crowd.made(5.0) == pytest.approx(ALWAYS_A_SECOND, rel=0.02)


def test_fewer_callers_than_that_are_all_mirrored_however_crowded_it_is() -> None:
    crowd = Crowd(waiting=0.5)
    crowd.made(2.0)

    assert crowd.made(5.0, a_second=ALWAYS_A_SECOND) == ALWAYS_A_SECOND


def test_copies_come_back_within_seconds_when_there_is_a_core_again() -> None:
    crowd = Crowd(waiting=0.5)
    crowd.made(5.0)

    crowd.waiting = 0.0
    crowd.made(1 / 0.05 * LOOK_S + 2 * LOOK_S)

    assert crowd.made(1.0) == A_SECOND


def test_the_copies_made_are_spread_over_the_time_and_depend_on_no_content() -> None:
    yielding = Yielding(never_waits)
    yielding.share = 0.25
    yielding.allows(LOOK_S * 10)
    while yielding.share and yielding.allows(LOOK_S * 10):
        pass  # what is always made

    allowed = [yielding.allows(LOOK_S * 10) for _ in range(STEPS)]

    assert sum(allowed) == STEPS / 4
    assert all(sum(allowed[start : start + 4]) == 1 for start in range(0, STEPS, 4))


def test_a_wait_that_is_no_longer_known_changes_nothing() -> None:
    told: list[float | None] = [0.0, 1.0, None, 2.0]
    yielding = Yielding(lambda: told.pop(0))
    for look in range(1, 5):
        yielding.allows(look * LOOK_S * 1.01)

    assert yielding.share == 0.5
