from datetime import timedelta

import pytest

from serving.core.course import happened, looked, replay
from serving.core.decisions import Look, Opened, UnreadableLine, entry_of, line
from serving.core.happenings import Advance, Checked, Flipped, Hold, Resume
from serving.core.rollout import EventRefused
from serving.core.standing import State
from serving.core.verdicts import Finding
from tests.fakes.rollout_world import OWNER, Behaviour, World, track

MINUTE = timedelta(minutes=1)


def eventful(candidate: Behaviour) -> World:
    """A rollout with looks, people, a rollback and its verification."""
    world = World(track("standard"), candidate=candidate)
    world.start()
    for _ in range(30):
        if world.state is State.ROLLING_BACK:
            break
        world.advance(MINUTE)
    if world.state is not State.ROLLING_BACK:
        world.happen(Hold(world.at, OWNER, "lunch"))
        world.advance(MINUTE)
        world.happen(Resume(world.at, OWNER))
        return world
    world.happen(Flipped(world.at, 7))
    world.happen(Checked(world.at + MINUTE, is_acked=True, strays=0, is_probed=True, is_recovered=True))
    return world


@pytest.mark.parametrize("candidate", [Behaviour(), Behaviour(errors=0.05), Behaviour(slower=2.0)], ids=["good", "failing", "slow"])
def test_a_replayed_log_gives_the_same_bytes(candidate: Behaviour) -> None:
    world = eventful(candidate)

    again = list(replay(world.pinned, world.log))

    assert len(again) > 5
    assert again == world.log


def test_a_log_that_was_changed_does_not_replay_to_itself() -> None:
    world = eventful(Behaviour())
    index = next(number for number, text in enumerate(world.log) if b'"failures":1' in text)
    forged = [*world.log]
    forged[index] = forged[index].replace(b'"failures":1', b'"failures":0', 1)

    assert list(replay(world.pinned, forged)) != forged


def test_another_policy_does_not_replay_the_log() -> None:
    with pytest.raises(EventRefused, match="another policy"):
        list(replay(track("fast"), eventful(Behaviour()).log))


def test_a_log_must_begin_at_its_beginning() -> None:
    with pytest.raises(UnreadableLine, match="opening line"):
        list(replay(track("standard"), eventful(Behaviour()).log[1:]))


@pytest.mark.parametrize(
    "text", [b"", b"{}", b'{"form":2,"kind":"look","seen":{}}', b'{"form":1,"kind":"nap","seen":{}}', b'{"form":1,"kind":"look","seen":{}}']
)
def test_what_is_no_line_is_refused(text: bytes) -> None:
    with pytest.raises(UnreadableLine):
        entry_of(text)


def test_a_line_holds_what_was_seen_and_gives_it_back() -> None:
    world = World(track("standard"))
    world.start()
    look = Look(world.at, world.reports(), world.gateways)

    assert entry_of(looked(world.course, look).line) == look
    assert isinstance(entry_of(world.log[0]), Opened)


def test_an_advance_is_judged_by_what_the_guards_said_last() -> None:
    world = World(track("standard"), candidate=Behaviour(disagreeing=0.2))
    world.start()
    world.advance(MINUTE)  # in which it warms up
    for _ in range(11):
        world.advance(MINUTE)
    held, late = world.course, world.at

    with pytest.raises(EventRefused, match="disagreement is harm"):
        happened(held, Advance(late, OWNER))
    turn = happened(held, Advance(late, OWNER, ("disagreement", "errors"), "known and wanted"))

    assert (turn.course.rollout.state, turn.course.rollout.overridden) == (State.RAMPING, ("disagreement", "errors"))
    assert b"assessment" not in turn.line


def test_nothing_is_judged_before_the_start_and_after_the_end() -> None:
    world = World(track("standard"))
    world.look(world.reports())

    assert world.course.assessment.verdicts == ()


def test_infinities_have_a_place_in_the_log() -> None:
    world = World(track("standard"))
    world.start()
    world.advance(MINUTE)

    text = line(Look(world.at, (), ()), world.rollout, world.course.assessment)

    assert b"Infinity" not in text
    assert Finding.UNDECIDED.value.encode() in text
