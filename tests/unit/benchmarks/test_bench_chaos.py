"""What `make chaos` writes down says what was measured, what was promised, and whether it holds."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from benchmarks.chaos import Figure, Result, markdown, merged, read_chaos, table, write_chaos

VIOLATIONS = Figure("violations", 0, at_most=0)
SPEED = Figure("flips", 1234.5, "1/s")
STORM = Result("P1", "storm over sqlite", [VIOLATIONS, SPEED], 12.5, 7, "2030-01-02T03:04:05+00:00", "2 cores")


@pytest.mark.parametrize(
    ("figure", "bound", "verdict"),
    [
        (VIOLATIONS, "none", "met"),
        (replace(VIOLATIONS, value=1), "none", "MISSED"),
        (Figure("p99", 251, "ms", at_most=250), "at most 250", "MISSED"),
        (Figure("p99", 250, "ms", at_most=250), "at most 250", "met"),
        (Figure("responses", 999_999, at_least=1_000_000), "at least 1,000,000", "MISSED"),
        (Figure("responses", 1_000_000, at_least=1_000_000), "at least 1,000,000", "met"),
        (SPEED, "", ""),
    ],
    ids=str,
)
def test_a_figure_says_whether_its_promise_is_kept(figure: Figure, bound: str, verdict: str) -> None:
    assert (figure.bound, figure.verdict) == (bound, verdict)


def test_a_result_holds_when_all_its_figures_do() -> None:
    assert STORM.holds
    assert not replace(STORM, figures=[SPEED, replace(VIOLATIONS, value=2)]).holds


def test_results_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "results" / "chaos.json"
    assert read_chaos(path) == []

    write_chaos(path, [STORM])

    assert read_chaos(path) == [STORM]


def test_a_new_result_takes_the_place_of_the_one_before_and_leaves_the_others() -> None:
    other = replace(STORM, promise="P14", scenario="rollback")
    again = replace(STORM, seed=8)

    assert merged([other, STORM], [again]) == [again, other]


def test_the_table_has_a_line_for_every_figure_and_names_its_scenario_once() -> None:
    lines = table([STORM]).splitlines()

    assert [line.split() for line in lines] == [
        ["P1", "storm", "over", "sqlite", "violations", "0", "none", "met"],
        ["flips", "1,234.50", "1/s"],
    ]


def test_the_documentation_gets_the_same_as_a_table() -> None:
    assert markdown([STORM]).splitlines()[2:] == [
        "| P1 | storm over sqlite | violations | 0 | none | met |",
        "|  |  | flips | 1,234.50 1/s |  |  |",
    ]
