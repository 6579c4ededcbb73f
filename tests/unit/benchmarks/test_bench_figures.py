import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.figures import TARGETS, Name, Ratio, Result, Sample, Target, invalid_of, percentile, ratio, ratios_of, results_of, spread_of
from benchmarks.rounds import rotated
from benchmarks.wrk import Reading


def sample(rps: float, server: Name = Name.POINTSMAN, clients: int = 1, **errors: int) -> Sample:
    return Sample(server, clients, Reading(rps=rps, p50_ms=1000 / max(rps, 1), p99_ms=2.0, errors=errors), rss_mb=100.0)


def result(server: Name, clients: int, rps: float) -> Result:
    return Result(server, clients, rps, p50_ms=1.0, p99_ms=2.0, rss_mb=50.0)


def test_the_median_of_the_rounds_is_the_figure() -> None:
    samples = [sample(100.0), sample(900.0), sample(200.0)]

    (figure,) = results_of(samples)

    assert (figure.rps, figure.p50_ms) == (200.0, 5.0)


def test_rounds_with_errors_do_not_count_and_are_named() -> None:
    samples = [sample(100.0), sample(9_000.0, timeout=3, status=1), sample(102.0)]

    (figure,) = results_of(samples)

    assert figure.rps == 101.0
    assert invalid_of(samples) == ["pointsman with 1 clients: 3 timeout errors, 1 status errors"]


def test_a_server_with_no_valid_round_has_no_figure() -> None:
    assert results_of([sample(9_000.0, read=1), sample(0.0)]) == []


def test_servers_and_clients_are_kept_apart() -> None:
    samples = [sample(1.0), sample(2.0, clients=8), sample(3.0, Name.HANDWRITTEN)]

    figures = results_of(samples)

    assert [(one.server, one.clients, one.rps) for one in figures] == [
        ("pointsman", 1, 1.0),
        ("pointsman", 8, 2.0),
        ("handwritten", 1, 3.0),
    ]


def test_the_spread_is_the_range_over_the_median() -> None:
    assert spread_of([sample(90.0), sample(100.0), sample(120.0)]) == {(Name.POINTSMAN, 1): 0.3}


def test_a_ratio_compares_like_with_like() -> None:
    results = [result(Name.POINTSMAN, 8, 1_200.0), result(Name.HANDWRITTEN, 8, 1_000.0), result(Name.HANDWRITTEN, 64, 10.0)]
    target = Target(Name.HANDWRITTEN, 8, 1.1)

    assert ratios_of(results, [target]) == [Ratio(target, 1.2)]
    assert Ratio(target, 1.2).is_met
    assert not Ratio(target, 1.09).is_met


def test_a_ratio_of_what_was_not_measured_is_unknown_and_not_met() -> None:
    ratios = ratios_of([result(Name.POINTSMAN, 1, 1.0)])

    assert [one.measured for one in ratios] == [None] * len(TARGETS)
    assert not any(one.is_met for one in ratios)


def test_a_ratio_to_nothing_is_unknown() -> None:
    assert ratio(1.0, 0.0) is None


@pytest.mark.parametrize(("percent", "expected"), [(50, 5.0), (90, 9.0), (99, 10.0), (100, 10.0), (1, 1.0)])
def test_percentiles_are_by_nearest_rank(percent: float, expected: float) -> None:
    assert percentile([float(value) for value in range(10, 0, -1)], percent) == expected


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 100))
def test_a_percentile_is_always_a_value_that_was_measured(values: list[float], percent: float) -> None:
    assert percentile(values, percent) in values


def test_every_server_begins_a_round_in_its_turn() -> None:
    names = list(Name)

    assert [rotated(names, index)[0] for index in range(4)] == [*names, names[0]]
    assert sorted(rotated(names, 2)) == sorted(names)
