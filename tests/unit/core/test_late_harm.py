"""Who has all callers has nobody beside it to be compared with, and is watched all the same: while it soaks, and while it is warm."""

from dataclasses import replace
from datetime import timedelta

import pytest

from serving.control.policies.parsing import parse_policy
from serving.core.gauges import Chances, ErrorGauge, gauge
from serving.core.rules import ErrorRule
from serving.core.standing import State
from serving.core.totals import ArmTotals, Totals
from serving.core.verdicts import Finding
from tests.fakes.rollout_world import GOOD, Behaviour, World, track

MINUTE = timedelta(minutes=1)
BRIEF = b"""
policy: 1
unit: {key: [header:x-user-id], missing: random, count: request}
stages:
  - {name: tenth, weight: 0.1, need: {units: 40, time: 3s, safe: [errors]}}
  - {name: full, weight: 1.0, soak: 5s}
guards:
  - {id: errors, metric: error, worse: {ratio: 1.5, floor: 0.002}, ok: {below: 0.01}, on: {harm: rollback}}
"""


def come_to(world: World, state: State) -> World:
    """As a good candidate would."""
    world.start()
    for _ in range(2000):
        if world.state is state:
            return world
        world.advance(MINUTE)
    raise AssertionError(world.rollout)


@pytest.mark.parametrize("name", ["fast", "standard"])
@pytest.mark.parametrize("state", [State.SOAKING, State.LIVE])
@pytest.mark.parametrize("errors", [0.05, 0.3])
def test_whoever_turns_bad_with_all_callers_is_rolled_back_within_a_minute(name: str, state: State, errors: float) -> None:
    world = come_to(World(track(name), trials=12_000), state)

    world.candidate = Behaviour(errors=errors)
    world.advance(MINUTE)

    assert world.state is State.ROLLING_BACK
    assert world.rollout.receipt is not None
    assert world.rollout.receipt.signal == "errors"
    assert "of late more than the " in world.rollout.receipt.reason
    assert "that are allowed with production no longer beside it" in world.rollout.receipt.reason


@pytest.mark.parametrize("count", ["request", "unit_window"])
def test_a_good_version_is_not_blamed_for_having_all_callers(count: str) -> None:
    usual = Behaviour(errors=0.006)  # below what is safe, above the floor
    pinned = parse_policy(BRIEF.replace(b"count: request", b"count: " + count.encode()))
    ends = []
    for seed in range(40):
        world = World(pinned, candidate=usual, production=usual, trials=3000, seed=seed)
        world.start()
        for _ in range(60):
            world.advance(MINUTE)
        ends.append(world.state)

    assert State.ROLLING_BACK not in ends
    assert ends.count(State.LIVE) >= 38


def test_what_production_used_to_fail_is_not_the_candidates_fault() -> None:
    beside = Totals(ArmTotals(500, 10), ArmTotals(9500, 190))
    guard = gauge(ErrorRule(), Chances(0.003, 0.01), edge=0).after(beside, share=0.05)

    assert isinstance(guard, ErrorGauge)
    alone = guard.renewed(Chances(0.001, 0.01)).after(Totals(ArmTotals(5000, 100)), share=1.0)
    reading = alone.read()

    assert not reading.is_harm
    assert alone.known.trials == 9500
    assert alone.after(Totals(ArmTotals(2000, 400)), share=1.0).read().is_harm


def test_the_last_answers_of_production_after_the_last_step_prove_nothing() -> None:
    world = come_to(World(track("standard"), trials=12_000), State.SOAKING)

    world.totals["g1"] += Totals(production=ArmTotals(9, slow=(5, 5, 9, 9), classes=(0, 0, 9)))
    world.advance(MINUTE)

    assert {verdict.finding for verdict in world.course.assessment.verdicts} == {Finding.SAFE}


def test_the_last_stage_ends_only_while_all_is_safe_that_had_to_be() -> None:
    world = come_to(World(track("standard"), trials=600), State.SOAKING)

    world.candidate = replace(GOOD, errors=0.011)  # a little more than is safe, too little to be harm soon
    for _ in range(7 * 60):
        world.advance(MINUTE)
        if world.state is not State.SOAKING:
            break

    assert world.state is not State.LIVE


def test_a_stage_in_which_nothing_was_seen_is_not_passed() -> None:
    world = World(parse_policy(BRIEF), trials=1000)
    world.start()
    while world.rollout.stage == 0:
        world.advance(timedelta(seconds=1))

    for _ in range(60):  # nobody calls any more
        world.at += timedelta(seconds=1)
        world.look(world.reports())

    unseen = world.state
    world.advance(timedelta(seconds=1))
    assert (unseen, world.state) == (State.SOAKING, State.LIVE)


ONE_STAGE = b"""
policy: 1
unit: {missing: random, count: request}
stages: [{name: full, weight: 1.0}]
guards: [{id: errors, metric: error, on: {harm: rollback}}]
"""
AFTER_A_SHADOW = ONE_STAGE.replace(b"stages: [", b"stages: [{name: shadow, mirror: 1.0, need: {pairs: 10, safe: [same]}}, ").replace(
    b"guards: [", b"guards: [{id: same, metric: shadow_disagreement, worse: {rate: 0.2}}, "
)


@pytest.mark.parametrize("policy", [ONE_STAGE, AFTER_A_SHADOW])
@pytest.mark.parametrize(("errors", "expected"), [(0.0, State.LIVE), (0.03, State.ROLLING_BACK)])
def test_whoever_gets_all_callers_at_once_is_live_only_when_it_is_safe_there(policy: bytes, errors: float, expected: State) -> None:
    world = World(parse_policy(policy), trials=100)
    world.start()
    states = {world.state}
    for _ in range(60):
        world.advance(timedelta(seconds=1))
        if world.state is State.SOAKING:
            world.candidate = Behaviour(errors=errors)
        states.add(world.state)

    assert world.state is expected
    assert errors == 0.0 or State.LIVE not in states
