import os
from pathlib import Path

import pytest

from serving.cli.demo.errors import NoExamples, TrainingFailed
from serving.cli.demo.material import LAST_WRITTEN, MARK, Material, choose_build, find_examples, is_fresh, picture, sources_of, train


def make_examples(root: Path) -> Path:
    examples = root / "examples"
    mark = examples / MARK
    mark.parent.mkdir(parents=True)
    mark.write_text("text,intent\n")
    (examples / "__init__.py").touch()
    (examples / "train.py").write_text("print('no models today'); raise SystemExit('scikit-learn is missing')")
    return examples


def finish_build(examples: Path, *, at: float) -> Path:
    stamp = examples / "build" / LAST_WRITTEN
    stamp.parent.mkdir(parents=True)
    stamp.write_text('{"request": {"text": "hello"}, "truth": {"label": "greeting"}}\n')
    os.utime(stamp, (at, at))
    return examples / "build"


def test_the_examples_of_the_current_directory_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, beside = make_examples(tmp_path / "here"), tmp_path / "beside"
    make_examples(beside)
    monkeypatch.chdir(tmp_path / "here")

    assert find_examples(beside=beside) == here


def test_elsewhere_the_examples_beside_the_program_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = make_examples(tmp_path / "beside")
    monkeypatch.chdir(tmp_path)

    assert find_examples(beside=tmp_path / "beside") == examples


def test_an_examples_folder_of_somebody_else_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "train.py").write_text("raise SystemExit('not ours')")
    monkeypatch.chdir(tmp_path)

    with pytest.raises(NoExamples) as refusal:
        find_examples(beside=tmp_path / "nowhere")

    assert "make demo" in refusal.value.hint


def test_a_build_is_fresh_until_a_source_is_changed(tmp_path: Path) -> None:
    examples = make_examples(tmp_path)
    sources = sources_of(examples)
    newest = max(source.stat().st_mtime for source in sources)
    build = finish_build(examples, at=newest + 1)

    assert is_fresh(build, sources)

    os.utime(examples / "train.py", (newest + 2, newest + 2))

    assert not is_fresh(build, sources)


def test_a_build_that_was_not_finished_is_not_fresh(tmp_path: Path) -> None:
    assert not is_fresh(tmp_path / "build", sources_of(make_examples(tmp_path)))


def test_what_was_built_is_no_source(tmp_path: Path) -> None:
    examples = make_examples(tmp_path)
    (examples / "build" / "digits").mkdir(parents=True)
    (examples / "build" / "digits" / "post.py").touch()

    assert {path.name for path in sources_of(examples)} == {"__init__.py", "train.py", "utterances.csv"}


def test_examples_that_cannot_be_written_to_are_built_in_the_scratch_folder(tmp_path: Path) -> None:
    examples = make_examples(tmp_path)

    assert choose_build(examples, tmp_path / "scratch") == examples / "build"
    assert choose_build(tmp_path / "away", tmp_path / "scratch") == tmp_path / "scratch" / "examples"


def test_a_training_that_fails_says_why_and_what_it_needs(tmp_path: Path) -> None:
    examples = make_examples(tmp_path)

    with pytest.raises(TrainingFailed) as failure:
        train(examples, tmp_path / "build")

    assert "scikit-learn is missing" in str(failure.value)
    assert "requirements-examples.lock" in failure.value.hint


def test_cases_are_the_held_out_requests_with_their_truth(tmp_path: Path) -> None:
    build = finish_build(make_examples(tmp_path), at=1.0)

    [case] = Material(build).cases("customer-intent")

    assert case.request == {"text": "hello"}
    assert case.truth == "greeting"
    assert Material(build).bundle("digits", "1.0.0") == build / "digits" / "1.0.0"


def test_a_digit_is_drawn_row_by_row_from_paper_to_ink() -> None:
    drawn = picture([0, 16] + [0] * 54 + [16] * 8)

    assert drawn[0] == "  @@"
    assert drawn[1:7] == [""] * 6
    assert drawn[7] == "@" * 16
