from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from serving.core.planning import Conduct, Outlook, Plan, Traffic, conduct_of, plan, trials_until
from serving.core.standing import State
from serving.core.verdicts import Finding
from tests.fakes.rollout_world import Behaviour, World, track

PINNED = track("standard")
POLICY = PINNED.policy
USUAL = Conduct(errors=0.001, over=(0.01, 0.002, 0.5, 0.24), classes=(0.5, 0.3, 0.2), disagreeing=0.002)
TRAFFIC = Traffic(per_second=100.0, production=USUAL)


def outlook(made: Plan, stage: str, guard: str) -> Outlook:
    return next(one for one in made.outlooks if (one.stage, one.guard) == (stage, guard))


@pytest.fixture(scope="module")
def made() -> Plan:
    regression = Conduct(errors=0.05, over=(0.1, 0.05, 0.9, 0.8), classes=(1.0, 0.0, 0.0), odd=0.2, disagreeing=0.1)
    return plan(POLICY, TRAFFIC, regression, rollouts_a_year=200)


def test_a_stated_regression_is_caught_by_the_guards_that_see_it(made: Plan) -> None:
    for stage, guard in (("shadow", "disagreement"), ("canary1", "errors"), ("canary5", "p99"), ("canary5", "p50"), ("quarter", "drift")):
        found = outlook(made, stage, guard)
        assert found.caught_after is not None, (stage, guard)
        assert found.caught_after < timedelta(hours=1)


def test_a_heavier_stage_is_faster_and_fails_as_many(made: Plan) -> None:
    small, large = outlook(made, "canary1", "errors"), outlook(made, "canary5", "errors")

    assert small.caught_after is not None
    assert large.caught_after is not None
    assert small.caught_after > large.caught_after
    assert large.failed_requests == pytest.approx(small.failed_requests, rel=0.5)


def test_who_is_twice_as_slow_is_seen_by_pairs_and_who_is_as_fast_is_safe() -> None:
    policy = track("standard", **{"worse: {share: 0.8}": "worse: {share: 0.6}"}).policy
    traffic = Traffic(100.0, conduct_of(policy))

    slow = outlook(plan(policy, traffic, conduct_of(policy, slower=2.0), rollouts_a_year=50), "shadow", "paired")

    assert slow.safe_after is not None
    assert slow.safe_after < timedelta(seconds=30)
    assert slow.caught_after is not None
    assert slow.caught_after < timedelta(seconds=2)
    assert slow.failed_requests == 0


def test_a_shadow_fails_nobody(made: Plan) -> None:
    assert outlook(made, "shadow", "errors").failed_requests == 0


def test_what_is_as_good_as_production_is_safe_in_some_time(made: Plan) -> None:
    for guard in ("errors", "p99", "p50", "drift", "split"):
        assert outlook(made, "quarter", guard).safe_after is not None, guard


def test_what_is_no_regression_is_never_caught() -> None:
    none = plan(POLICY, TRAFFIC, USUAL, rollouts_a_year=200)

    assert {one.caught_after for one in none.outlooks} == {None}


def test_the_plan_says_how_often_it_will_be_wrong_and_how_long_it_takes_at_least(made: Plan) -> None:
    assert made.false_rollbacks_a_year == pytest.approx(2.0)
    assert made.least == timedelta(hours=6 + 1, minutes=10 + 5 + 15)


@pytest.mark.parametrize("name", ["standard", "careful"])
def test_output_drift_is_planned_over_ten_classes_and_a_version_like_production_does_not_drift(name: str) -> None:
    policy = track(name).policy
    usual = conduct_of(policy, errors=0.001)

    made = plan(policy, Traffic(200.0, usual), replace(usual, errors=0.05), rollouts_a_year=52)

    drift = [outlook for outlook in made.outlooks if outlook.guard == "drift"]
    assert len(drift) >= 4
    assert all(outlook.safe_after is not None and outlook.caught_after is None for outlook in drift)


def test_with_all_callers_only_what_needs_no_comparison_is_planned() -> None:
    policy = track("standard").policy
    usual = conduct_of(policy, errors=0.001)

    made = plan(policy, Traffic(200.0, usual), replace(usual, errors=0.05), rollouts_a_year=52)

    full = {outlook.guard: outlook.caught_after for outlook in made.outlooks if outlook.stage == "full"}
    assert full.keys() == {"errors", "collapse"}
    assert full["errors"] is not None
    assert full["errors"] < timedelta(seconds=5)


def test_rewards_are_planned_too() -> None:
    policy = track("careful").policy
    good, bad = Conduct(reward=0.8), Conduct(reward=0.6)
    quarter = policy.stages[3]

    assert trials_until(policy, quarter, policy.guard("feedback"), (bad, good), Finding.HARM) is not None
    assert trials_until(policy, quarter, policy.guard("feedback"), (good, good), Finding.SAFE) is not None


def test_what_is_planned_is_about_what_is_seen() -> None:
    guard, stage = POLICY.guard("errors"), POLICY.stages[2]
    planned = trials_until(POLICY, stage, guard, (replace(USUAL, errors=0.03), USUAL), Finding.HARM)
    assert planned is not None

    needed = []
    for seed in range(40):
        world = World(PINNED, candidate=Behaviour(errors=0.03), trials=200, seed=seed)
        world.start()
        world.course = replace(
            world.course, rollout=replace(world.rollout, stage=2, state=State.RAMPING), book=replace(world.course.book, warm_up=0)
        )
        while world.state is State.RAMPING:
            world.advance(timedelta(seconds=2))
        needed.append(world.course.evidence.units)

    assert planned / 2 < np.median(needed) < planned * 2
