"""Evidence over spans of the latest ticks: a long good past hides nothing, and no more is found that is not there."""

from math import exp, inf, isclose, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.core.gauges import Chances, Gauge, gauge
from serving.core.rules import LatencyRule, OutputRule
from serving.core.statistics import Direction, LatelyArms, LatelyClasses, Outcomes, Proof, TwoArms
from serving.core.statistics.spans import SPANS, log_weight
from serving.core.totals import ArmTotals, Totals

SHARE = 0.25
CHANCES = Chances(0.0015, 0.0075)
OUTPUTS = OutputRule(0.1)
USUAL, COLLAPSED = (0.5, 0.3, 0.2), (1.0, 0.0, 0.0)


def test_the_weights_of_all_turns_and_of_the_whole_add_up_to_no_more_than_one() -> None:
    turns = sum(exp(log_weight(turn)) for turn in range(1, 10_000))

    assert 0.999 < 0.9 + len(SPANS) * turns <= 1


@given(st.integers(0, 40), st.integers(0, 60), st.floats(0.05, 0.95))
def test_the_first_tick_bets_nothing_and_costs_nothing_but_what_is_held_back_for_later_turns(slow: int, more: int, share: float) -> None:
    canary = Outcomes(slow, slow + more + 1)

    lately = LatelyArms.of(Direction.WORSE).after(canary, Outcomes(1, 10), share=share)

    assert lately.whole == TwoArms().after(canary, Outcomes(1, 10), share=share)
    assert isclose(lately.log_e, log(0.95))  # the later turns of the spans have the rest


def test_what_an_ended_span_has_shown_is_kept() -> None:
    lately = LatelyArms.of(Direction.WORSE)
    for _ in range(SPANS[0]):
        lately = lately.after(Outcomes(8, 10), Outcomes(3, 30), share=SHARE)
    shown = lately.spans[0].log_e

    later = lately.after(Outcomes(0, 10), Outcomes(3, 30), share=SHARE).spans[0]

    assert (later.turn, later.ticks) == (2, 1)
    assert later.log_e >= shown > 0


@pytest.mark.parametrize("is_slow", [True, False])
def test_false_alarms_looked_at_after_every_tick_stay_below_alpha(*, is_slow: bool) -> None:
    alpha, paths, ticks = 0.05, 300, 300
    dice = np.random.default_rng(5)
    alarms = 0
    for _ in range(paths):
        arms, classes, is_alarmed = LatelyArms.of(Direction.WORSE), LatelyClasses.of(3), False
        for _ in range(ticks):
            mine = int(dice.binomial(20, SHARE))
            if is_slow:
                canary, production = dice.binomial(mine, 0.1), dice.binomial(20 - mine, 0.1)
                arms = arms.after(Outcomes(int(canary), mine), Outcomes(int(production), 20 - mine), share=SHARE)
                is_alarmed = is_alarmed or arms.log_e >= -log(alpha)
            else:
                seen = [tuple(dice.multinomial(count, USUAL).tolist()) for count in (mine, 20 - mine)]
                classes = classes.after(*seen, share=SHARE, proof=Proof(inf, 0.1))
                is_alarmed = is_alarmed or classes.strongest(Proof(-log(alpha), -inf))[0] >= -log(alpha)
        alarms += is_alarmed

    assert alarms / paths <= alpha


def latency(quantile: float, canary: float, seconds: int, seed: int, onto: Gauge) -> tuple[Gauge, int]:
    """The gauge after so many seconds of 200 requests, or once it finds harm; and after how many that was."""
    dice = np.random.default_rng(seed)
    for second in range(seconds):
        over = int(dice.binomial(50, canary)), int(dice.binomial(150, 1 - quantile))
        onto = onto.after(Totals(ArmTotals(50, slow=(50, over[0])), ArmTotals(150, slow=(over[1], 0))), share=SHARE)
        if onto.read().is_harm:
            return onto, second + 1
    return onto, seconds


@pytest.mark.parametrize(("quantile", "good", "bad"), [(0.5, 0.15, 0.9), (0.99, 0.003, 0.1)])
def test_a_candidate_that_turns_slow_after_an_hour_is_harm_within_seconds_and_the_sentence_says_of_late(
    quantile: float, good: float, bad: float
) -> None:
    past, passed = latency(quantile, good, 3600, 6, gauge(LatencyRule(quantile, 1.5), CHANCES, edge=0))

    turned, seconds = latency(quantile, bad, 60, 7, past)

    assert passed == 3600
    assert seconds <= 15
    assert " of late in " in turned.read().compared


def outputs(chances: tuple[float, ...], seconds: int, seed: int, onto: Gauge) -> tuple[Gauge, int]:
    """The same of the classes that are answered."""
    dice = np.random.default_rng(seed)
    for second in range(seconds):
        mine, others = (tuple(dice.multinomial(*drawn).tolist()) for drawn in ((50, chances), (150, USUAL)))
        onto = onto.after(Totals(ArmTotals(50, classes=mine), ArmTotals(150, classes=others)), share=SHARE)
        if onto.read().is_harm:
            return onto, second + 1
    return onto, seconds


def test_a_candidate_that_collapses_after_an_hour_is_harm_within_seconds_and_stays_so() -> None:
    past, passed = outputs(USUAL, 3600, 8, gauge(OUTPUTS, CHANCES, edge=0))

    turned, seconds = outputs(COLLAPSED, 60, 9, past)

    assert passed == 3600
    assert seconds <= 15
    assert "of late; PSI" in turned.read().compared
    for _ in range(2 * SPANS[1]):
        turned = turned.after(Totals(ArmTotals(50, classes=(50, 0, 0)), ArmTotals(150, classes=(75, 45, 30))), share=SHARE)
        assert turned.read().is_harm


def test_outputs_that_differ_less_than_is_harm_are_none_however_sure_that_is() -> None:
    slightly = (0.62, 0.23, 0.15)  # a divergence of 0.008

    seen, seconds = outputs(slightly, 3600, 10, gauge(OUTPUTS, CHANCES, edge=0))

    assert seconds == 3600
    assert seen.read().is_safe
