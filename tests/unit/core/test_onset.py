"""The evidence of a late onset: it is an e-process, and a long good past hardly delays it."""

from math import exp, isclose, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.core.gauges import Chances, gauge
from serving.core.rules import ErrorRule
from serving.core.statistics import ErrorRatio, Onset, Outcomes, RatioOnset, log_e_above
from serving.core.totals import ArmTotals, Totals

BUDGET = 0.009


def tick(failures: int, trials: int) -> Outcomes:
    return Outcomes(failures, trials)


@given(st.integers(0, 50), st.integers(0, 500))
def test_from_the_beginning_it_is_the_plain_evidence_less_the_price_of_looking_for_later(failures: int, more: int) -> None:
    seen = Outcomes(failures, failures + more + 1)

    assert isclose(Onset(BUDGET).after(seen).log_e, log_e_above(seen, BUDGET) - log(2), abs_tol=1e-9)


@given(st.lists(st.integers(0, 30), max_size=20))
def test_a_tick_is_on_average_no_gain_while_the_null_holds(before: list[int]) -> None:
    onset = Onset(BUDGET)
    for good in before:
        onset = onset.after(tick(0, good))
    failed, fine = exp(onset.after(tick(1, 1)).log_e), exp(onset.after(tick(0, 1)).log_e)
    begun = 1 / ((onset.ticks + 1) * (onset.ticks + 2))

    # What is not begun yet counts nothing, and begins with its weight.
    assert BUDGET * failed + (1 - BUDGET) * fine <= (exp(onset.log_e) if onset.ticks else 0.0) + begun + 1e-9


def test_false_alarms_looked_at_after_every_tick_stay_below_alpha() -> None:
    alpha, paths, ticks = 0.05, 500, 400
    dice = np.random.default_rng(3)

    alarms = 0
    for _ in range(paths):
        onset, is_alarmed = Onset(BUDGET), False
        for failures in dice.binomial(10, BUDGET, ticks).tolist():
            onset = onset.after(tick(failures, 10))
            is_alarmed = is_alarmed or onset.log_e >= -log(alpha)
        alarms += is_alarmed

    assert alarms / paths <= alpha


def test_a_candidate_that_turns_bad_late_is_harm_after_a_few_failures() -> None:
    guard = gauge(ErrorRule(), Chances(0.003, 0.01), edge=0)
    for _ in range(600):  # ten minutes of good answers
        guard = guard.after(Totals(ArmTotals(10), ArmTotals(190)), share=0.05)
    plain = Outcomes(0, 6000)

    failures = 0
    while not guard.read().is_harm:
        guard = guard.after(Totals(ArmTotals(10, 2), ArmTotals(190)), share=0.05)
        failures, plain = failures + 2, plain + Outcomes(2, 10)

    assert failures <= 8
    assert log_e_above(plain, ErrorRule().floor) < -log(0.003)  # the whole past would still forgive it


@given(st.integers(0, 50), st.integers(0, 50), st.floats(0.01, 0.99))
def test_from_the_beginning_the_ratio_is_the_plain_one_less_a_tenth(canary: int, production: int, share: float) -> None:
    plain = ErrorRatio(1.5).after(canary, production, share=share).log_e
    price = -log(0.9) if canary or production else 0.0

    assert isclose(RatioOnset(1.5).after(canary, production, share=share).log_e, plain - price, abs_tol=1e-9)


def test_false_alarms_of_the_ratio_looked_at_after_every_tick_stay_below_alpha() -> None:
    alpha, paths, ticks, share = 0.05, 500, 400, 0.25
    dice = np.random.default_rng(4)
    alarms = 0
    for _ in range(paths):
        onset, is_alarmed = RatioOnset(), False
        # An incident in between that both arms share.
        rates = np.where((np.arange(ticks) > 200) & (np.arange(ticks) < 250), 0.3, 0.02)
        canary, production = dice.binomial(5, rates).tolist(), dice.binomial(15, rates).tolist()
        for mine, others in zip(canary, production, strict=True):
            onset = onset.after(mine, others, share=share)
            is_alarmed = is_alarmed or onset.log_e >= -log(alpha)
        alarms += is_alarmed

    assert alarms / paths <= alpha


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_a_long_past_as_good_as_productions_does_not_hide_a_candidate_that_turns_bad(share: float) -> None:
    guard = gauge(ErrorRule(ok_below=0.02), Chances(0.003, 0.01), edge=0)
    for _ in range(6 * 3600):  # six hours in which both fail one in a hundred
        guard = guard.after(Totals(ArmTotals(50, 1), ArmTotals(150, 1)), share=0.25)
        guard = guard.after(Totals(ArmTotals(50), ArmTotals(150, 2)), share=0.25)

    seconds = 0
    while not guard.read().is_harm and seconds < 60:
        others = ArmTotals(150, 2) if share < 1 else ArmTotals()
        guard, seconds = guard.after(Totals(ArmTotals(50, 10), others), share=share), seconds + 1

    assert seconds <= 10
