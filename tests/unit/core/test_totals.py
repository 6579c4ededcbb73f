from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.core.statistics import Sums
from serving.core.totals import MOST, ArmTotals, Book, Fault, Listening, PairTotals, Report, Tick, Totals

AT = datetime(2030, 1, 1, tzinfo=UTC)


def report(trials: int, failures: int = 0, *, sequence: int = 1, source: str = "g1", life: float = 1.0, row: int = 0) -> Report:
    return Report(source, life, sequence, Totals(ArmTotals(trials, failures)), row)


def entered(*reports: Report, book: Book | None = None) -> tuple[Book, list[Tick]]:
    book, ticks = book or Book(), []
    for one in reports:
        book, tick = book.after([one], at=AT)
        ticks.append(tick)
    return book, ticks


def test_what_was_counted_before_a_source_was_heard_of_is_not_counted() -> None:
    _, ticks = entered(report(1000, 900), report(1010, 901, sequence=2))

    assert [tick.totals.canary.outcomes.trials for tick in ticks] == [0, 10]
    assert ticks[1].totals.canary.failures == 1


@pytest.mark.parametrize(
    "parts",
    [
        {"life": nan},
        {"life": inf},
        {"sequence": -1},
        {"row": MOST + 1},
        {"totals": Totals(ArmTotals(2**63))},
        {"totals": Totals(production=ArmTotals(mistakes=MOST + 1))},
        {"totals": Totals(pairs=PairTotals(offered=MOST + 1))},
    ],
    ids=str,
)
def test_numbers_that_nobody_can_have_counted_to_are_no_report(parts: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="nobody counts like that"):
        replace(report(10), **parts)  # type: ignore[arg-type] # fields of their own types


def test_a_lost_report_costs_nothing() -> None:
    _, ticks = entered(report(0), report(50, 5, sequence=7))

    assert (ticks[1].totals.canary.trials, ticks[1].totals.canary.failures) == (50, 5)


@pytest.mark.parametrize(
    ("late", "fault", "why"),
    [
        (report(41, sequence=2), Fault.LATE, "late or repeated"),
        (report(90, sequence=1), Fault.LATE, "late or repeated"),
        (report(90, sequence=3, life=-59.0), Fault.LATE, "a start 60 s earlier"),
        (report(10, sequence=3), Fault.WENT_BACK, "went back, or contradict each other, between reports 2 and 3"),
        (Report("g1", 1.0, 3, Totals(ArmTotals(60, slow=(1, 2)))), Fault.OTHER_SHAPE, "were pinned"),
        (Report("g1", 1.0, 3, Totals(ArmTotals(60, classes=(1, 2)))), Fault.OTHER_SHAPE, "were pinned"),
    ],
)
def test_what_is_late_or_goes_back_is_refused_with_its_fault_and_changes_nothing(late: Report, fault: Fault, why: str) -> None:
    book, _ = entered(report(0), report(40, sequence=2))

    after, tick = book.after([late], at=AT)

    [refused] = tick.refused
    assert (refused.source, refused.fault) == ("g1", fault)
    assert why in refused.why
    assert tick.totals == Totals()
    assert after.accounts == book.accounts


def test_a_report_that_is_looked_at_twice_is_no_fault_and_counts_once() -> None:
    book, _ = entered(report(0), report(40, sequence=2))

    after, tick = book.after([report(40, sequence=2)], at=AT)

    assert (tick.refused, tick.totals) == ((), Totals())
    assert after.accounts == book.accounts


@given(st.permutations(range(6)), st.data())
def test_in_whatever_order_reports_come_nothing_is_counted_twice(order: list[int], data: st.DataObject) -> None:
    stream = [report(10 * number, number, sequence=number) for number in range(6)]
    repeated = [stream[number] for number in order for _ in range(data.draw(st.integers(1, 3)))]

    _, ticks = entered(stream[0], *repeated)

    assert sum(tick.totals.canary.trials for tick in ticks) == 50
    assert sum(tick.totals.canary.failures for tick in ticks) == 5


def test_a_source_that_started_again_counts_from_nothing() -> None:
    _, ticks = entered(report(100, 10), report(7, 1, sequence=1, life=2.0))

    assert (ticks[1].totals.canary.trials, ticks[1].totals.canary.failures) == (7, 1)


def test_warming_up_is_left_out_by_count_on_each_source_and_after_each_start() -> None:
    stream = [report(0), report(15, 5, sequence=2), report(25, 6, sequence=3), report(30, 7, sequence=4), report(9, 9, life=2.0)]

    _, ticks = entered(*stream, book=Book(warm_up=20))

    assert [tick.totals.canary.trials for tick in ticks] == [0, 0, 0, 5, 0]
    assert ticks[3].totals.canary.failures == 1


def test_a_row_that_was_there_before_is_not_this_candidates() -> None:
    _, ticks = entered(
        report(9, 9, row=9), report(11, 11, sequence=2, row=11), report(30, 11, sequence=3), report(38, 19, sequence=4, row=8)
    )

    assert [tick.rows["g1"] for tick in ticks] == [0, 2, 0, 8]


def test_sources_that_are_not_heard_of_are_named_also_when_they_never_were() -> None:
    listening = Listening(frozenset({"g1", "g2"}), timedelta(minutes=2))
    book, _ = Book(opened=AT).after([report(1)], at=AT, listening=listening)

    _, soon = book.after([report(2, sequence=2)], at=AT + timedelta(minutes=1), listening=listening)
    _, late = book.after([report(2, sequence=2)], at=AT + timedelta(minutes=3), listening=listening)

    assert soon.silent == ()
    assert late.silent == ("g2",)


def test_sources_that_were_not_heard_just_now_are_missed_long_before_they_are_silent() -> None:
    listening = Listening(frozenset({"g1", "g2"}), timedelta(minutes=2))
    book, first = Book(opened=AT).after([report(1)], at=AT, listening=listening)

    _, soon = book.after([], at=AT + timedelta(seconds=5), listening=listening)
    _, later = book.after([], at=AT + timedelta(seconds=6), listening=listening)

    assert (first.missed, first.silent) == (("g2",), ())
    assert (soon.missed, soon.silent) == (("g2",), ())
    assert (later.missed, later.silent) == (("g1", "g2"), ())


def test_a_refused_report_is_no_sign_of_life() -> None:
    listening = Listening(frozenset({"g1"}), timedelta(minutes=2))
    book, _ = Book(opened=AT).after([report(1)], at=AT, listening=listening)

    _, tick = book.after([report(1)], at=AT + timedelta(minutes=3), listening=listening)

    assert tick.silent == ("g1",)


def test_counters_that_contradict_each_other_cannot_be_made() -> None:
    for nonsense in (
        {"trials": 1, "failures": 2},
        {"trials": -1},
        {"trials": 1, "classes": (1, 1)},
        {"trials": 1, "slow": (2,)},
        {"mistakes": -1},
    ):
        with pytest.raises(ValueError, match="contradict"):
            ArmTotals(**nonsense)
    with pytest.raises(ValueError, match="contradict"):
        ArmTotals(rewards=Sums(1, 5.0, 25.0))
    with pytest.raises(ValueError, match="add up"):
        PairTotals(offered=1, compared=1, shed=1)


def test_callers_mistakes_are_no_trials() -> None:
    seen = ArmTotals(trials=10, failures=1, mistakes=500)

    assert (seen.outcomes.trials, seen.outcomes.failures) == (10, 1)


def test_totals_add_and_subtract_part_by_part() -> None:
    one = Totals(ArmTotals(5, 1, classes=(2, 3), rewards=Sums(2, 1.0, 0.5)), pairs=PairTotals(3, 2, shed=1))
    two = replace(one, canary=ArmTotals(9, 1, classes=(4, 5), rewards=Sums(3, 2.0, 1.5)))

    assert two.since(one).canary == ArmTotals(4, 0, classes=(2, 2), rewards=Sums(1, 1.0, 1.0))
    assert one + two.since(one) == replace(two, pairs=one.pairs)


def test_copies_that_were_under_way_when_a_gateway_was_first_heard_do_not_silence_it() -> None:
    first = Report("g1", 1.0, 1, Totals(pairs=PairTotals(offered=154, compared=153)))
    second = Report("g1", 1.0, 2, Totals(pairs=PairTotals(offered=564, compared=564, disagreed=3)))

    book, _ = Book().after([first], at=AT)
    _, tick = book.after([second], at=AT)

    assert tick.refused == ()
    assert (tick.totals.pairs.compared, tick.totals.pairs.disagreed) == (411, 3)


def test_pairs_that_went_back_are_refused() -> None:
    first = Report("g1", 1.0, 1, Totals(pairs=PairTotals(offered=9, compared=2)))
    second = Report("g1", 1.0, 2, Totals(pairs=PairTotals(offered=8, compared=5)))

    book, _ = Book().after([first], at=AT)
    _, tick = book.after([second], at=AT)

    assert [(one.source, one.fault) for one in tick.refused] == [("g1", Fault.WENT_BACK)]
