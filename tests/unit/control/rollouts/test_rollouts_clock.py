"""Clocks that are put forward and back, and harm without a way back: no stage ends early, no silence is hidden, and somebody is paged."""

from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import capture_logs

from serving.core.happenings import Hold, Resume
from serving.core.standing import State
from tests.fakes.rollout_plant import FAMILY, POLICY, V1, V2, Plant, replays, silent

HOUR, DAY = 3600.0, 86_400.0
UNMEASURED = 2
"""Seconds that a new leader may not know of: since the last look of the one before it."""


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with capture_logs():
        yield
    structlog.reset_defaults()


@pytest.fixture
async def plant() -> Plant:
    plant = Plant()
    await plant.begin()
    await plant.start()
    await plant.second()
    return plant


@pytest.mark.parametrize("is_followed_by_another", [False, True])
@pytest.mark.parametrize("put_back", [-HOUR, DAY], ids=["an hour forward", "a day back"])
async def test_a_clock_that_is_put_elsewhere_neither_hastens_nor_delays_a_stage(
    plant: Plant, put_back: float, *, is_followed_by_another: bool
) -> None:
    await plant.second()
    plant.clock.set_back(put_back)
    if is_followed_by_another:
        plant.restart()

    seconds = []
    for second in range(60):
        before = await plant.weight()
        await plant.second()
        if await plant.weight() != before:
            seconds.append(second)

    assert len(seconds) == 2
    assert 2 <= seconds[0] <= 5 + UNMEASURED
    assert seconds[1] - seconds[0] >= 5
    assert await plant.stands() is State.LIVE
    assert replays(await plant.log(), POLICY)


async def test_a_clock_that_is_put_forward_while_it_is_held_ends_no_stage_when_it_is_resumed(plant: Plant) -> None:
    await plant.ask("holds", lambda asked: Hold(asked.at, asked.by, "lunch"))
    plant.clock.set_back(DAY)
    await plant.second()
    await plant.ask("resumes", lambda asked: Resume(asked.at, asked.by))

    for _ in range(4):
        await plant.second()

    assert await plant.weight() == 500
    await plant.second()
    await plant.second()
    assert await plant.weight() == 5_000


@pytest.mark.parametrize("is_followed_by_another", [False, True])
async def test_a_clock_that_is_put_back_hides_no_gateway_that_cannot_be_heard(*, is_followed_by_another: bool) -> None:
    plant = Plant(POLICY.replace(b"units: 100, time: 5s", b"units: 100, time: 60s"))
    await plant.begin()
    await plant.start()
    await plant.second()
    plant.clock.set_back(DAY)
    if is_followed_by_another:
        plant.restart()

    with silent(plant, "g2"):
        await plant.until_state(State.HELD, seconds=30)

    held = (await plant.underway()).rollout.held
    assert held is not None
    assert "g2 cannot be heard" in held.why


@pytest.mark.parametrize("is_followed_by_another", [False, True])
async def test_a_clock_that_is_put_back_delays_no_page(plant: Plant, *, is_followed_by_another: bool) -> None:
    plant.errors[V2] = 1.0
    await plant.until_state(State.ROLLING_BACK, seconds=5)
    plant.errors[V1] = 0.5  # production does not recover
    plant.clock.set_back(DAY)
    if is_followed_by_another:
        plant.restart()

    for _ in range(70):
        await plant.second()

    assert plant.told.occasions.count("page") == 1


async def test_harm_without_a_way_back_pages_once(plant: Plant) -> None:
    await plant.until_state(State.LIVE)
    await plant.operations.canary(FAMILY, V1, 500, plant.author())
    await plant.operations.rollback(FAMILY, plant.author(reason="it is old"))  # the only way back is in quarantine now

    plant.errors[V2] = 0.3
    for _ in range(5):
        await plant.second()

    assert await plant.stands() is State.LIVE
    assert plant.told.occasions.count("page") == 1
    assert "cannot be rolled back" in str(plant.told.words)
    assert "failed" in str(plant.told.words)


@pytest.mark.parametrize("put_back", [-HOUR, DAY], ids=["an hour forward", "a day back"])
async def test_a_clock_that_is_put_elsewhere_while_another_takes_over_ends_no_watch_and_loses_no_rollback(
    plant: Plant, put_back: float
) -> None:
    await plant.until_state(State.LIVE)
    plant.clock.set_back(put_back)
    plant.restart()
    for _ in range(30):
        await plant.second()
    assert (await plant.underway()).rollout.warm_until is not None

    plant.errors[V2] = 1.0
    await plant.until_state(State.ROLLED_BACK, seconds=30)

    assert replays(await plant.log(), POLICY)


async def test_what_one_leader_has_measured_the_next_goes_on_from(plant: Plant) -> None:
    """A stage that is shorter than a change of leader is counted by looks, and not begun anew by each of them."""
    changes = 0
    while await plant.weight() == 500:
        plant.restart()
        changes += 1
        await plant.second()

    assert 4 <= changes <= 7
    assert replays(await plant.log(), POLICY)


async def test_hours_in_which_nobody_led_are_no_time_in_a_stage(plant: Plant) -> None:
    plant.errors[V2] = 0.0
    await plant.until(lambda: _is_at(plant, 10_000))

    for _ in range(3):
        plant.clock.advance(HOUR)
        plant.restart()

    await plant.loop.step()
    assert await plant.stands() is not State.LIVE


async def _is_at(plant: Plant, weight: int) -> bool:
    return await plant.weight() == weight
