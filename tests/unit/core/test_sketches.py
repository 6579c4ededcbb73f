"""Sketches of latencies, and the edges that are pinned from them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.core.rules import Bins
from serving.core.sketches import CLASSES_MOST, GROWTH, SHORTEST, Baseline, Sketch, bucket_of, deciles_of, pinned_classes, pinned_edges

times = st.floats(1e-5, 1e3)


def sketch(seconds: list[float]) -> Sketch:
    counts = dict[int, int]()
    for one in seconds:
        counts[bucket_of(one)] = counts.get(bucket_of(one), 0) + 1
    return Sketch(counts)


@given(st.lists(times, min_size=1, max_size=50), st.sampled_from([0.01, 0.5, 0.9, 0.99]))
def test_a_quantile_is_off_by_no_more_than_half_a_bucket(seconds: list[float], share: float) -> None:
    exact = sorted(seconds)[max(-int(-share * len(seconds) // 1) - 1, 0)]

    found = sketch(seconds).quantile(share)

    assert exact / GROWTH**0.51 <= found <= exact * GROWTH**0.51


@given(st.lists(times, max_size=30), st.lists(times, max_size=30))
def test_sketches_of_two_gateways_add_up_to_that_of_all_their_answers(one: list[float], other: list[float]) -> None:
    assert sketch(one) + sketch(other) == sketch(one + other)


def test_a_time_of_nothing_has_a_bucket_too() -> None:
    assert bucket_of(0.0) == bucket_of(SHORTEST)


def test_there_is_no_quantile_of_nothing() -> None:
    with pytest.raises(ValueError, match="nothing"):
        Sketch().quantile(0.5)


def test_a_bucket_cannot_hold_less_than_nothing() -> None:
    with pytest.raises(ValueError, match="less than nothing"):
        Sketch({1: -1})


def test_each_latency_guard_gets_productions_quantile_and_ratio_times_it() -> None:
    latencies = sketch([0.010] * 90 + [0.100] * 10)

    edges = pinned_edges([(0.5, 1.2), (0.99, 1.5)], latencies)

    assert edges == pytest.approx((0.010, 0.012, 0.100, 0.150), rel=0.03)
    assert edges[1] == pytest.approx(1.2 * edges[0])


def test_an_edge_lies_at_least_as_far_above_the_quantile_as_the_guard_says() -> None:
    latencies = sketch([0.0005] * 90 + [0.100] * 10)

    edges = pinned_edges([(0.5, 1.2), (0.99, 1.5)], latencies, [0.001, 0.001])

    assert edges == pytest.approx((0.0005, 0.0015, 0.100, 0.150), rel=0.03)
    assert edges[1] == pytest.approx(edges[0] + 0.001)


# --- classes ---


def test_the_most_frequent_labels_of_all_gateways_are_pinned() -> None:
    heard = [Baseline(labels={"cat": 5, "dog": 1}), Baseline(labels={"dog": 9, "eel": 2}), Baseline()]

    assert pinned_classes(Bins.CLASSES, heard) == ("dog", "cat", "eel")


def test_no_more_labels_are_pinned_than_a_report_can_carry() -> None:
    heard = [Baseline(labels={f"label {number}": 100 - number for number in range(64)})]

    assert pinned_classes(Bins.CLASSES, heard) == tuple(f"label {number}" for number in range(CLASSES_MOST))


def test_deciles_cut_the_scores_into_tenths() -> None:
    assert deciles_of(list(range(100))) == (10, 20, 30, 40, 50, 60, 70, 80, 90)
    assert deciles_of([1.0] * 9) == ()


def test_the_deciles_of_several_gateways_are_averaged_by_how_much_they_saw() -> None:
    one = Baseline(scores=30, deciles=tuple(float(tenth) for tenth in range(1, 10)))
    other = Baseline(scores=10, deciles=tuple(tenth + 2.0 for tenth in range(1, 10)))

    bounds = pinned_classes(Bins.DECILES, [one, other, Baseline()])

    assert [float(bound) for bound in bounds] == pytest.approx([tenth + 0.5 for tenth in range(1, 10)])


def test_where_many_scores_are_alike_one_bound_is_enough_for_them() -> None:
    scores = [0.0] * 50 + [1.0] * 50

    assert pinned_classes(Bins.DECILES, [Baseline(scores=100, deciles=deciles_of(scores))]) == ("0.0", "1.0")


@pytest.mark.parametrize("bins", list(Bins))
def test_nothing_is_pinned_of_nothing(bins: Bins) -> None:
    with pytest.raises(ValueError, match="nothing yet"):
        pinned_classes(bins, [Baseline()])


@pytest.mark.parametrize("nonsense", [{"scores": -1}, {"labels": {"a": -1}}, {"deciles": (1.0,)}, {"deciles": (float("nan"),) * 9}])
def test_a_baseline_that_no_answers_come_to_cannot_be_made(nonsense: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no answers"):
        Baseline(**nonsense)  # type: ignore[arg-type]  # nonsense on purpose
