"""What holds of every statistic whatever the data: it starts at nothing, refuses nonsense, and cries wolf no more often than promised."""

from collections.abc import Callable
from math import inf, log, nan
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.core.statistics import (
    Assignment,
    AsymptoticSequence,
    BernsteinSequence,
    ClassArms,
    Detector,
    Direction,
    Divergence,
    ErrorRatio,
    Interval,
    Outcomes,
    Signs,
    SlowerOnset,
    Sums,
    TwoArms,
    log_e_above,
    log_e_below,
    log_e_not_slower,
    log_e_slower,
    part_of,
)
from serving.core.statistics.ratio import RELIEFS

ALPHA = 0.05
RUNS = 300


def dice(seed: int) -> Random:
    return Random(seed)


def alarms(watch: Callable[[Random], float]) -> float:
    """The share of runs in which the largest evidence ever seen reached 1/alpha."""
    rolls = dice(17)
    return sum(watch(rolls) >= -log(ALPHA) for _ in range(RUNS)) / RUNS


def one(flag: bool) -> Outcomes:  # noqa: FBT001 - a coin
    return Outcomes(int(flag), 1)


def sign(rolls: Random, *, slower: float, tied: float) -> Signs:
    """One pair."""
    roll = rolls.random()
    return Signs(slower=1) if roll < slower else Signs(tied=1) if roll < slower + tied else Signs(faster=1)


def split(rolls: Random, share: float, rate: float) -> tuple[Outcomes, Outcomes]:
    """One trial of one arm; the other has none."""
    seen, is_canary = one(rolls.random() < rate), rolls.random() < share
    return (seen, Outcomes()) if is_canary else (Outcomes(), seen)


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("rate", [0.02, 0.5])
def test_equal_arms_alarm_no_more_often_than_promised(direction: Direction, rate: float) -> None:
    def watch(rolls: Random) -> float:
        evidence, worst = TwoArms(direction=direction), 0.0
        for _ in range(150):
            evidence = evidence.after(*split(rolls, 0.2, rate), share=0.2)
            worst = max(worst, evidence.log_e)
        return worst

    assert alarms(watch) <= ALPHA


def test_equal_classes_alarm_no_more_often_than_promised() -> None:
    def watch(rolls: Random) -> float:
        evidence, worst, none = ClassArms.of(4), 0.0, (0, 0, 0, 0)
        for _ in range(100):
            answer = rolls.choices(range(4), (0.6, 0.2, 0.15, 0.05))[0]
            seen = tuple(int(answer == index) for index in range(4))
            arms = (seen, none) if rolls.random() < 0.3 else (none, seen)
            evidence = evidence.after(*arms, share=0.3)
            worst = max(worst, evidence.log_e)
        return worst

    assert alarms(watch) <= ALPHA


def test_an_honest_router_is_accused_no_more_often_than_promised() -> None:
    def watch(rolls: Random) -> float:
        evidence, worst = Assignment(), 0.0
        for trial in range(200):
            share = 0.05 if trial < 100 else 0.25
            is_canary = rolls.random() < share
            evidence = evidence.after(int(is_canary), int(not is_canary), share=share)
            worst = max(worst, evidence.log_e)
        return worst

    assert alarms(watch) <= ALPHA


def test_a_fair_coin_is_called_slower_no_more_often_than_promised() -> None:
    def watch(rolls: Random) -> float:
        seen, worst = Signs(), 0.0
        for _ in range(200):
            seen += sign(rolls, slower=0.35, tied=0.3)
            worst = max(worst, log_e_slower(seen))
        return worst

    assert alarms(watch) <= ALPHA


@pytest.mark.parametrize("tied", [0.0, 0.4])
def test_what_takes_longer_as_often_as_allowed_is_neither_slower_nor_not_more_often_than_promised(tied: float) -> None:
    allowed = 0.7

    def watch(rolls: Random, *, is_late: bool) -> float:
        onset, seen, worst = SlowerOnset(allowed), Signs(), 0.0
        for _ in range(200):
            new = sign(rolls, slower=allowed - tied / 2, tied=tied)
            onset, seen = onset.after(new), seen + new
            worst = max(worst, onset.log_e if is_late else log_e_not_slower(seen, allowed))
        return worst

    assert alarms(lambda rolls: watch(rolls, is_late=True)) <= ALPHA
    assert alarms(lambda rolls: watch(rolls, is_late=False)) <= ALPHA


def test_the_sequence_of_a_mean_is_wrong_no_more_often_than_promised() -> None:
    def watch(rolls: Random) -> float:
        sequence = BernsteinSequence(ALPHA)
        for _ in range(150):
            score = rolls.betavariate(1, 3)
            sequence = sequence.after(Sums(1, score, score * score))
            if not sequence.interval.low <= 0.25 <= sequence.interval.high:
                return inf
        return 0.0

    assert alarms(watch) <= ALPHA


def test_a_version_twice_as_good_is_shown_to_be_better_and_never_worse() -> None:
    rolls, better, worse = dice(1), TwoArms(direction=Direction.BETTER), TwoArms()

    for _ in range(3000):
        is_canary = rolls.random() < 0.3
        seen = one(rolls.random() < (0.1 if is_canary else 0.2))
        arms = (seen, Outcomes()) if is_canary else (Outcomes(), seen)
        better, worse = better.after(*arms, share=0.3), worse.after(*arms, share=0.3)

    assert better.log_e > log(1000) > 0 > worse.log_e


def test_a_ratio_is_shown_to_be_below_what_is_tolerated() -> None:
    evidence = ErrorRatio(1.5, RELIEFS)

    evidence = evidence.after(10, 90, share=0.25)

    assert evidence.log_e > log(100)


def test_a_collapse_to_one_class_is_found_in_a_handful_of_answers() -> None:
    evidence = ClassArms((0, 0, 0), (300, 200, 100))

    for _ in range(20):
        evidence = evidence.after((0, 0, 1), (10, 6, 3), share=0.05)

    assert evidence.log_e > log(1000)


def test_other_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="argument"):
        ClassArms.of(3).after((1, 0), (0, 1), share=0.5)


@given(st.lists(st.integers(0, 50), min_size=3, max_size=3), st.lists(st.integers(0, 50), min_size=3, max_size=3))
def test_the_bound_of_a_divergence_is_never_below_what_was_seen(mine: list[int], others: list[int]) -> None:
    divergence = Divergence(tuple(mine), tuple(others))

    assert 0 <= divergence.raw_js <= divergence.js_at_most(0.05) <= log(2)


def test_divergence_is_about_nothing_without_drift_and_large_after_a_collapse() -> None:
    rolls = dice(2)
    same = [[sum(rolls.random() < 0.25 for _ in range(2000)) for _ in range(4)] for _ in range(2)]
    quiet, loud = Divergence(tuple(same[0]), tuple(same[1])), Divergence((1000, 0, 0, 0), (250, 250, 250, 250))

    assert abs(quiet.psi) < 0.01
    assert abs(quiet.js) < 0.001
    assert loud.js > 0.3
    assert Divergence((0, 0), (1, 0)).psi == Divergence((0, 0), (1, 0)).js == 0
    assert Divergence((0, 0), (1, 0)).js_at_most(0.05) == log(2)


def test_many_answers_without_drift_are_shown_to_be_close() -> None:
    divergence = Divergence((2500, 1500, 1000), (50_000, 30_000, 20_000))

    assert divergence.js_at_most(0.01) < 0.05


def test_a_share_is_shown_to_be_as_planned_only_with_enough_trials() -> None:
    few, many = Assignment().after(5, 95, share=0.05), Assignment().after(500, 9500, share=0.05)

    assert not few.is_within(0.25, 0.05)
    assert many.is_within(0.25, 0.05)
    assert not Assignment().after(900, 9100, share=0.05).is_within(0.25, 0.05)
    assert not Assignment().is_within(0.25, 0.05)


def test_a_new_share_keeps_the_evidence_of_the_one_before() -> None:
    wrong = Assignment().after(300, 700, share=0.05)

    moved = wrong.after(0, 0, share=0.25)

    assert wrong.log_e > log(1e6)
    assert moved.log_e == pytest.approx(wrong.log_e)
    assert Assignment().after(10, 0, share=1.0).log_e == 0


def test_a_detector_finds_a_late_jump_before_the_cumulative_evidence_does() -> None:
    ratio, detector = ErrorRatio().after(10, 190, share=0.05), Detector()
    found: dict[str, int] = {}

    for failure in range(1, 200):
        after = ratio.after(1, 0, share=0.05)
        detector, ratio = detector.after(after.gains(ratio)), after
        if detector.log_m >= log(1000):
            found.setdefault("detector", failure)
        if ratio.log_e >= log(1000):
            found.setdefault("cumulative", failure)

    assert found["detector"] < found["cumulative"]
    assert Detector().log_m == -inf


def test_of_pairs_that_are_nearly_all_slower_a_few_dozen_say_so() -> None:
    assert log_e_slower(Signs(38, 2)) > log(1000)
    assert log_e_slower(Signs(20, 20)) < 0 == log_e_slower(Signs())
    assert log_e_slower(Signs(40), tolerated=0.99) == 0


def test_of_pairs_that_are_all_tied_or_even_a_few_hundred_say_that_none_is_slower() -> None:
    assert log_e_not_slower(Signs(tied=60), 0.6) > log(1000)
    assert log_e_not_slower(Signs(250, 250), 0.6) > log(1000)
    assert log_e_not_slower(Signs(60, 40), 0.6) < 0
    assert Signs(6, 2, 2).share == 0.7
    assert Signs().share == 0.5


def test_a_version_that_slows_down_late_is_slower_after_a_few_dozen_pairs() -> None:
    onset, seen = SlowerOnset(0.6), Signs()
    for new in [Signs(5, 5)] * 400 + [Signs(10)] * 6:
        onset, seen = onset.after(new), seen + new

    assert onset.log_e > log(1000)
    assert log_e_slower(seen, 0.6) < 0


def test_no_pairs_come_to_less_than_nothing() -> None:
    with pytest.raises(ValueError, match="no pairs come to"):
        Signs(slower=-1)


def test_scores_that_cannot_be_are_refused() -> None:
    for count, total, squares in ((1, nan, 0.0), (1, 0.0, inf), (-1, 0.0, 0.0), (1, 2.0, 1.0)):
        with pytest.raises(ValueError, match="cannot have"):
            Sums(count, total, squares)


def test_without_scores_a_mean_can_be_anything() -> None:
    assert BernsteinSequence(0.05).after(Sums()).interval == Interval(0.0, 1.0)
    assert AsymptoticSequence(0.05).after(Sums(99, 50.0, 30.0)).interval == Interval(-inf, inf)
    assert AsymptoticSequence(0.05).after(Sums(4000, 2000.0, 1100.0)).interval.low > 0.4


def test_the_bernstein_sequence_narrows_around_the_mean() -> None:
    sequence = BernsteinSequence(0.01)

    for _ in range(400):
        sequence = sequence.after(Sums(10, 9.0, 8.1 + 0.05))

    assert 0.88 < sequence.interval.low < 0.9 < sequence.interval.high < 0.92


def test_windows_together_spend_no_more_than_alpha() -> None:
    parts = [part_of(window) for window in range(1, 2000)]

    assert parts[0] == 1 / 2
    assert parts == sorted(parts, reverse=True)
    assert sum(parts) == pytest.approx(1.0, rel=1e-3)
    assert sum(parts) < 1


def test_evidence_for_safety_is_ruined_by_what_was_excluded() -> None:
    assert log_e_below(Outcomes(0, 500), 0.01) > 0
    assert log_e_above(Outcomes(500, 500), 0.01) > 100
