"""Sketches of latencies, and the edges that are pinned from them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.core.sketches import GROWTH, SHORTEST, Sketch, bucket_of, pinned_edges

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
