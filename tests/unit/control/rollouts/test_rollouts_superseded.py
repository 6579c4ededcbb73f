"""Rollouts that something else takes the place of, by a word or by a change past them: the log hears of it and replays."""

from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import capture_logs

from serving.core.happenings import Supersede
from serving.core.rollout import EventRefused
from serving.core.standing import State
from tests.fakes.rollout_plant import FAMILY, POLICY, V2, V3, Plant, replays


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with capture_logs():
        yield
    structlog.reset_defaults()


@pytest.fixture
async def live() -> Plant:
    plant = Plant()
    await plant.begin()
    await plant.start()
    await plant.until_state(State.LIVE)
    return plant


async def test_a_live_version_goes_on_being_watched_when_somebody_wants_it_to_give_way(live: Plant) -> None:
    with pytest.raises(EventRefused, match="only a rollback takes it out"):
        await live.ask("supersede", lambda asked: Supersede(asked.at, asked.by, "1.2.0"))

    live.errors[V2] = 1.0
    await live.until_state(State.ROLLED_BACK, seconds=20)
    assert replays(await live.log(), POLICY)


async def test_a_version_that_is_promoted_over_a_live_one_ends_its_rollout(live: Plant) -> None:
    await live.operations.promote(FAMILY, V3, live.author("grace", "INC-7"))
    await live.second()

    assert await live.stands() is State.SUPERSEDED
    assert (await live.record()).production == V3
    assert b'"kind":"supersede"' in (await live.log())[-1]
    assert replays(await live.log(), POLICY)
