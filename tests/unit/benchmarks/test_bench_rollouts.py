"""What is said of candidates that turned bad: medians, sums, and what does not hold."""

from pathlib import Path

import msgspec

from benchmarks.machine import look_around
from benchmarks.rollouts import ERRORS, UNMEASURED, Rollouts, Row, broken, markdown, merged, read_rollouts, table, write_rollouts

FAST = Row(ERRORS, "errors", ("errors", "tripwire"), 1.0, 5.0, 20, "60", 0, 9.0)


def test_repetitions_are_one_line_with_the_median_and_all_failures() -> None:
    rows = [FAST, msgspec.structs.replace(FAST, seconds=2.0, failed=1), msgspec.structs.replace(FAST, seconds=9.0, caught_by="tripwire")]

    [line] = table(rows).splitlines()[2:]

    assert line == f"| {ERRORS} (median of 3) | errors, tripwire | 2.00 | 5.00 | 20 | 60 | 1 |"


def test_what_is_promised_is_held_against_what_was_measured() -> None:
    assert list(broken([FAST])) == []
    assert list(broken([msgspec.structs.replace(FAST, seconds=3.1)])) == [f"{ERRORS}: 3.10 s, where 3 s are promised"]
    assert "client requests failed" in next(broken([msgspec.structs.replace(FAST, failed=2)]))
    assert "caught by p99, not by errors or tripwire" in next(broken([msgspec.structs.replace(FAST, caught_by="p99")]))


def test_what_production_itself_fails_is_a_figure_and_no_broken_promise() -> None:
    late = msgspec.structs.replace(FAST, case="once live", failed=80, is_alone=True)

    assert list(broken([late])) == []
    assert table([late]).splitlines()[2].endswith("| 80 |")


def test_what_is_played_again_takes_the_place_of_what_was_kept() -> None:
    other, again = msgspec.structs.replace(FAST, case="tail only"), msgspec.structs.replace(FAST, seconds=2.0)

    assert merged([FAST, other], [again]) == (other, again)


def test_results_are_kept_and_told_with_the_machine(tmp_path: Path) -> None:
    rollouts = Rollouts(look_around(), 200, (FAST,))
    write_rollouts(tmp_path / "results" / "rollouts.json", rollouts)

    assert read_rollouts(tmp_path / "results" / "rollouts.json") == rollouts
    assert "200 requests a second" in markdown(rollouts)
    assert markdown(read_rollouts(tmp_path / "nothing.json")) == UNMEASURED
