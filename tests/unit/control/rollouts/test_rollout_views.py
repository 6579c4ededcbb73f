"""How a rollout stands, for whoever asks: also when the controller has laid it aside."""

from collections.abc import Iterator, Sequence

import pytest
import structlog
from structlog.testing import capture_logs

from serving.control.policies.home import PolicyHome
from serving.control.rollouts.looking import RolloutViews
from serving.core.standing import State
from serving.core.verdicts import Finding
from serving.ports import Checkpoint
from tests.fakes.rollout_plant import FAMILY, V2, V3, Plant
from tests.fakes.rollouts import FakeRollouts


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with capture_logs():
        yield
    structlog.reset_defaults()


def views(plant: Plant) -> RolloutViews:
    return RolloutViews(plant.store, plant.rollouts, plant.rollouts, PolicyHome(None), plant.registry, plant.clock)


async def rolled_back(plant: Plant) -> None:
    await plant.begin()
    plant.errors[V2] = 0.2
    await plant.start()
    await plant.until_state(State.ROLLED_BACK, seconds=60)
    for _ in range(12):
        await plant.second()


async def test_what_the_guards_said_last_is_there_when_the_rollout_is_over() -> None:
    plant = Plant()
    await rolled_back(plant)
    looks = sum(b'"kind":"look"' in line for line in await plant.log())

    view = await views(plant).status(FAMILY)

    assert plant.written.board[FAMILY].rollout == ""
    assert view.progress is not None
    receipt = view.underway.rollout.receipt
    assert receipt is not None
    assert view.progress.looks == looks > 0
    assert view.progress.at == receipt.detected
    [verdict] = view.progress.assessment.verdicts
    assert verdict.guard == "errors"
    assert verdict.finding is Finding.HARM or view.progress.assessment.trip
    assert verdict.numbers["bad"] > 0
    assert view.progress.assessment.units > 0


class UnreadLogs(FakeRollouts):
    """Logs that are too long to be read."""

    async def read(self, rollout: str) -> Sequence[bytes]:
        raise AssertionError(rollout)


async def test_once_a_rollout_is_over_its_checkpoint_is_gone_and_its_last_view_is_there_without_its_log() -> None:
    plant = Plant()
    await rolled_back(plant)
    rollout = (await plant.underway()).id
    told = await views(plant).status(FAMILY)

    plant.rollouts = UnreadLogs(plant.written)
    view = await views(plant).status(FAMILY)

    assert plant.written.checkpoints == {}
    assert list(plant.written.seen) == [rollout]
    assert (view.progress, view.sentence) == (told.progress, told.sentence)
    assert view.progress is not None
    assert view.progress.assessment.verdicts


async def test_while_it_can_be_taken_back_the_checkpoint_stays_and_with_the_next_rollout_it_goes() -> None:
    plant = Plant()
    await plant.begin()
    await plant.start()
    await plant.until_state(State.LIVE)
    for _ in range(80):  # no longer kept warm
        await plant.second()
    live = (await plant.underway()).id
    kept = set(plant.written.checkpoints)

    await plant.start(V3)
    await plant.second()

    assert kept == {live}
    assert live not in plant.written.checkpoints
    assert live in plant.written.seen


async def test_a_leader_puts_away_what_one_before_it_left() -> None:
    plant = Plant()
    await rolled_back(plant)
    rollout = (await plant.underway()).id
    plant.written.checkpoints[rollout] = Checkpoint(3, "a" * 64, b"left behind")
    plant.restart()

    await plant.second()

    assert plant.written.checkpoints == {}


async def test_past_rollouts_are_listed_without_reading_their_logs() -> None:
    plant = Plant()
    await rolled_back(plant)
    plant.clock.advance(60)
    await plant.start(V3)
    await plant.second()

    plant.rollouts = UnreadLogs(plant.written)
    past = await views(plant).past(FAMILY)

    assert [(one.rollout.version, one.rollout.state) for one in past] == [("1.2.0", State.RAMPING), ("1.1.0", State.ROLLED_BACK)]


async def test_it_is_what_the_board_said_while_it_was_followed() -> None:
    plant = Plant()
    await plant.begin()
    await plant.start()
    for _ in range(4):
        await plant.second()
    before = plant.written.board[FAMILY]

    plant.written.board = {}
    view = await views(plant).status(FAMILY)

    assert view.progress is not None
    assert view.progress.looks == before.looks
    assert view.progress.assessment.units == before.assessment.units
    assert [one.sentence for one in view.progress.assessment.verdicts] == [one.sentence for one in before.assessment.verdicts]


async def test_looks_are_counted_over_all_controllers() -> None:
    plant = Plant()
    await plant.begin()
    await plant.start()
    for _ in range(3):
        await plant.second()
    before = plant.written.board[FAMILY].looks

    plant.restart()
    await plant.second()

    assert plant.written.board[FAMILY].looks == before + 1


async def test_a_log_that_cannot_be_read_is_no_reason_not_to_say_how_it_stands() -> None:
    plant = Plant()
    await rolled_back(plant)
    rollout = (await plant.underway()).id
    plant.written.logs[rollout][-1] = b"{"
    plant.written.seen.clear()

    view = await views(plant).status(FAMILY)

    assert view.progress is None
    assert view.underway.rollout.state is State.ROLLED_BACK


async def test_while_nobody_looks_it_says_so_and_believes_nothing_that_was_seen() -> None:
    plant = Plant()
    await plant.begin()
    await plant.start()
    for _ in range(4):
        await plant.second()
    seen = await views(plant).status(FAMILY)

    plant.clock.advance(734)  # no controller
    view = await views(plant).status(FAMILY)

    assert seen.blind == ""
    assert view.blind == "its guards last looked 12 min 14 s ago"
    assert view.sentence.endswith(view.blind)
    assert "errors is not heard" in view.lacks
    assert view.ends is not None
    assert view.underway.rollout.entered is not None
    assert (view.ends - view.underway.rollout.entered).total_seconds() == 600


async def test_a_stage_that_has_just_begun_is_not_told_of_by_what_was_seen_before() -> None:
    plant = Plant()
    await plant.begin()
    await plant.start()
    while await plant.weight() == 500:
        await plant.second()

    view = await views(plant).status(FAMILY)

    assert view.blind == "its guards have not looked since the stage began"
    assert "0 s of 5 s in stage half" in view.lacks
