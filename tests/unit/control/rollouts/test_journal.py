"""A new leader begins with the newest checkpoint that holds for the log, and with the log alone where none does."""

from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from serving.control.rollouts.journal import Journal, UnreadableLog
from serving.core.course import Course, Turn, looked, opened
from serving.core.decisions import Look, as_written
from serving.core.errors import NotLeader
from serving.core.standing import Rollout
from serving.ports import Checkpoint
from tests.fakes.rollout_world import BEGIN, World, track
from tests.fakes.rollouts import FakeRollouts, RolloutState

ID = "digits-1.1.0-3"
STANDARD = track("standard")
Logged = Sequence[MutableMapping[str, Any]]


@pytest.fixture(autouse=True)
def logged() -> Iterator[Logged]:
    with capture_logs() as entries:
        yield entries
    structlog.reset_defaults()


def journal(state: RolloutState, token: int = 1, every: int = 4) -> Journal:
    return Journal(ID, FakeRollouts(state), lambda: token, every=every)


async def led(state: RolloutState, looks: int, token: int = 1) -> Course:
    """What a leader saw in so many looks, written down."""
    mine, world = journal(state, token), World(STANDARD)
    turn = await mine.resume(STANDARD)
    if turn is None:
        turn = opened(STANDARD, Rollout("digits", "1.1.0", "c" * 64, STANDARD.digest, author="ada"), at=BEGIN, classes=3)
        await mine.write(turn)
    course = turn.course
    for _ in range(looks):
        world.pass_time(timedelta(minutes=1))
        turn = looked(course, as_written(Look(world.at, world.reports(), world.gateways)))
        await mine.write(turn)
        course = turn.course
        await mine.keep(course)
    return course


def decided_again(logged: Logged) -> int:
    return int(next(entry for entry in reversed(logged) if entry["event"] == "rollout_resumed")["decided_again"])


async def resume(state: RolloutState) -> Turn:
    turn = await journal(state, token=2).resume(STANDARD)
    assert turn is not None
    return turn


async def test_the_next_leader_decides_only_the_lines_behind_the_checkpoint_again(logged: Logged) -> None:
    state = RolloutState()
    course = await led(state, looks=9)

    turn = await resume(state)

    assert turn.course == course
    assert turn.line == state.logs[ID][-1]
    assert state.checkpoints[ID].lines == 8
    assert decided_again(logged) == 2


async def test_a_checkpoint_of_the_very_last_line_leaves_nothing_to_do(logged: Logged) -> None:
    state = RolloutState()
    course = await led(state, looks=7)

    turn = await resume(state)

    assert (turn.course, turn.effects, decided_again(logged)) == (course, (), 0)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda kept: replace(kept, last="0" * 64),
        lambda kept: replace(kept, lines=kept.lines - 1),
        lambda kept: replace(kept, lines=kept.lines + 100),
        lambda kept: replace(kept, state=kept.state[:-1]),
    ],
    ids=["another line", "an earlier line", "a line that is gone", "half a state"],
)
async def test_a_checkpoint_that_does_not_hold_for_the_log_is_left_aside(wrong: Callable[[Checkpoint], Checkpoint], logged: Logged) -> None:
    state = RolloutState()
    course = await led(state, looks=9)
    state.checkpoints[ID] = wrong(state.checkpoints[ID])

    turn = await resume(state)

    assert turn.course == course
    assert decided_again(logged) == len(state.logs[ID]) == 10
    assert any(entry["event"] == "rollout_checkpoint_left_aside" for entry in logged)


async def test_a_log_that_went_back_is_decided_by_what_is_left_of_it() -> None:
    state = RolloutState()
    await led(state, looks=9)
    del state.logs[ID][5:]

    turn = await resume(state)

    assert turn.line == state.logs[ID][-1]


async def test_a_leader_that_goes_on_from_a_checkpoint_keeps_the_next_where_it_is_due() -> None:
    state = RolloutState()
    await led(state, looks=9)

    await led(state, looks=3, token=2)

    assert (len(state.logs[ID]), state.checkpoints[ID].lines) == (13, 12)


async def test_a_leader_that_was_followed_by_another_keeps_no_checkpoint() -> None:
    state = RolloutState()
    old = journal(state)
    turn = await old.resume(STANDARD)
    assert turn is None
    course = await led(state, looks=5, token=2)
    kept = state.checkpoints[ID]

    with pytest.raises(NotLeader):
        await FakeRollouts(state).keep(ID, 1, Checkpoint(1, "0" * 64, b""))

    assert state.checkpoints[ID] == kept
    assert course == (await resume(state)).course


async def test_that_no_checkpoint_can_be_kept_stops_nobody(logged: Logged) -> None:
    state = RolloutState()
    mine = journal(state, every=1)
    turn = opened(STANDARD, Rollout("digits", "1.1.0", "c" * 64, STANDARD.digest, author="ada"), at=BEGIN, classes=3)
    await mine.write(turn)
    state.down = "the disk is full"

    await mine.keep(turn.course)

    assert state.checkpoints == {}
    assert [entry["why"] for entry in logged if entry["event"] == "rollout_checkpoint_not_kept"] == ["the disk is full"]


async def test_a_log_that_does_not_lead_to_the_rollout_is_said_to_be_so() -> None:
    state = RolloutState()
    await led(state, looks=2)
    state.logs[ID][1] = b"{}"

    with pytest.raises(UnreadableLog, match=ID):
        await resume(state)
