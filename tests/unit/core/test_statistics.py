from math import log
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.core.statistics import ErrorRatio, Outcomes, TwoArms, log_e_above, log_e_below, log_mean_exp

COUNTS = [(1, 0, 0.01), (2, 0, 0.01), (3, 5, 0.01), (3, 5, 0.05), (4, 3, 0.05), (10, 10, 0.5), (0, 20, 0.05)]
STRICT = [2.716439, 6.228464, 7.298760, 2.905239, 6.194190, -2.048031, -1.928884]
TOLERANT = [2.571932, 5.865195, 6.166798, 1.977996, 4.810521, -3.003954, -2.300043]


@pytest.mark.parametrize(("counts", "expected"), [*zip(COUNTS, STRICT, strict=True)])
def test_the_error_ratio_has_its_published_values(counts: tuple[int, int, float], expected: float) -> None:
    canary, production, share = counts

    evidence = ErrorRatio().after(canary, production, share=share)

    assert evidence.log_e == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("counts", "expected"), [*zip(COUNTS, TOLERANT, strict=True)])
def test_a_tolerated_ratio_has_its_published_values(counts: tuple[int, int, float], expected: float) -> None:
    canary, production, share = counts

    evidence = ErrorRatio(1.5).after(canary, production, share=share)

    assert evidence.log_e == pytest.approx(expected, abs=1e-6)


def test_two_arms_have_their_published_values() -> None:
    ticks = [(0, 0), (0, 0), (1, 0), (0, 1), (1, 1), (1, 1), (0, 0), (1, 1), (0, 0), (1, 0)]
    evidence, path = TwoArms(), []

    for is_canary, failed in ticks:
        seen, none = Outcomes(failed, 1), Outcomes()
        evidence = evidence.after(seen if is_canary else none, none if is_canary else seen, share=0.25)
        path.append(evidence.log_e)

    expected = [0, 0.111974, -0.380032, -0.548781, -0.548781, -0.296191, -0.174386, 0.400352, 0.571416, -0.308672]
    assert path == pytest.approx(expected, abs=1e-6)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=8), st.floats(0.001, 0.999))
@settings(max_examples=50)
def test_at_one_share_it_does_not_matter_in_how_many_looks_the_failures_came(looks: list[tuple[int, int]], share: float) -> None:
    piecewise = ErrorRatio(1.5)
    for canary, production in looks:
        piecewise = piecewise.after(canary, production, share=share)

    at_once = ErrorRatio(1.5).after(sum(c for c, _ in looks), sum(p for _, p in looks), share=share)

    assert piecewise.log_e == pytest.approx(at_once.log_e, abs=1e-9)


def test_stages_of_different_shares_add_up_inside_the_mixture_and_not_outside() -> None:
    first = ErrorRatio().after(2, 1, share=0.01)
    second = ErrorRatio().after(3, 4, share=0.25)

    both = first.after(3, 4, share=0.25)

    summed = [one + other for one, other in zip(first.likelihoods, second.likelihoods, strict=True)]
    assert both.log_e == pytest.approx(log_mean_exp(summed))
    assert both.log_e != pytest.approx(first.log_e + second.log_e)


def test_a_canary_with_all_of_the_traffic_cannot_be_compared() -> None:
    evidence = ErrorRatio(1.5).after(100, 0, share=1.0)

    assert evidence.log_e == pytest.approx(0.0)


def test_evidence_against_a_budget_grows_with_failures_and_shrinks_with_successes() -> None:
    over, under = Outcomes(10, 100), Outcomes(0, 1000)

    assert log_e_above(over, 0.01) > log(100) > 0 > log_e_above(under, 0.01)
    assert log_e_below(under, 0.01) > log(100) > 0 > log_e_below(over, 0.01)
    assert log_e_above(Outcomes(), 0.01) == log_e_below(Outcomes(), 0.01) == 0


def test_a_budget_that_nothing_could_exceed_gives_no_evidence() -> None:
    assert log_e_above(Outcomes(5, 5), 0.9) == 0


def test_impossible_outcomes_are_refused() -> None:
    with pytest.raises(ValueError, match="2 of 1"):
        Outcomes(2, 1)


def test_looking_after_every_request_raises_no_more_false_alarms_than_promised() -> None:
    alpha, alarms, runs = 0.05, 0, 300
    dice = Random(7)

    for _ in range(runs):
        evidence, worst = ErrorRatio(), 0.0
        for _ in range(60):
            is_canary = dice.random() < 0.1
            evidence = evidence.after(int(is_canary), int(not is_canary), share=0.1)
            worst = max(worst, evidence.log_e)
        alarms += worst >= -log(alpha)

    assert alarms / runs <= alpha
