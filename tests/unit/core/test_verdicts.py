from random import Random

import pytest

from registry_client.versions import ModelVersion
from serving.core.observations import Increment
from serving.core.policy import GuardPolicy
from serving.core.routing import Arm, Target
from serving.core.verdicts import Evidence, Finding, Signal, judge

POLICY = GuardPolicy()
CANARY = Target("digits", ModelVersion.parse("1.2.0"), "c" * 64)
PRODUCTION = Target("digits", ModelVersion.parse("1.1.0"), "p" * 64)


def canary(requests: int, failures: int = 0, row: int = 0, gateway: str = "g1", target: Target = CANARY) -> Increment:
    return Increment(gateway, target, Arm.CANARY, requests, failures, row)


def production(requests: int, failures: int = 0) -> Increment:
    return Increment("g1", PRODUCTION, Arm.PRODUCTION, requests, failures, 0)


def evidence(*increments: Increment, planned: float = 0.05) -> Evidence:
    return Evidence.none(CANARY, POLICY).after(increments, planned=planned)


def test_no_data_never_passes() -> None:
    verdict = judge(POLICY, evidence(production(100_000)))

    assert verdict.finding is Finding.UNDECIDED
    assert "nothing yet" in verdict.sentence


def test_eight_failures_in_a_row_on_one_gateway_are_harm() -> None:
    verdict = judge(POLICY, evidence(production(100), canary(8, 8, row=8, gateway="g2")))

    assert (verdict.finding, verdict.signal) == (Finding.HARM, Signal.ERRORS_IN_A_ROW)
    assert verdict.sentence == "canary digits@1.2.0 failed 8 times in a row on gateway g2 (limit 8)"


def test_rows_of_two_gateways_are_not_one_row() -> None:
    seen = evidence(production(100_000, 5000), canary(5, 5, row=5), canary(5, 5, row=5, gateway="g2"))

    assert judge(POLICY, seen).signal is not Signal.ERRORS_IN_A_ROW


def test_a_row_goes_on_over_several_looks() -> None:
    seen = evidence(canary(5, 5, row=5)).after([canary(3, 3, row=8)], planned=0.05)

    assert judge(POLICY, seen).signal is Signal.ERRORS_IN_A_ROW


def test_a_row_left_over_from_an_earlier_try_of_the_same_version_does_not_trip() -> None:
    verdict = judge(POLICY, evidence(production(1000), canary(1, 1, row=9)))

    assert verdict.finding is not Finding.HARM


def test_five_percent_against_a_tenth_of_a_percent_is_harm() -> None:
    verdict = judge(POLICY, evidence(production(2000, 2), canary(100, 5, row=1)))

    assert (verdict.finding, verdict.signal) == (Finding.HARM, Signal.ERROR_RATE)
    assert "5 of 100 requests (5.00%), production 2 of 2,000 requests (0.10%)" in verdict.sentence
    assert verdict.numbers["canary_failures"] == 5


def test_a_canary_that_fails_as_often_as_production_is_not_harm() -> None:
    verdict = judge(POLICY, evidence(production(19_000, 950), canary(1000, 50, row=1)))

    assert verdict.finding is Finding.UNDECIDED


def test_more_failures_than_a_flawless_production_are_no_harm_below_the_floor() -> None:
    verdict = judge(POLICY, evidence(production(95_000), canary(5000, 5, row=1)))

    assert verdict.numbers["log_e_worse"] < 0
    assert verdict.finding is Finding.SAFE


def test_a_long_past_as_good_as_productions_does_not_hide_a_canary_that_turns_bad() -> None:
    seen = evidence(production(9500, 95), canary(500, 5))
    for _ in range(5000):
        seen = seen.after([production(190, 2), canary(10, row=0)], planned=0.05)
        seen = seen.after([production(190, 1), canary(10, 1, row=1)], planned=0.05)

    failures = 0
    while judge(POLICY, seen).finding is not Finding.HARM and failures < 100:
        seen, failures = seen.after([production(190, 2), canary(10, 4, row=1)], planned=0.05), failures + 4

    assert failures <= 20


def test_many_answers_without_failures_are_safe() -> None:
    verdict = judge(POLICY, evidence(production(10_000), canary(600)))

    assert verdict.finding is Finding.SAFE


def test_few_answers_without_failures_are_undecided() -> None:
    verdict = judge(POLICY, evidence(production(1000), canary(50)))

    assert verdict.finding is Finding.UNDECIDED
    assert "too little to tell" in verdict.sentence


def test_other_versions_and_families_are_not_blamed_on_the_canary() -> None:
    elsewhere = Target("intent", ModelVersion.parse("1.2.0"), "e" * 64)
    other = Target("digits", ModelVersion.parse("1.3.0"), "o" * 64)

    seen = evidence(canary(20, 20, row=20, target=elsewhere), canary(20, 20, row=20, target=other))

    assert (seen.canary.trials, seen.production.trials) == (0, 0)


def test_evidence_carries_over_when_the_weight_rises() -> None:
    before = evidence(production(990, 1), canary(10, 1, row=1), planned=0.01)

    after = before.after([production(500, 1), canary(500, 30, row=1)], planned=0.5)

    assert after.canary.trials == 510
    assert judge(POLICY, after).signal is Signal.ERROR_RATE


def test_a_busy_caller_in_a_small_slice_does_not_make_a_canary_look_bad() -> None:
    seen = Evidence.none(CANARY, POLICY)

    for _ in range(200):  # 1 % of the keys bring 30 % of the requests, all arms fail 2 %
        seen = seen.after([production(70, 1 if seen.production.trials % 100 < 70 else 2), canary(30, 1, row=1)], planned=0.01)

    assert judge(POLICY, seen).finding is not Finding.HARM


@pytest.mark.parametrize("rate", [0.001, 0.02, 0.2])
def test_equal_arms_are_rolled_back_no_more_often_than_promised(rate: float) -> None:
    dice = Random(11)
    alarms, runs = 0, 100

    for _ in range(runs):
        seen = Evidence.none(CANARY, POLICY)
        for _ in range(40):
            arms = {arm: [dice.random() < rate for _ in range(count)] for arm, count in ((Arm.CANARY, 5), (Arm.PRODUCTION, 45))}
            mine, others = (sum(arms[arm]) for arm in (Arm.CANARY, Arm.PRODUCTION))
            seen = seen.after([canary(5, mine, row=min(mine, 1)), production(45, others)], planned=0.1)
            if judge(POLICY, seen).finding is Finding.HARM:
                alarms += 1
                break

    assert alarms / runs <= 0.03  # three standard errors above the promised 1 %


def test_a_real_regression_is_found_after_a_handful_of_failures() -> None:
    dice = Random(3)
    needed = []

    for _ in range(40):
        seen = Evidence.none(CANARY, POLICY)
        while judge(POLICY, seen).finding is not Finding.HARM:
            failed = dice.random() < 0.05
            others = sum(dice.random() < 0.001 for _ in range(19))
            seen = seen.after([canary(1, int(failed), row=int(failed)), production(19, others)], planned=0.05)
        needed.append(seen.canary.trials)

    assert sorted(needed)[len(needed) // 2] <= 110
