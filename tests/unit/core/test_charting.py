from dataclasses import replace
from datetime import timedelta
from math import log

import pytest

from serving.core import charting
from serving.core.charting import Chart, EmptyLog, chart_of
from serving.core.decisions import UnreadableLine
from serving.core.happenings import Approve, Checked, Flipped
from serving.core.rollout import EventRefused
from serving.core.standing import State
from serving.core.verdicts import Finding
from tests.fakes.rollout_world import GOOD, OTHER, Behaviour, World, track

FAST = track("fast")


def rolled_back() -> World:
    world = World(track("standard"), candidate=Behaviour(errors=0.05), trials=4000)
    world.start()
    while world.state is not State.ROLLING_BACK:
        world.advance()
    world.at += timedelta(seconds=1)
    world.happen(Flipped(world.at, 7))
    world.at += timedelta(seconds=20)
    world.happen(Checked(world.at, is_acked=True, strays=0, is_probed=True, is_recovered=True))
    return world


def live() -> World:
    approved = {"name: quarter, weight: 0.25,": "name: quarter, weight: 0.25, approve: {role: release},"}
    world = World(track("standard", **approved), candidate=GOOD, trials=20_000)
    world.start()
    while world.state is not State.LIVE:
        world.advance(timedelta(minutes=30 if world.state is State.SOAKING else 1))
        if world.stage.approve is not None and not world.rollout.approvals and world.state is State.RAMPING:
            world.happen(Approve(world.at, OTHER))
    return world


@pytest.fixture(scope="module")
def bad() -> tuple[World, Chart]:
    world = rolled_back()
    return world, chart_of(world.pinned, world.log)


@pytest.fixture(scope="module")
def good() -> tuple[World, Chart]:
    world = live()
    return world, chart_of(world.pinned, world.log)


def test_the_share_rises_by_the_policys_stages_and_stays_at_the_whole(good: tuple[World, Chart]) -> None:
    world, chart = good

    callers = [share.callers for share in chart.shares]
    stages = [share.stage for share in chart.shares if share.stage]

    assert callers == sorted(callers)
    assert callers[-1] == 100
    assert list(dict.fromkeys(stages)) == [stage.name for stage in world.pinned.policy.stages]
    assert [mark.label for mark in chart.marks] == ["start (ada)", "approved (grace)", "live"]


def test_a_rollback_takes_the_share_to_nothing_and_is_marked_step_by_step(bad: tuple[World, Chart]) -> None:
    _, chart = bad

    assert chart.state is State.ROLLED_BACK
    assert chart.shares[-1].callers == chart.shares[-1].copies == 0
    assert [mark.label for mark in chart.marks if mark.is_bad] == ["rollback: errors", "flipped", "verified"]
    assert chart.ended == chart.marks[-1].seconds


def test_harm_is_found_exactly_where_the_evidence_passes_the_guards_own_threshold(bad: tuple[World, Chart]) -> None:
    world, chart = bad
    errors = next(strip for strip in chart.strips if strip.guard == "errors")

    assert errors.points[-1].finding is Finding.HARM
    for point in errors.points:
        assert point.harm is not None
        assert point.harm_from is not None
        assert (point.finding is Finding.HARM) == (point.harm >= point.harm_from)
    assert errors.points[0].harm_from is not None
    assert errors.points[0].harm_from >= -log(world.pinned.policy.alpha(world.pinned.policy.guard("errors"))) / log(10) - 1e-12
    assert errors.sentence == world.course.assessment.verdicts[0].sentence


def test_every_guard_that_ever_spoke_has_a_strip_in_the_policys_order(good: tuple[World, Chart]) -> None:
    world, chart = good

    assert [strip.guard for strip in chart.strips] == [guard.id for guard in world.pinned.policy.guards]


def test_a_long_log_is_thinned_but_for_where_a_verdict_changes(good: tuple[World, Chart], monkeypatch: pytest.MonkeyPatch) -> None:
    world, whole = good
    monkeypatch.setattr(charting, "MOST_POINTS", 5)

    thin = chart_of(world.pinned, world.log)

    for few, many in zip(thin.strips, whole.strips, strict=True):
        assert set(few.points) <= set(many.points)
        assert [one.finding for one in _changes(few.points)] == [one.finding for one in _changes(many.points)]
        assert (few.points[0], few.points[-1]) == (many.points[0], many.points[-1])
    assert sum(len(strip.points) for strip in thin.strips) < sum(len(strip.points) for strip in whole.strips)


def _changes(points: tuple[charting.Point, ...]) -> list[charting.Point]:
    return [one for index, one in enumerate(points) if not index or points[index - 1].finding is not one.finding]


def test_a_log_without_a_line_is_no_picture() -> None:
    with pytest.raises(EmptyLog):
        chart_of(FAST, [])


def test_a_log_that_lost_its_head_is_refused(bad: tuple[World, Chart]) -> None:
    world, _ = bad

    with pytest.raises(UnreadableLine):
        chart_of(world.pinned, world.log[1:])


def test_a_log_of_another_policy_is_refused(bad: tuple[World, Chart]) -> None:
    world, _ = bad

    with pytest.raises(EventRefused, match="another policy"):
        chart_of(replace(world.pinned, digest="0" * 64), world.log)
