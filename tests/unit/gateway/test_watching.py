"""What a gateway counts of a rollout."""

import pytest

from serving.core.rules import Bins
from serving.core.sketches import LABELS_MOST
from serving.core.totals import ArmTotals
from serving.core.traffic import WHOLE
from serving.core.watches import Watch
from serving.ports import Reply, Said, Sorting
from tests.fakes.gateway import ONE, TWO, Bench, table
from tests.fakes.watching import BROKEN, CALLERS_FAULT, GOOD, LATE, report, watch


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_family_without_a_rollout_has_no_report(bench: Bench) -> None:
    bench.gateway.swap(table(canary=WHOLE))

    bench.ask()
    bench.invoker.answer(GOOD)

    assert bench.gateway.watchings.reports("g1", 1.5) == {}


def test_both_arms_are_counted_with_their_own_failures_and_the_callers_mistakes_beside(bench: Bench) -> None:
    bench.gateway.swap(table(canary=5000, watch=watch()))

    for dice, reply in ((0.1, GOOD), (0.1, CALLERS_FAULT), (0.9, GOOD), (0.9, BROKEN)):
        bench.dice = dice
        bench.ask()
        bench.invoker.answer(reply)
        if reply is CALLERS_FAULT:
            bench.invoker.answer(CALLERS_FAULT)

    totals = report(bench).totals
    assert totals.canary == ArmTotals(trials=1, mistakes=1)
    assert totals.production == ArmTotals(trials=2, failures=1)


def test_a_candidate_that_refuses_what_production_answers_has_failed(bench: Bench) -> None:
    bench.gateway.swap(table(canary=WHOLE, watch=watch()))

    bench.ask()
    bench.invoker.answer(CALLERS_FAULT)
    bench.invoker.answer(GOOD)

    assert report(bench).totals.canary == ArmTotals(trials=1, failures=1)
    assert report(bench).row == 1


def test_a_canary_that_production_stood_in_for_is_the_only_trial(bench: Bench) -> None:
    bench.gateway.swap(table(canary=WHOLE, watch=watch()))

    bench.ask()
    bench.invoker.answer(BROKEN)
    bench.invoker.answer(GOOD)

    totals = report(bench).totals
    assert totals.canary == ArmTotals(trials=1, failures=1)
    assert totals.production == ArmTotals()


def test_who_is_held_back_counts_for_the_old_production_and_trips_nothing(bench: Bench) -> None:
    bench.gateway.swap(table(holdback=5000, watch=watch()))

    for dice, replies in ((0.1, [GOOD]), (0.9, [GOOD]), *[(0.9, [BROKEN, GOOD])] * 4):
        bench.dice = dice
        bench.ask()
        for reply in replies:
            bench.invoker.answer(reply)

    totals = report(bench).totals
    assert totals.canary == ArmTotals(trials=1)
    assert totals.production == ArmTotals(trials=5, failures=4)
    assert (report(bench).row, bench.alarms) == (0, 0)


def test_who_asks_for_a_version_is_no_trial(bench: Bench) -> None:
    bench.gateway.swap(table(canary=5000, watch=watch()))

    for selector in ("1.0.0", "1.1.0", "^1.0"):
        bench.ask(selector=selector)
        bench.invoker.answer(BROKEN)

    assert report(bench).totals.canary == report(bench).totals.production == ArmTotals()


def test_who_could_only_have_been_productions_is_no_trial_and_counted_apart(bench: Bench) -> None:
    bench.gateway.swap(table(canary=1, watch=watch(counts_keyless=False)))

    bench.dice = 0.9
    for user in ("", "ada"):
        bench.ask(user=user)
        bench.invoker.answer(GOOD)

    assert report(bench).totals.production == ArmTotals(trials=1, keyless=1)


def test_trials_are_counted_over_each_pinned_edge_and_what_timed_out_is_over_all(bench: Bench) -> None:
    bench.gateway.swap(table(canary=WHOLE, watch=watch(edges=(0.1, 0.15, 1.0, 2.0))))

    for seconds, reply in ((0.05, GOOD), (0.12, GOOD), (1.5, GOOD), (0.01, LATE)):
        bench.ask()
        bench.now += seconds
        bench.invoker.answer(reply)
        if reply is LATE:
            bench.invoker.answer(GOOD)

    assert report(bench).totals.canary.slow == (3, 2, 2, 1)


def test_counting_over_edges_begins_when_they_are_pinned_and_goes_on_over_swaps(bench: Bench) -> None:
    bench.gateway.swap(table(canary=WHOLE, watch=watch(wants_edges=True)))
    bench.ask()
    bench.now += 5
    bench.invoker.answer(GOOD)
    assert report(bench).totals.canary == ArmTotals(trials=1)

    for epoch in (4, 5):
        bench.gateway.swap(table(epoch=epoch, canary=WHOLE, watch=watch(edges=(1.0, 2.0))))
        bench.ask()
        bench.now += 1.5
        bench.invoker.answer(GOOD)

    assert report(bench).totals.canary == ArmTotals(trials=3, slow=(2, 0))


def test_production_is_sketched_until_edges_are_pinned(bench: Bench) -> None:
    bench.gateway.swap(table(canary=1, watch=watch(wants_edges=True)))
    bench.dice = 0.9
    for _ in range(10):
        bench.ask()
        bench.now += 0.02
        bench.invoker.answer(GOOD)

    (baseline,) = bench.gateway.watchings.baselines().values()
    bench.gateway.swap(table(epoch=4, canary=1, watch=watch(edges=(0.02, 0.03))))

    assert baseline.latencies.trials == 10
    assert baseline.latencies.quantile(0.5) == pytest.approx(0.02, rel=0.05)
    assert bench.gateway.watchings.baselines() == {}


def test_the_candidates_row_of_failures_is_told_and_broken_by_an_answer_and_not_by_a_callers_mistake(bench: Bench) -> None:
    bench.gateway.swap(table(canary=WHOLE, watch=watch()))
    rows = list[int]()

    for reply in (BROKEN, BROKEN, CALLERS_FAULT, BROKEN, GOOD):
        bench.ask()
        bench.invoker.answer(reply)
        if reply is not GOOD:
            bench.invoker.answer(reply)
        rows.append(report(bench).row)

    assert rows == [1, 2, 2, 3, 0]
    assert bench.alarms == 1


def test_a_candidate_that_is_production_by_now_still_raises_the_alarm(bench: Bench) -> None:
    live = Watch("digits-1.0.0-1", ONE.digest, TWO.digest)
    bench.gateway.swap(table(watch=live))

    for _ in range(3):
        bench.ask()
        bench.invoker.answer(BROKEN)

    assert bench.gateway.watchings.reports("g1", 1.5)["digits-1.0.0-1"].totals.canary == ArmTotals(trials=3, failures=3)
    assert bench.alarms == 1


def test_reports_are_numbered_and_say_when_there_is_something_new(bench: Bench) -> None:
    bench.gateway.swap(table(canary=WHOLE, watch=watch()))
    before = bench.gateway.watchings.stamp

    first, second = report(bench), report(bench)
    bench.ask()
    bench.invoker.answer(GOOD)

    assert (first.source, first.life, second.sequence - first.sequence) == ("g1", 1.5, 1)
    assert bench.gateway.watchings.stamp != before


def test_a_table_with_a_new_rollout_says_so_once(bench: Bench) -> None:
    begins = [
        bench.gateway.swap(table(epoch=3)),
        bench.gateway.swap(table(epoch=4, canary=1, watch=watch())),
        bench.gateway.swap(table(epoch=5, canary=2, watch=watch(stage=1))),
        bench.gateway.swap(table(epoch=6)),
    ]

    assert begins == [False, True, False, False]


# --- what answers come to ---


def told(label: str | None = None, score: float | None = None, *, is_odd: bool = False) -> Reply:
    return Reply(200, b"{}", said=Said(label, score, is_odd=is_odd))


@pytest.mark.parametrize(
    ("parts", "sorting"),
    [
        ({}, Sorting.NOTHING),
        ({"checks_answers": True}, Sorting.LABEL),
        ({"bins": Bins.CLASSES}, Sorting.LABEL),
        ({"bins": Bins.DECILES, "checks_answers": True}, Sorting.SCORE),
    ],
)
def test_versions_are_asked_what_their_answers_come_to_only_where_a_guard_looks(
    bench: Bench, parts: dict[str, object], sorting: Sorting
) -> None:
    bench.gateway.swap(table(canary=5000, shadow=WHOLE, watch=watch(**parts)))

    bench.ask()
    to_canary = bench.invoker.answer(GOOD)
    copy = bench.invoker.answer(GOOD)
    bench.gateway.swap(table(epoch=4, canary=5000))
    bench.ask()
    afterwards = bench.invoker.answer(GOOD)

    assert (to_canary.call.sorting, copy.call.sorting, afterwards.call.sorting) == (sorting, sorting, Sorting.NOTHING)


def test_labels_are_counted_in_the_pinned_classes_and_all_others_in_one_more(bench: Bench) -> None:
    bench.gateway.swap(table(canary=WHOLE, watch=watch(bins=Bins.CLASSES, classes=("cat", "dog"))))

    for reply in (told("dog"), told("cat"), told("horse"), told("dog"), told(None)):
        bench.ask()
        bench.invoker.answer(reply)

    assert report(bench).totals.canary == ArmTotals(trials=5, classes=(1, 2, 1))


def test_scores_are_counted_between_the_pinned_bounds(bench: Bench) -> None:
    bench.gateway.swap(table(canary=WHOLE, watch=watch(bins=Bins.DECILES, classes=("0.1", "0.5"))))

    for score in (0.05, 0.1, 0.3, 0.9):
        bench.ask()
        bench.invoker.answer(told(score=score))

    assert report(bench).totals.canary.classes == (1, 2, 1)


def test_odd_answers_are_counted_also_where_nothing_is_sorted(bench: Bench) -> None:
    bench.gateway.swap(table(canary=WHOLE, watch=watch(checks_answers=True)))

    for is_odd in (True, False, True):
        bench.ask()
        bench.invoker.answer(told("cat", is_odd=is_odd))

    assert report(bench).totals.canary == ArmTotals(trials=3, odd=2)


def test_a_shadows_own_answers_are_sorted(bench: Bench) -> None:
    bench.gateway.swap(table(shadow=WHOLE, watch=watch(is_shadow=True, bins=Bins.CLASSES, classes=("cat", "dog"))))

    bench.ask()
    bench.invoker.answer(told("cat"))
    bench.invoker.answer(Reply(200, b"label", said=Said("dog", is_odd=True)))

    totals = report(bench).totals
    assert totals.production == ArmTotals(trials=1, classes=(1, 0, 0))
    assert totals.canary == ArmTotals(trials=1, odd=1, classes=(0, 1, 0))


def test_what_production_answers_is_sketched_until_classes_are_pinned(bench: Bench) -> None:
    bench.gateway.swap(table(canary=1, watch=watch(bins=Bins.CLASSES)))
    bench.dice = 0.9
    for label in ("cat", "dog", "cat"):
        bench.ask()
        bench.invoker.answer(told(label))

    (baseline,) = bench.gateway.watchings.baselines().values()
    bench.gateway.swap(table(epoch=4, canary=1, watch=watch(bins=Bins.CLASSES, classes=("cat", "dog"))))

    assert baseline.labels == {"cat": 2, "dog": 1}
    assert bench.gateway.watchings.baselines() == {}
    assert report(bench).totals.production == ArmTotals(trials=3, classes=(0, 0, 0))


def test_labels_beyond_reason_are_no_longer_told_apart(bench: Bench) -> None:
    bench.gateway.swap(table(canary=1, watch=watch(bins=Bins.CLASSES)))
    bench.dice = 0.9

    for number in range(LABELS_MOST + 10):
        bench.ask()
        bench.invoker.answer(told(str(number)))

    (baseline,) = bench.gateway.watchings.baselines().values()
    assert len(baseline.labels) == LABELS_MOST
