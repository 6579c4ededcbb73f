import io
import json

from rich.console import Console

from serving.cli.demo.figures import Drilled, Figures, Flip, Guarded, Pairs, Split, document_of, render_figures, rows_of
from serving.cli.demo.observations import Rate


def measured() -> Figures:
    return Figures(
        flips=[Flip("flip: customer-intent to 2.5.0", "2.4.0", acked=0.0412, last_old=0.0351)],
        guarded=[Guarded("1.3.0", detect=0.4184, rollback=0.0279, failing=6, signal="error-rate", why="failed 6 of 24")],
        shadows=[
            Pairs("1.1.0", {"agree": 90, "number": 408, "label": 2, "shed": 7}),
            Pairs("1.2.0", {"agree": 60, "number": 228, "label": 212}),
        ],
        splits=[Split("1.1.0", 20.0, Rate(121, 600), users=499, wavering=0)],
        drills=[Drilled("digits", "1.1.0", "1.0.0", passed=True, flipped=0.005, verified=0.168, restored=0.171, stray=None)],
        sent=12_345,
        failed=0,
        per_second=391.2,
        seconds=51.04,
    )


def test_only_pairs_of_answers_count_as_compared() -> None:
    pairs = measured().shadows[0]

    assert pairs.compared == 500
    assert pairs.other_label == Rate(2, 500)


def test_the_table_holds_every_figure_of_the_run() -> None:
    rows = rows_of(measured())

    assert rows[0] == ("flip: customer-intent to 2.5.0", "41 ms", "call -> every gateway acked")
    assert rows[1] == ("", "35 ms", "call -> last 2.4.0 answer")
    assert rows[2][:2] == ("detect: 1.3.0 does harm", "418 ms")
    assert rows[3][:2] == ("rollback: 1.3.0, by itself", "28 ms")
    assert [row[1] for row in rows[4:7]] == ["5 ms", "168 ms", "171 ms"]
    assert rows[4][0] == "drill: digits 1.1.0"
    assert rows[7] == ("shadow pairs compared", "1,000", "1.1.0 500, 1.2.0 500")
    assert [row[1] for row in rows[8:]] == ["12,345", "0"]


def test_a_drill_is_told_from_when_it_was_asked_for() -> None:
    times = {"detected": "2030-01-01T00:00:00+00:00", "flipped": "2030-01-01T00:00:00.005000+00:00", "verified": None, "last_stray": None}
    held = {"version": "1.1.0", "to": "1.0.0", "passed": False, "times": {**times, "restored": "2030-01-01T00:00:01+00:00"}}

    drilled = Drilled.of("digits", held)

    assert (drilled.flipped, drilled.verified, drilled.restored, drilled.stray) == (0.005, 0.0, 1.0, None)


def test_the_table_fits_80_columns_without_breaking_a_line() -> None:
    file = io.StringIO()

    Console(file=file, width=78).print(render_figures(measured()))

    assert len(file.getvalue().splitlines()) == 2 + len(rows_of(measured()))


def test_the_document_is_json_and_says_what_was_not_as_told() -> None:
    figures = measured()
    figures.not_as_told.append("a user fell back")

    document = json.loads(json.dumps(document_of(figures)))

    assert document["ok"] is False
    assert document["not_as_told"] == ["a user fell back"]
    assert document["flips"] == [{"change": "flip: customer-intent to 2.5.0", "old": "2.4.0", "acked_ms": 41.2, "last_old_answer_ms": 35.1}]
    assert document["automatic_rollbacks"][0]["detect_ms"] == 418.4
    assert document["canaries"][0]["observed_percent"] == 20.17
    assert document["requests"] == {"sent": 12_345, "failed": 0, "per_second": 391.2}


def test_a_run_in_which_all_was_as_told_is_ok() -> None:
    assert document_of(measured())["ok"] is True
