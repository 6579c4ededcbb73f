from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from serving.control.policies.parsing import parse_policy
from serving.core.assessing import Assessment, Evidence, GuardVerdict, assess, edges
from serving.core.effects import FlipBack, Promote, SetWeight
from serving.core.policy import Policy
from serving.core.standing import State
from serving.core.statistics import Sums
from serving.core.totals import ArmTotals, PairTotals, Report, Tick, Totals
from serving.core.verdicts import Finding
from tests.fakes.rollout_world import BEGIN, GOOD, Behaviour, World, track
from tests.unit.control.policies.examples import FULL

FULL_POLICY = parse_policy(FULL.encode()).policy
AFOOT = {State.SHADOWING, State.RAMPING, State.SOAKING}
MINUTE = timedelta(minutes=1)


def run(world: World, most: int = 120) -> World:
    """Until the rollout stands still or is over."""
    world.start()
    for _ in range(most):
        if world.state not in AFOOT:
            break
        world.advance(2 * MINUTE if world.state is not State.SOAKING else timedelta(hours=1))
    return world


def seen(stage: str, *ticks: Totals, policy: Policy = FULL_POLICY) -> Assessment:
    """What the guards, the documented policy's by default, say in a stage after some ticks."""
    where = next(one for one in policy.stages if one.name == stage)
    evidence = Evidence.none(policy, "c" * 64, at=BEGIN)
    for tick in ticks:
        evidence = evidence.after(policy, where, Tick(tick), at=BEGIN)
    return assess(policy, where, evidence, at=BEGIN)


def finding(assessment: Assessment, guard: str) -> Finding:
    verdict = assessment.of(guard)
    assert verdict is not None
    return verdict.finding


def test_a_good_candidate_goes_through_every_stage_and_is_live() -> None:
    world = run(World(track("standard")))

    assert world.state is State.LIVE
    assert [effect.weight for effect in world.effects if isinstance(effect, SetWeight)] == [0, 100, 500, 2500, 10_000]
    assert isinstance(world.effects[-3], Promote)


@pytest.mark.parametrize(
    ("candidate", "signal"),
    [
        (Behaviour(errors=0.05), "errors"),
        (Behaviour(slower=2.0), "p99"),
        (Behaviour(odd=0.1), "collapse"),
    ],
)
def test_a_bad_candidate_is_rolled_back_by_the_guard_that_is_there_for_it(candidate: Behaviour, signal: str) -> None:
    world = run(World(track("standard"), candidate=candidate))

    assert world.state is State.ROLLING_BACK
    assert world.rollout.receipt is not None
    assert world.rollout.receipt.signal == signal
    assert isinstance(world.effects[-1], FlipBack)


@pytest.mark.parametrize(
    ("candidate", "said"),
    [
        (Behaviour(classes=(0.0, 0.0, 1.0)), "classes apart"),
        (Behaviour(disagreeing=0.2), "disagreed"),
        (Behaviour(slower=1.3), "0.5 quantile"),
    ],
)
def test_what_only_holds_is_held_with_a_sentence(candidate: Behaviour, said: str) -> None:
    world = run(World(track("standard"), candidate=candidate))

    assert world.state is State.HELD
    assert world.rollout.held is not None
    assert said in world.rollout.held.why


def test_an_incident_that_both_arms_share_is_not_the_candidates_fault() -> None:
    world = World(track("standard"), candidate=replace(GOOD, errors=0.1), production=replace(GOOD, errors=0.1))

    run(world)

    assert world.state is not State.ROLLING_BACK
    assert finding(world.course.assessment, "errors") is Finding.UNDECIDED


@pytest.mark.slow
def test_identical_versions_are_rolled_back_no_more_often_than_promised() -> None:
    ends = []
    pinned = track("standard", **{"time: 1h": "time: 10m", "soak: 6h": "soak: 0s"})
    for seed in range(200):
        shared = Behaviour(errors=0.004, odd=0.005)
        ends.append(run(World(pinned, candidate=shared, production=shared, trials=20_000, seed=seed)).state)

    assert sum(end in {State.ROLLING_BACK, State.ROLLED_BACK} for end in ends) <= 2
    assert sum(end is State.LIVE for end in ends) >= 150


def test_callers_mistakes_and_warming_up_are_nobodys_errors() -> None:
    none = seen("canary1", Totals(ArmTotals(600, 0, mistakes=5000), ArmTotals(50_000, 50)))

    assert finding(none, "errors") is Finding.SAFE


def test_no_data_is_no_verdict() -> None:
    few, many = (seen("canary5", Totals(production=ArmTotals(trials))) for trials in (50, 100_000))

    assert {verdict.finding for verdict in few.verdicts} == {Finding.UNDECIDED}
    assert [verdict.guard for verdict in many.verdicts if verdict.finding is Finding.HARM] == ["split"]


def test_rewards_are_compared_by_where_their_means_can_be() -> None:
    def thumbs(up: int) -> ArmTotals:
        return ArmTotals(rewards=Sums(100, float(up), float(up)))

    worse, alike, close = (Totals(thumbs(up), thumbs(80)) for up in (65, 80, 80))

    assert finding(seen("quarter", *[worse] * 100), "feedback") is Finding.HARM
    assert finding(seen("quarter", *[alike] * 100), "feedback") is Finding.UNDECIDED
    assert finding(seen("quarter", *[close] * 1500), "feedback") is Finding.SAFE


def test_pairs_are_judged_in_the_shadow() -> None:
    agree = Totals(pairs=PairTotals(offered=3000, compared=2500, disagreed=5, shed=500))
    disagree = Totals(pairs=PairTotals(offered=500, compared=500, disagreed=60))

    assert finding(seen("shadow", agree), "disagreement") is Finding.SAFE
    assert finding(seen("shadow", disagree), "disagreement") is Finding.HARM
    assert seen("canary1", agree).of("disagreement") is None


PAIRED = FULL.replace("worse: {share: 0.8}", "worse: {share: 0.6}")


def paired(stage: str, **pairs: int) -> GuardVerdict | None:
    """What the guard of paired latency says in a stage, after ten ticks of as many pairs each."""
    tick = Totals(pairs=PairTotals(offered=pairs["compared"], **pairs))
    return seen(stage, *[tick] * 10, policy=parse_policy(PAIRED.encode()).policy).of("paired")


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ({"compared": 20, "slower": 18, "faster": 1}, Finding.HARM),
        ({"compared": 100, "slower": 45, "faster": 45}, Finding.SAFE),
        ({"compared": 20}, Finding.SAFE),
        ({"compared": 20, "slower": 12, "faster": 8}, Finding.UNDECIDED),
    ],
    ids=["slower", "as fast", "always tied", "as slow as is allowed"],
)
def test_who_takes_longer_for_the_same_request_is_judged_in_the_shadow(pairs: dict[str, int], expected: Finding) -> None:
    verdict = paired("shadow", **pairs)

    assert verdict is not None
    assert verdict.finding is expected
    assert f"of {10 * pairs['compared']:,} pairs" in verdict.sentence
    assert verdict.numbers["trials"] == 10 * pairs["compared"]
    assert paired("canary1", **pairs) is None


def test_a_wrong_split_is_harm() -> None:
    assessment = seen("canary5", Totals(ArmTotals(1000), ArmTotals(9000)))

    assert finding(assessment, "split") is Finding.HARM


def test_safe_carries_over_to_the_next_stage_and_a_new_digest_begins_with_nothing() -> None:
    policy, calm = FULL_POLICY, Totals(ArmTotals(1000), ArmTotals(99_000))
    evidence = Evidence.none(policy, "c" * 64, at=BEGIN).after(policy, policy.stages[1], Tick(calm), at=BEGIN)

    moved = evidence.after(policy, policy.stages[2], Tick(Totals(ArmTotals(1), ArmTotals(19))), at=BEGIN)
    fresh = Evidence.none(policy, "d" * 64, at=BEGIN)

    assert finding(assess(policy, policy.stages[2], moved, at=BEGIN), "errors") is Finding.SAFE
    assert (moved.window, moved.units) == (2, 1)
    assert finding(assess(policy, policy.stages[2], fresh, at=BEGIN), "errors") is Finding.UNDECIDED


def test_safe_is_not_carried_over_while_what_is_seen_speaks_against_it() -> None:
    policy = FULL_POLICY
    stage = policy.stages[2]
    calm, bad = Totals(ArmTotals(1000), ArmTotals(99_000)), Totals(ArmTotals(100, 2), ArmTotals(1900, 40))
    evidence = Evidence.none(policy, "c" * 64, at=BEGIN).after(policy, policy.stages[1], Tick(calm), at=BEGIN)

    evidence = evidence.after(policy, stage, Tick(bad), at=BEGIN)

    assert finding(assess(policy, stage, evidence, at=BEGIN), "errors") is Finding.UNDECIDED
    assert not evidence.after(policy, policy.stages[3], Tick(), at=BEGIN).dials["errors"].was_safe


def test_the_risk_of_later_windows_is_smaller() -> None:
    policy = FULL_POLICY
    evidence = Evidence.none(policy, "c" * 64, at=BEGIN)
    for days in range(3):
        evidence = evidence.after(policy, policy.stages[1], Tick(), at=BEGIN + timedelta(days=days))

    alpha = policy.alpha(policy.guard("errors"))
    assert evidence.window == 3
    assert evidence.dials["errors"].gauge.chances.alpha == pytest.approx(alpha / 12)
    assert evidence.dials["disagreement"].gauge.chances.alpha == pytest.approx(policy.alpha(policy.guard("disagreement")))


def test_silence_takes_back_what_was_safe_and_never_what_is_harm() -> None:
    policy, stage = FULL_POLICY, FULL_POLICY.stages[1]
    calm = Evidence.none(policy, "c" * 64, at=BEGIN).after(policy, stage, Tick(Totals(ArmTotals(1000), ArmTotals(99_000))), at=BEGIN)
    bad = calm.after(policy, stage, Tick(Totals(ArmTotals(100, 90), ArmTotals(9900, 10))), at=BEGIN)

    later = BEGIN + timedelta(minutes=3)
    quiet, loud = assess(policy, stage, calm, at=later), assess(policy, stage, bad, at=later)

    assert finding(assess(policy, stage, calm, at=BEGIN), "errors") is Finding.SAFE
    assert finding(quiet, "errors") is Finding.UNDECIDED
    assert quiet.verdicts[0].has_data is False
    assert finding(loud, "errors") is Finding.HARM


def test_a_candidate_whose_callers_are_all_counted_already_is_not_silent() -> None:
    policy, stage = FULL_POLICY, FULL_POLICY.stages[1]
    calm = Evidence.none(policy, "c" * 64, at=BEGIN).after(policy, stage, Tick(Totals(ArmTotals(1000), ArmTotals(99_000))), at=BEGIN)
    later = BEGIN + timedelta(minutes=3)

    busy = calm.after(policy, stage, Tick(Totals(ArmTotals(again=7), ArmTotals(again=700))), at=later)

    assert finding(assess(policy, stage, busy, at=later), "errors") is Finding.SAFE
    assert busy.units == 1000


def test_a_gateway_that_is_not_heard_makes_everything_undecided() -> None:
    policy, stage = FULL_POLICY, FULL_POLICY.stages[1]
    calm = Tick(Totals(ArmTotals(1000), ArmTotals(99_000)), silent=("g2",))

    assessment = assess(policy, stage, Evidence.none(policy, "c" * 64, at=BEGIN).after(policy, stage, calm, at=BEGIN), at=BEGIN)

    assert {verdict.finding for verdict in assessment.verdicts} == {Finding.UNDECIDED}
    assert "g2 cannot be heard" in assessment.verdicts[0].sentence


def test_the_tripwire_needs_no_statistics() -> None:
    policy, stage = FULL_POLICY, FULL_POLICY.stages[1]
    evidence = Evidence.none(policy, "c" * 64, at=BEGIN).after(policy, stage, Tick(rows={"g2": 8, "g1": 3}), at=BEGIN)

    assert assess(policy, stage, evidence, at=BEGIN).trip == "failed 8 times in a row on g2 (limit 8)"


def test_each_latency_guard_has_two_edges() -> None:
    assert edges(FULL_POLICY) == {"p99": (0.99, 1.5), "p50": (0.5, 1.2)}


@pytest.mark.parametrize(
    "nonsense", [b'{"source": NaN}', b"{}", b"[]", b'{"source":"g","life":1.0,"sequence":1,"totals":{"canary":{"trials":-1}}}']
)
def test_a_report_with_nonsense_is_no_report(nonsense: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        msgspec.json.decode(nonsense, type=Report)
