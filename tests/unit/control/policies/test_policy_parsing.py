import hashlib
from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry_client.versions import Bump
from serving.control.policies.linting import read
from serving.control.policies.parsing import InvalidPolicy, parse_pinned, parse_policy
from serving.core.policy import Action, Counting, Policy
from serving.core.rules import ErrorRule, RewardRule
from serving.core.traffic import WHOLE
from tests.unit.control.policies.examples import FULL


def changed(old: str, new: str) -> bytes:
    assert old in FULL
    return FULL.replace(old, new, 1).encode()


def full() -> Policy:
    return parse_policy(FULL.encode()).policy


def test_the_whole_policy_is_read_into_the_cores_values() -> None:
    policy = full()

    assert [(stage.name, stage.weight, stage.mirror) for stage in policy.stages] == [
        ("shadow", 0, WHOLE),
        ("canary1", 100, 0),
        ("canary5", 500, 0),
        ("quarter", 2500, 0),
        ("full", WHOLE, 0),
    ]
    assert policy.stages[0].need.time == timedelta(minutes=10)
    assert policy.guard("errors").rule == ErrorRule(1.5, 0.002, 0.01)
    assert policy.guard("errors").on.harm is Action.ROLLBACK
    assert policy.guard("feedback").rule == RewardRule(0.02, 0.0, 1.0, timedelta(hours=24))
    assert policy.unit.count is Counting.UNIT_WINDOW
    assert policy.rollback.verify.recovered == "errors"
    assert policy.rollback.verify.quiet == timedelta(seconds=10)
    assert policy.drill is not None
    assert policy.drill.window == (6 * 1440 + 120, 6 * 1440 + 300)
    assert dict(policy.tracks) == {Bump.PATCH: "fast", Bump.MINOR: "standard", Bump.MAJOR: "careful"}


def test_all_means_the_guards_that_watch_the_stage_and_the_last_stage_waits_for_none() -> None:
    policy = full()

    assert policy.stages[3].need.safe == ("errors", "p99", "p50", "drift", "collapse", "feedback", "split")
    assert policy.stages[4].need.safe == ()


def test_the_risks_are_split_by_share_and_add_up() -> None:
    policy = full()

    assert sum(policy.alpha(guard) for guard in policy.guards) == pytest.approx(0.01)
    assert sum(policy.beta(guard) for guard in policy.guards) == pytest.approx(0.05)
    assert policy.alpha(policy.guard("errors")) == pytest.approx(4 * policy.alpha(policy.guard("split")))


@pytest.mark.parametrize(
    ("old", "new", "field", "sentence", "hint"),
    [
        ("risk:", "rsk:", "rsk", "no such field", "did you mean 'risk'?"),
        ("worse: {ratio: 1.5, floor", "wrse: {ratio: 1.5, floor", "guards[0].wrse", "no such field", "did you mean 'worse'?"),
        ("worse: {js:", "worse: {ratio:", "guards[3].worse.ratio", "no such field", "the fields here are js"),
        ("weight: 0.05", "weight: 5", "stages[2].weight", "expected `float` <= 1.0, not 5", "share of the callers"),
        ("time: 10m", "time: 10", "stages[0].need.time", "'10' is not written like '10m'", "At least so long"),
        ("metric: latency", "metric: latncy", "guards[1].metric", "'latncy'", "did you mean 'latency'?"),
        ("harm: rollback", "harm: promote", "guards[0].on.harm", "'promote'", "write one of hold, rollback"),
        ("quantile: 0.99, ", "", "guards[1].quantile", "is missing", "Which quantile"),
        ("weight: 0.25", "weight: 0.05", "stages", "'quarter' must have more weight than 'canary5'", "docs/policies.md"),
        ("weight: 1.0", "weight: 0.9", "stages", "the last one must have weight 1.0", "docs/policies.md"),
        ("[errors, p50, p99]", "[errors, p5]", "stages[2].need.safe", "there is no 'p5'", "did you mean 'p50'?"),
        ("[errors, p50, p99]", "[disagreement]", "stages[2].need.safe", "does not watch stage 'canary5'", "docs/policies.md"),
        ("[errors, p50, p99]", "[]", "stages[2].need.safe", "advances only on SAFE", "docs/policies.md"),
        ("weight: 0.01", "weight: 0.00001", "stages[1].weight", "finer than a hundredth of a percent", "docs/policies.md"),
        ("time: 1h", "time: 25h", "stages[3].need.time", "longer than deadline.per_stage", "docs/policies.md"),
        ("mirror: 1.0, ", "", "stages[0]", "neither weight nor mirror", "docs/policies.md"),
        ("stages: [shadow]", "stages: [canary1]", "stages[0].need.safe", "does not watch", "docs/policies.md"),
        ("bounds: [0, 1]", "bounds: [1, 0]", "guards[6].bounds", "is no range", "docs/policies.md"),
        ("id: p50", "id: p99", "guards", "'p99' is used twice", "docs/policies.md"),
        ("name: canary5", "name: canary1", "stages", "'canary1' is used twice", "docs/policies.md"),
        ("lease: 15s", "lease: 4s", "lease", "4s is not from 5s to 600s", "docs/policies.md"),
        ("lease: 15s", "lease: 11m", "lease", "660s is not from 5s to 600s", "docs/policies.md"),
        ("lease: 15s", "lease: .nan", "lease", "nan is no number", "finite"),
        ("policy: 1", "policy: 2", "policy", "2", "write one of 1"),
        ("keep_warm: 72h", "keep_warm: 72h, holdback: 0.75", "rollback.holdback", "expected `float` <= 0.5", "share of callers who stay"),
        ("keep_warm: 72h", "holdback: 0.00001", "rollback.holdback", "finer than a hundredth of a percent", "docs/policies.md"),
        ("0 in 10s", "none", "rollback.verify.stray", "not written like '0 in 10s'", "So many answers"),
        ("errors in 5m", "faults in 5m", "rollback.verify.recovered", "there is no 'faults'", "docs/policies.md"),
        ("Sun 02:00-05:00", "Sun 05:00-02:00", "drill.window", "not written like 'Sun 02:00-05:00'", "When in the week"),
        ("share: 4", "share: 0", "guards[0].share", "expected `int` >= 1, not 0", "part of the risks"),
        ("soak: 24h", "soak: 24h, need: {time: 1x}", "stages[4].need.time", "'1x'", "At least so long"),
    ],
)
def test_a_mistake_is_named_by_field_limit_and_what_to_do(old: str, new: str, field: str, sentence: str, hint: str) -> None:
    with pytest.raises(InvalidPolicy) as caught:
        parse_policy(changed(old, new))

    assert caught.value.field == field
    assert sentence in caught.value.reason
    assert hint in caught.value.hint


@pytest.mark.parametrize("text", ["", "[]", "policy: 1\npolicy: 1", "{", "policy: 1", "- 1", "\x00"])
def test_what_is_no_policy_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(InvalidPolicy) as caught:
        parse_policy(text.encode())

    assert caught.value.hint


def test_the_digest_is_that_of_the_meaning_and_not_of_the_writing() -> None:
    written = parse_policy(FULL.encode())

    assert parse_policy(changed("time: 1h", "time: 60m")).digest == written.digest
    assert parse_policy(changed("share: 1, on", "on")).digest == written.digest
    assert parse_policy(changed("time: 1h", "time: 61m")).digest != written.digest
    assert parse_policy(written.document).digest == written.digest


@settings(max_examples=25)
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=8), lambda inner: st.lists(inner, max_size=3), max_leaves=6))
def test_whatever_stands_in_a_field_it_is_read_or_refused(value: object) -> None:
    for place in ("lease", "stages", "guards", "unit", "risk"):
        with suppress(InvalidPolicy):
            parse_policy(f"{FULL}\n".replace(f"\n{place}:", f"\n{place}: {value!r} #", 1).encode())


def test_a_holdback_that_leaves_no_room_for_a_stage_is_refused_and_one_that_does_is_told_of() -> None:
    with pytest.raises(InvalidPolicy, match="'quarter' has as many callers as the last stage would have") as caught:
        parse_policy(FULL.replace("weight: 0.25", "weight: 0.95").replace("keep_warm: 72h", "keep_warm: 72h, holdback: 0.05").encode())

    kept = parse_policy(FULL.replace("keep_warm: 72h", "keep_warm: 72h, holdback: 0.05").encode())

    assert caught.value.field == "rollback.holdback"
    assert kept.policy.rollback.holdback == 500
    assert "full: 95.00% of callers" in read(kept).stages[-1]
    assert "the old production kept for 3d with 5.00% of the callers" in read(kept).stages[-1]


def test_the_policy_of_a_rollout_keeps_its_digest_though_a_later_program_knows_more_fields() -> None:
    document = (
        parse_policy(FULL.encode()).document.replace(b',"holdback":0', b"").replace(b',"floor":"1ms"', b"").replace(b'"floor":"1ms",', b"")
    )

    pinned = parse_pinned(document)

    assert b"holdback" not in document
    assert (pinned.document, pinned.digest) == (document, hashlib.sha256(document).hexdigest())
    assert pinned.digest != parse_policy(document).digest
    assert pinned.policy == parse_policy(document).policy


def test_what_is_pinned_by_this_program_has_the_same_digest_again() -> None:
    first = parse_policy(FULL.encode())

    assert parse_pinned(first.document) == first


TWO = {
    "tolerance": "{id: strict, metric: shadow_disagreement, tolerance: {atol: 1e-6}, worse: {rate: 0.02}}",
    "bins": "{id: scores, metric: output, bins: deciles, worse: {js: 0.1}}",
    "bounds": "{id: stars, metric: reward, bounds: [1, 5], delay: 24h, worse: {drop: 0.1}}",
    "delay": "{id: soon, metric: reward, bounds: [0, 1], delay: 1h, worse: {drop: 0.1}}",
}


@pytest.mark.parametrize("guard", TWO.values(), ids=TWO)
def test_two_guards_that_gateways_would_have_to_count_by_different_terms_for_are_refused(guard: str) -> None:
    text = changed("guards:\n", f"guards:\n  - {guard}\n")

    with pytest.raises(InvalidPolicy, match="gateways count each answer once"):
        parse_policy(text)
    # A rollout that goes by it already goes on: who would take its candidate's callers away for that?
    assert len(parse_pinned(text).policy.guards) == len(full().guards) + 1


def test_two_guards_of_one_kind_may_differ_in_what_is_harm() -> None:
    more = "{id: worst, metric: output, worse: {js: 0.4}, on: {harm: rollback}}"

    assert parse_policy(changed("guards:\n", f"guards:\n  - {more}\n")).policy.guard("worst").on.harm is Action.ROLLBACK


def test_a_policy_of_which_no_guard_can_judge_the_last_stage_is_refused() -> None:
    text = b"""
        policy: 1
        stages: [{name: full, weight: 1.0}]
        guards: [{id: p99, metric: latency, quantile: 0.99, worse: {ratio: 1.5}}]
    """

    with pytest.raises(InvalidPolicy, match="none can say SAFE of the last stage"):
        parse_policy(text)


def test_the_last_stage_asks_whoever_can_judge_it_where_none_was_asked_before() -> None:
    policy = parse_policy(b"""
        policy: 1
        stages: [{name: full, weight: 1.0}]
        guards:
          - {id: errors, metric: error}
          - {id: p99, metric: latency, quantile: 0.99, worse: {ratio: 1.5}}
    """).policy

    assert policy.needed(policy.stages[0]) == ("errors",)
