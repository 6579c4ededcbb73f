"""The bar of commands that move bytes, on a real terminal."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.tiny import write_bundle
from serving.cli import bundles, components, importing
from serving.cli.commands import Session
from serving.cli.moving import moving
from serving.cli.output import Output
from tests.fakes.terminal import Terminal
from tests.fakes.watched_terminal import watched_terminal

PLACE = "http://127.0.0.1:9"


@pytest.fixture
def at_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Runs what a command does where somebody watches its stderr, and gives back what he saw."""

    def run(command: Callable[[Session], None], *, as_json: bool = False) -> str:
        with watched_terminal() as (stderr, screen), monkeypatch.context() as patch:
            for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
                patch.delenv(name, raising=False)
            patch.setenv("TERM", "xterm")
            patch.setenv("COLUMNS", "110")
            patch.setattr("sys.stderr", stderr)
            command(Session(PLACE, "ada", Output(as_json=as_json)))
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.shown)

    return run


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path, "1.0.0")


@pytest.fixture
def component(tmp_path: Path) -> Path:
    folder = tmp_path / "words"
    folder.mkdir()
    text = "component: {name: words, version: 1.0.0, kind: python, entry: 'words:build', files: [words.py]}\ncreated_by: ada\n"
    (folder / "component.yaml").write_text(text, "utf-8")
    (folder / "words.py").write_text(f"def build(config): ...\n# {'x' * 3000}\n", "utf-8")
    return folder


def test_publishing_shows_how_many_bytes_are_there_how_fast_and_for_how_long(
    at_terminal: Callable[..., str], bundle: Path, tmp_path: Path
) -> None:
    seen = at_terminal(lambda session: bundles.publish(session, bundle, tmp_path / "data"))

    assert re.search(r"publishing tiny@1\.0\.0 .* ([\d.]+)/\1 (bytes|KiB) [\d.]+ [KMG]iB/s 0:00:00", seen)


def test_publishing_a_component_shows_the_same(at_terminal: Callable[..., str], component: Path, tmp_path: Path) -> None:
    seen = at_terminal(lambda session: components.publish(session, component, tmp_path / "data"))

    assert re.search(r"publishing words .* 3\.0/3\.0 KiB", seen)


def test_importing_shows_the_same(at_terminal: Callable[..., str], bundle: Path, tmp_path: Path) -> None:
    # given
    source = tmp_path / "numbered"
    (source / "7").mkdir(parents=True)
    (bundle / "model.onnx").rename(source / "7" / "model.onnx")

    # when
    seen = at_terminal(lambda session: importing.import_(session, source, tmp_path / "made", "tiny@1.0.0", "regression"))

    # then
    assert re.search(r"importing tiny@1\.0\.0 .* ([\d.]+)/\1 (bytes|KiB)", seen)
    assert (tmp_path / "made" / "model.onnx").is_file()


def test_who_reads_documents_is_shown_no_bar(at_terminal: Callable[..., str], bundle: Path, tmp_path: Path) -> None:
    seen = at_terminal(lambda session: bundles.publish(session, bundle, tmp_path / "data"), as_json=True)

    assert "next: pointsman promote" in seen
    assert "publishing" not in seen


def test_without_a_terminal_there_is_no_bar(bundle: Path, tmp_path: Path) -> None:
    published = Terminal(PLACE).run("publish", str(bundle), "--data", str(tmp_path / "data"))

    assert published.exit_code == 0
    assert "publishing" not in published.stderr


def test_a_text_is_shown_as_it_is_before_anything_is_known(at_terminal: Callable[..., str]) -> None:
    def wait(session: Session) -> None:
        with moving(session.output, "publishing [it]"):
            pass

    assert "publishing [it]" in at_terminal(wait)
