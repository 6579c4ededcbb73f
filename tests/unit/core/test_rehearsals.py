"""What a policy's guards could see of a made-up bad version, and what gateways have to count for it."""

import pytest

from serving.control.policies.parsing import parse_policy
from serving.core.injections import Injection
from serving.core.policy import Counting
from serving.core.rehearsals import terms_of, unseen
from tests.fakes.rollout_world import track

HOLDING = parse_policy(b"""
policy: 1
stages: [{name: canary, weight: 0.2, need: {safe: [errors]}}, {name: full, weight: 1.0}]
guards:
  - {id: errors, metric: error}
  - {id: p50, metric: latency, quantile: 0.5, worse: {ratio: 1.5}}
  - {id: drift, metric: output, worse: {js: 0.1}, stages: [full]}
""").policy


@pytest.mark.parametrize("injection", [*Injection])
def test_every_kind_is_seen_by_the_ready_made_tracks(injection: Injection) -> None:
    for name in ("standard", "careful"):
        policy = track(name).policy
        assert unseen(policy, len(policy.stages) - 2, injection) == ""


def test_guards_that_only_hold_would_take_nothing_out_and_are_named() -> None:
    assert unseen(HOLDING, 0, Injection.SLOW) == "its policy only holds when p50 finds slow answers: no guard would have them taken out"


def test_a_guard_that_does_not_watch_the_stage_sees_nothing() -> None:
    assert unseen(HOLDING, 0, Injection.CONSTANT) == (
        "its policy has no guard that could see constant answers in stage canary: output or output_constant_or_invalid"
    )


def test_what_fails_is_always_seen_for_there_is_the_tripwire() -> None:
    assert unseen(HOLDING, 0, Injection.ERRORS) == ""


def test_gateways_count_what_it_takes_and_no_more() -> None:
    policy = track("standard").policy
    slow, constant, errors = (terms_of(policy, 3, injection) for injection in (Injection.SLOW, Injection.CONSTANT, Injection.ERRORS))

    assert {one.unit.count for one in (slow, constant, errors)} == {Counting.REQUEST}
    assert (bool(slow.quantiles), slow.bins, slow.checks_answers) == (True, None, False)
    assert (constant.quantiles, constant.bins is not None, constant.checks_answers) == ((), True, True)
    assert (errors.quantiles, errors.bins, errors.checks_answers) == ((), None, False)
