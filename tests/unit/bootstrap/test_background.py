"""Steps that are taken again and again beside a service."""

import asyncio
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from serving.bootstrap.background import Background
from serving.core.errors import StoreUnavailable


async def outcomes_of(step: Callable[[int], None], times: int) -> list[str]:
    """Take a step so many times; the events that were logged."""
    done, taken = asyncio.Event(), 0

    async def run() -> None:
        nonlocal taken
        taken += 1
        if taken > times:
            done.set()
            return
        step(taken)

    background = Background()
    with capture_logs() as logs:
        background.step("test", 0.0, run)
        async with asyncio.timeout(5):
            await done.wait()
        await background.stop()
    return [str(entry["event"]) for entry in logs]


async def test_the_same_trouble_is_told_once_and_the_steps_go_on() -> None:
    def fail(_: int) -> None:
        msg = "no"
        raise OSError(msg)

    assert await outcomes_of(fail, 5) == ["background_step_failed"]


async def test_another_trouble_is_told_too() -> None:
    def fail(time: int) -> None:
        raise OSError(str(time // 3))

    assert await outcomes_of(fail, 5) == ["background_step_failed"] * 2


async def test_trouble_that_ended_is_told_when_it_begins_again() -> None:
    def fail(time: int) -> None:
        if time != 3:
            msg = "no"
            raise OSError(msg)

    assert await outcomes_of(fail, 5) == ["background_step_failed"] * 2


@pytest.mark.parametrize("times", [1, 5])
async def test_a_store_that_does_not_answer_is_told_of_by_others(times: int) -> None:
    def fail(_: int) -> None:
        msg = "gone"
        raise StoreUnavailable(msg)

    assert await outcomes_of(fail, times) == []
