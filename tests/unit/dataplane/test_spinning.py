import asyncio
import time
from collections.abc import Callable

import pytest

from serving.dataplane.spinning import LONGEST_STREAK, STREAK, Spinner

LONG, SHORT = 60.0, 1e-6
"""Seconds that no test waits for, and seconds that are over at once."""


class Turns:
    """Counts the turns that its loop was kept awake for, by being asked in each."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self.asked = 0
        self.is_waiting = True
        self.spinner = Spinner(loop, seconds)

    def send(self, messages: int, times: int = 1) -> None:
        for _ in range(times):
            self.spinner.sent(messages, self._still_waiting)

    def _still_waiting(self) -> bool:
        self.asked += 1
        return self.is_waiting


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0)


@pytest.fixture
async def loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


async def test_it_waits_awake_after_a_streak_of_single_messages_until_the_answer_is_there(loop: asyncio.AbstractEventLoop) -> None:
    turns = Turns(loop, LONG)
    turns.send(1, STREAK)

    await until(lambda: turns.asked >= 3)
    turns.is_waiting = False
    seen = turns.asked
    await until(lambda: turns.asked == seen + 1)
    await asyncio.sleep(0)

    assert turns.asked == seen + 1


@pytest.mark.parametrize(("messages", "times"), [(1, STREAK - 1), (2, 10 * STREAK)])
async def test_it_does_not_wait_awake_before_the_streak_or_for_batches(loop: asyncio.AbstractEventLoop, messages: int, times: int) -> None:
    turns = Turns(loop, LONG)

    turns.send(messages, times)
    await asyncio.sleep(0)

    assert turns.asked == 0


async def test_every_wait_in_vain_doubles_the_streak_that_the_next_one_needs(loop: asyncio.AbstractEventLoop) -> None:
    turns = Turns(loop, SHORT)
    needed = []
    for _ in range(12):
        sent, asked = 0, turns.asked
        while turns.asked == asked:
            turns.send(1)
            sent += 1
            await asyncio.sleep(0)
        needed.append(sent)

    assert needed[:3] == [STREAK, 2 * STREAK, 4 * STREAK]
    assert needed[-1] == LONGEST_STREAK


async def test_a_wait_that_was_rewarded_makes_the_streak_short_again(loop: asyncio.AbstractEventLoop) -> None:
    turns = Turns(loop, SHORT)
    turns.send(1, STREAK)
    await until(lambda: turns.asked == 1)  # in vain
    turns.is_waiting = False
    turns.send(1, 2 * STREAK)
    await until(lambda: turns.asked == 2)  # rewarded

    turns.send(2)  # ends the streak
    turns.send(1, STREAK)

    await until(lambda: turns.asked == 3)
