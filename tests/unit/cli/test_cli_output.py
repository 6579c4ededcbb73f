"""What is said of something that takes its time, where there is no terminal."""

import pytest

from serving.cli.output import Output, table


def told(*news: str) -> None:
    with Output(as_json=False).progress("it is loading") as say:
        for text in news:
            say(text)


def test_each_new_text_is_a_line_and_one_that_only_counts_on_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    told("fetching 1 of 1,024 MiB", "fetching 312 of 1,024 MiB", "building, 1 of 2 (a)", "building, 2 of 2 (b)", "building, 2 of 2 (b)")

    lines = ["it is loading", "fetching 1 of 1,024 MiB", "building, 1 of 2 (a)", "building, 2 of 2 (b)"]
    assert capsys.readouterr().err.splitlines() == lines


def test_what_counts_on_is_said_again_after_a_while(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.cli.output.COUNTING_S", 0.0)

    told("fetching 1 of 9 MiB", "fetching 2 of 9 MiB", "fetching 2 of 9 MiB")

    assert capsys.readouterr().err.splitlines() == ["it is loading", "fetching 1 of 9 MiB", "fetching 2 of 9 MiB"]


ROWS = [("2030-01-01 00:00:00Z", "customer-intent", "a reason that goes on and on"), ("2030-01-02 00:00:00Z", "digits", None)]


def printed(columns: int | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.delenv("COLUMNS", raising=False) if columns is None else monkeypatch.setenv("COLUMNS", str(columns))
    Output(as_json=False).data({}, lambda: table(("at (UTC)", "family", "why"), ROWS))
    return capsys.readouterr().out.splitlines()


def test_a_table_is_as_wide_as_it_may_be(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed(60, capsys, monkeypatch)

    assert lines[0].split() == ["at", "(UTC)", "family", "why"]
    assert max(map(len, lines)) <= 60


def test_on_a_narrow_terminal_rows_are_told_one_under_the_other_with_every_word_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = printed(30, capsys, monkeypatch)

    assert lines == [
        "at (UTC)  2030-01-01 00:00:00Z",
        "family    customer-intent",
        "why       a reason that goes",
        "          on and on",
        "",
        "at (UTC)  2030-01-02 00:00:00Z",
        "family    digits",
    ]


def test_without_a_terminal_a_row_is_one_line_without_trailing_blanks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = printed(None, capsys, monkeypatch)

    assert lines[2:] == [
        "2030-01-01 00:00:00Z   customer-intent   a reason that goes on and on",
        "2030-01-02 00:00:00Z   digits",
    ]
