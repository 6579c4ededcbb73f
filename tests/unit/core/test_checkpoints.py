"""A checkpoint and the lines behind it lead to the same course as all lines: to the last bit, wherever the log is cut."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.control.policies.parsing import parse_policy
from serving.core.checkpoints import UnreadableCheckpoint, course_of, state_of
from serving.core.course import Course, replay, resumed, retraced
from serving.core.happenings import Hold, Resume
from serving.core.policy import Pinned
from serving.core.rollout import EventRefused
from serving.core.statistics import Sums
from serving.core.totals import ArmTotals, Totals
from tests.fakes.rollout_world import OWNER, Behaviour, World, track

EVERY_GUARD = """
policy: 1
unit: {{count: {count}, window: 20m}}
stages:
  - {{name: shadow, mirror: 1.0, need: {{pairs: 100, time: 2m, safe: [disagreement]}}}}
  - {{name: tenth, weight: 0.1, need: {{units: 100, time: 3m, safe: [errors]}}}}
  - {{name: full, weight: 1.0, soak: 5m}}
guards:
  - {{id: errors, metric: error, worse: {{ratio: 1.5, floor: 0.002}}, ok: {{below: 0.02}}, on: {{harm: hold}}}}
  - {{id: p50, metric: latency, quantile: 0.5, worse: {{ratio: 1.2}}}}
  - {{id: drift, metric: output, bins: classes, worse: {{js: 0.1}}}}
  - {{id: collapse, metric: output_constant_or_invalid, worse: {{rate: 0.02}}}}
  - {{id: disagreement, metric: shadow_disagreement, worse: {{rate: 0.05}}, stages: [shadow]}}
  - {{id: feedback, metric: reward, bounds: [0, 1], worse: {{drop: 0.05}}}}
  - {{id: split, metric: assignment, worse: any}}
warm_up: 50
tripwire: {{errors_in_a_row: 8}}
"""

behaviours = st.builds(
    Behaviour, errors=st.sampled_from([0.001, 0.05]), slower=st.sampled_from([1.0, 1.5]), odd=st.sampled_from([0.0, 0.03])
)
scores = st.lists(st.floats(0, 1), max_size=4)
minutes = st.lists(st.tuples(scores, scores, st.sampled_from(["look", "look", "look", "hold", "resume"])), min_size=1, max_size=12)


def sums(scores: list[float]) -> Sums:
    return Sums(len(scores), sum(scores), sum(score * score for score in scores))


def rewarded(mine: list[float], others: list[float]) -> Totals:
    return Totals(ArmTotals(rewards=sums(mine)), ArmTotals(rewards=sums(others)))


def world_of(pinned: Pinned, candidate: Behaviour, ticks: list[tuple[list[float], list[float], str]]) -> tuple[World, list[Course]]:
    """A rollout that went through some minutes, and the course as it was in memory after each line of its log."""
    world = World(pinned, candidate=candidate, trials=400)
    world.start()
    courses = [turn.course for _, turn in retraced(pinned, world.log)]
    for mine, others, word in ticks:
        world.pass_time(timedelta(minutes=1))
        world.totals["g1"] += rewarded(mine, others)
        world.look(world.reports())
        courses.append(world.course)
        try:
            if word != "look":
                world.happen(Hold(world.at, OWNER, "lunch") if word == "hold" else Resume(world.at, OWNER))
                courses.append(world.course)
        except EventRefused:
            continue
    return world, courses


@given(candidate=behaviours, ticks=minutes, count=st.sampled_from(["request", "unit_window"]), data=st.data())
def test_a_checkpoint_and_the_lines_behind_it_come_to_what_all_lines_come_to(
    candidate: Behaviour, ticks: list[tuple[list[float], list[float], str]], count: str, data: st.DataObject
) -> None:
    pinned = parse_policy(EVERY_GUARD.format(count=count).encode())
    world, courses = world_of(pinned, candidate, ticks)
    whole = resumed(pinned, world.log)
    assert whole is not None
    cut = data.draw(st.integers(1, len(world.log)))

    kept = course_of(pinned, state_of(courses[cut - 1]))
    again = list(retraced(pinned, world.log[cut:], since=kept))

    assert kept == courses[cut - 1]
    assert [turn.line for _, turn in again] == world.log[cut:] == list(replay(pinned, world.log))[cut:]
    assert (again[-1][1].course if again else kept) == whole.course


@pytest.mark.parametrize("state", [b"", b"\x80", b"nonsense", b"\x81\xa4form\x01"], ids=["nothing", "empty", "text", "half"])
def test_what_is_no_checkpoint_is_refused(state: bytes) -> None:
    with pytest.raises(UnreadableCheckpoint):
        course_of(track("standard"), state)


def test_a_checkpoint_of_another_policy_is_refused() -> None:
    world = World(track("standard"))
    world.start()
    state = state_of(world.course)
    other = replace(world.pinned, digest="0" * 64)

    with pytest.raises(UnreadableCheckpoint):
        course_of(track("careful"), state)
    with pytest.raises(UnreadableCheckpoint, match="another policy"):
        course_of(other, state)
