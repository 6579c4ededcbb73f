from pathlib import Path

import pytest

from registry_client.backends.files import FilesBackend
from registry_client.bundle import load_bundle
from registry_client.cache import Cache
from registry_client.client import RegistryClient
from tests.fakes.terminal import Terminal, says_why
from tests.unit.registry_client.sketches import Linear

TERMINAL = Terminal("")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    client = RegistryClient(FilesBackend(tmp_path / "data" / "registry"), Cache(tmp_path / "data" / "cache"))
    client.publish(load_bundle(Linear().write(tmp_path / "bundle", "1.0.0")))
    return tmp_path / "data"


def test_a_note_is_appended_by_whoever_sits_there_and_shown(data: Path) -> None:
    # when
    TERMINAL.json("note", "sketch@1.0.0", "calibrated on the older scanner", "--data", str(data))
    TERMINAL.json("note", "sketch@1.0.0", "not for the night shift", "--data", str(data))

    # then
    document = TERMINAL.json("note", "sketch@1.0.0", "--data", str(data))
    shown = TERMINAL.run("note", "sketch@1.0.0", "--data", str(data)).stdout
    assert sorted((one["by"], one["text"]) for one in document["notes"]) == [
        ("ada", "calibrated on the older scanner"),
        ("ada", "not for the night shift"),
    ]
    assert "not for the night shift" in shown


def test_a_version_without_notes_says_so(data: Path) -> None:
    assert "sketch@1.0.0: nobody has noted anything" in TERMINAL.run("note", "sketch@1.0.0", "--data", str(data)).stdout


@pytest.mark.parametrize(
    ("words", "code"),
    [(("sketch@9.9.9", "a note"), 4), (("absent@1.0.0",), 4), (("sketch", "a note"), 2), (("sketch@1.0.0", " "), 1)],
)
def test_what_cannot_be_noted_is_said(data: Path, words: tuple[str, ...], code: int) -> None:
    result = TERMINAL.run("note", *words, "--data", str(data))

    assert result.exit_code == code
    assert says_why(result.stderr)
