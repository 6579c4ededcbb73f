"""What is said of something that takes its time, where there is no terminal."""

import pytest

from serving.cli.output import Output


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
