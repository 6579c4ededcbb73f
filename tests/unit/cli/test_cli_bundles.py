import json
from pathlib import Path

import pytest

from benchmarks.tiny import write_bundle
from registry_client.backends.files import FilesBackend
from tests.fakes.terminal import Terminal, says_why

TERMINAL = Terminal("")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path, "1.0.0")


def versions_in(registry: Path) -> list[str]:
    return sorted(FilesBackend(registry).versions("tiny"))


def test_a_good_bundle_may_be_published(bundle: Path, tmp_path: Path) -> None:
    result = TERMINAL.run("check", str(bundle), "--data", str(tmp_path / "data"))

    assert result.exit_code == 0, result.stderr
    assert "3 examples run" in result.stdout
    assert "may be published" in result.stdout


def test_publishing_puts_it_into_the_registry_of_the_data_directory(bundle: Path, tmp_path: Path) -> None:
    result = TERMINAL.run("publish", str(bundle), "--data", str(tmp_path / "data"), "--json")

    document = json.loads(result.stdout)
    assert (document["family"], document["version"], document["created"], document["ok"]) == ("tiny", "1.0.0", True, True)
    assert len(document["digest"]) == 64
    assert versions_in(tmp_path / "data" / "registry") == ["1.0.0"]


def test_publishing_goes_to_the_registry_that_is_named(bundle: Path, tmp_path: Path) -> None:
    result = TERMINAL.run("publish", str(bundle), "--data", str(tmp_path / "data"), "--registry", str(tmp_path / "elsewhere"))

    assert result.exit_code == 0, result.stderr
    assert versions_in(tmp_path / "elsewhere") == ["1.0.0"]


def test_publishing_the_same_again_changes_nothing(bundle: Path, tmp_path: Path) -> None:
    TERMINAL.run("publish", str(bundle), "--data", str(tmp_path / "data"))

    again = TERMINAL.run("publish", str(bundle), "--data", str(tmp_path / "data"), "--json")

    assert again.exit_code == 0, again.stderr
    assert json.loads(again.stdout)["created"] is False


def test_other_bytes_under_a_published_version_are_refused(bundle: Path, tmp_path: Path) -> None:
    TERMINAL.run("publish", str(bundle), "--data", str(tmp_path / "data"))
    description = bundle / "model.yaml"
    description.write_text(description.read_text() + "docs: Now it is described.\n")

    again = TERMINAL.run("publish", str(bundle), "--data", str(tmp_path / "data"))

    assert again.exit_code == 1
    assert says_why(again.stderr)
    assert "already published" in again.stderr


def test_an_answer_that_differs_from_its_golden_example_forbids_publishing(bundle: Path, tmp_path: Path) -> None:
    golden = bundle / "golden.jsonl"
    first, *others = golden.read_text().splitlines()
    wrong = {**json.loads(first), "response": {"y": [9.0, 9.0, 9.0]}}
    golden.write_text("\n".join([json.dumps(wrong), *others]))

    result = TERMINAL.run("publish", str(bundle), "--data", str(tmp_path / "data"))

    assert result.exit_code == 1
    assert says_why(result.stderr)
    assert "golden example 'row-0'" in result.stderr
    assert not (tmp_path / "data" / "registry").exists()


def test_an_interface_that_breaks_needs_a_major_version(bundle: Path, tmp_path: Path) -> None:
    TERMINAL.run("publish", str(bundle), "--data", str(tmp_path / "data"))
    description = bundle / "model.yaml"
    text = description.read_text().replace("1.0.0", "1.1.0").replace("type: regression", "type: ranking")
    description.write_text(text)

    result = TERMINAL.run("check", str(bundle), "--data", str(tmp_path / "data"))

    assert result.exit_code == 1
    assert says_why(result.stderr)
    assert "a major one is needed" in result.stderr
    assert "compared with" in result.stdout
    assert "cannot be published" in result.stdout


def test_a_model_that_does_not_load_is_told(bundle: Path, tmp_path: Path) -> None:
    (bundle / "model.onnx").write_bytes(b"no model at all")

    result = TERMINAL.run("check", str(bundle), "--data", str(tmp_path / "data"))

    assert result.exit_code == 1
    assert says_why(result.stderr)


@pytest.mark.parametrize("command", ["check", "publish"])
def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path, command: str) -> None:
    result = TERMINAL.run(command, str(tmp_path), "--data", str(tmp_path / "data"))

    assert result.exit_code == 1
    assert says_why(result.stderr)


@pytest.mark.parametrize("command", ["check", "publish"])
def test_a_folder_that_is_not_there_is_not_found(tmp_path: Path, command: str) -> None:
    result = TERMINAL.run(command, str(tmp_path / "nowhere"))

    assert result.exit_code == 4
    assert says_why(result.stderr)
