"""How long a rollout has been at what it is at, whatever the wall clock says."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from serving.core.course import replay
from serving.core.decisions import Look
from serving.core.happenings import Hold, Resume
from serving.core.spending import CHANGE, passed
from tests.fakes.rollout_world import BEGIN, OWNER, World, track

SPANS = st.timedeltas(timedelta(days=-2), timedelta(days=2))


@given(jump=SPANS, measured=st.timedeltas(timedelta(), timedelta(minutes=1)))
def test_what_was_measured_is_believed_whatever_the_clock_says(jump: timedelta, measured: timedelta) -> None:
    assert passed(BEGIN, BEGIN + jump, measured) == measured


@given(jump=SPANS)
def test_the_wall_clock_is_believed_for_no_more_than_a_change_of_leader_and_never_backwards(jump: timedelta) -> None:
    assert timedelta() <= passed(BEGIN, BEGIN + jump, None) <= CHANGE


def test_it_adds_up_over_looks_and_begins_anew_where_the_stage_does() -> None:
    world = World(track("fast"))
    world.start()
    for _ in range(2):
        world.advance(timedelta(seconds=45))
    before = world.course
    world.advance(timedelta(seconds=45))

    assert before.spent == timedelta(seconds=90)
    assert (world.rollout.stage, world.course.spent) == (1, timedelta())


def test_it_goes_on_while_held_and_begins_anew_when_resumed() -> None:
    world = World(track("fast"))
    world.start()
    world.advance(timedelta(seconds=30))
    world.happen(Hold(world.at, OWNER, "lunch"))
    world.advance(timedelta(seconds=30))
    held = world.course.spent

    world.happen(Resume(world.at, OWNER))

    assert (held, world.course.spent) == (timedelta(seconds=60), timedelta())


def test_a_look_of_a_new_leader_is_in_the_log_with_what_was_believed_of_it() -> None:
    world = World(track("fast"))
    world.start()
    world.pass_time(timedelta(hours=3))
    world.look_at(Look(world.at, world.reports(), world.gateways))

    assert world.course.spent == CHANGE
    assert list(replay(world.pinned, world.log)) == world.log
