import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.tiny import write_bundle
from registry_client.backends.files import FilesBackend
from registry_client.versions import ModelVersion
from serving.core.routing import Target
from serving.ports import LoadState, LoadStatus
from tests.fakes.admin import AdminWorld
from tests.fakes.registry import digest_of
from tests.fakes.terminal import Terminal, says_why
from tests.unit.registry_client.sketches import Linear

TERMINAL = Terminal("")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path, "1.0.0")


FORGETFUL = """
def build(config):
    def run(tensors):
        password = "open " + "sesame"
        return tensors[password and "no such tensor"]
    return run
"""


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


# --- the semver gate ------------------------------------------------------------------------------------------------


def publish_as(terminal: Terminal, sketch: Linear, version: str, tmp_path: Path) -> None:
    result = terminal.run("publish", str(sketch.write(tmp_path / version, version)), "--data", str(tmp_path / "data"))
    assert result.exit_code == 0, result.stderr


def checked(terminal: Terminal, sketch: Linear, version: str, tmp_path: Path, *options: str) -> tuple[int, Any, str]:
    result = terminal.run(
        "check", str(sketch.write(tmp_path / f"new-{version}", version)), "--data", str(tmp_path / "data"), "--json", *options
    )
    return result.exit_code, json.loads(result.stdout), result.stderr


def test_a_retrained_model_under_a_patch_is_refused_with_its_rule_and_a_version_that_would_do(tmp_path: Path) -> None:
    # given
    publish_as(TERMINAL, Linear(), "1.0.0", tmp_path)

    # when
    code, document, stderr = checked(TERMINAL, Linear(bias=np.zeros(3)), "1.0.1", tmp_path)

    # then
    assert code == 1
    assert says_why(stderr)
    gate = document["gate"]
    assert (document["ok"], gate["declared"], gate["needed"], gate["allowed"], gate["suggested"]) == (
        False,
        "patch",
        "minor",
        False,
        "1.1.0",
    )
    [comparison] = gate["comparisons"]
    assert [(change["rule"], change["needs"], change["waived"]) for change in comparison["changes"]] == [("golden-differs", "minor", False)]


def test_publishing_a_bump_that_says_too_little_is_refused(tmp_path: Path) -> None:
    publish_as(TERMINAL, Linear(), "1.0.0", tmp_path)

    bundle = Linear(bias=np.zeros(3)).write(tmp_path / "new", "1.0.1")
    result = TERMINAL.run("publish", str(bundle), "--data", str(tmp_path / "data"))

    assert result.exit_code == 1
    assert "hint: publish it as 1.1.0" in result.stderr
    assert sorted(FilesBackend(tmp_path / "data" / "registry").versions("sketch")) == ["1.0.0"]


def test_a_waived_rule_is_published_and_told(tmp_path: Path) -> None:
    # given
    publish_as(TERMINAL, Linear(), "1.0.0", tmp_path)
    waiver = {"rule": "golden-differs", "reason": "the old answers were wrong", "by": "ada"}

    # when
    new = Linear(bias=np.zeros(3), description={"change": {"waivers": [waiver]}})
    code, document, _ = checked(TERMINAL, new, "1.0.1", tmp_path)

    # then
    assert code == 0
    assert document["gate"]["waivers"] == [waiver]
    assert [change["waived"] for change in document["gate"]["comparisons"][0]["changes"]] == [True]


def test_a_waiver_of_a_rule_that_does_not_exist_is_refused_with_the_one_that_is_near(tmp_path: Path) -> None:
    bundle = Linear(description={"change": {"waivers": [{"rule": "golden-difers", "reason": "x", "by": "ada"}]}}).write(
        tmp_path / "b", "1.0.0"
    )

    result = TERMINAL.run("check", str(bundle), "--data", str(tmp_path / "data"))

    assert result.exit_code == 1
    assert "did you mean golden-differs?" in result.stderr


@pytest.mark.parametrize("missing", ["reason", "by"])
def test_a_waiver_needs_a_person_and_a_reason(tmp_path: Path, missing: str) -> None:
    waiver = {"rule": "golden-differs", "reason": "known", "by": "ada", missing: " "}
    bundle = Linear(description={"change": {"waivers": [waiver]}}).write(tmp_path / "b", "1.0.0")

    result = TERMINAL.run("check", str(bundle), "--data", str(tmp_path / "data"))

    assert result.exit_code == 1
    assert f"change.waivers[0].{missing}: is empty" in result.stderr


def test_a_slice_that_no_golden_example_stands_for_is_refused(tmp_path: Path) -> None:
    bundle = Linear(description={"change": {"slices": ["capitals"]}}).write(tmp_path / "b", "1.0.0")

    result = TERMINAL.run("check", str(bundle), "--data", str(tmp_path / "data"))

    assert result.exit_code == 1
    assert "no golden example is of the slice 'capitals'" in result.stderr


async def test_versions_tagged_at_the_named_listener_are_compared_with_too(world: AdminWorld, terminal: Terminal, tmp_path: Path) -> None:
    # given: 1.1.0 dropped an output by waiver and was never used; production is still 1.0.0
    for version in ("1.0.0", "1.1.0"):
        world.registry.publish("sketch", version)
    world.state.board = (LoadStatus(Target("sketch", ModelVersion.parse("1.0.0"), digest_of("sketch", "1.0.0")), LoadState.READY, "", 1),)
    terminal.run("promote", "sketch", "1.0.0")
    publish_as(TERMINAL, Linear(), "1.0.0", tmp_path)
    publish_as(TERMINAL, Linear(bias=np.zeros(3)), "1.1.0", tmp_path)

    # when: a patch of 1.1.0, which for those who use 1.0.0 is a minor step
    patch = Linear(bias=np.zeros(3), words="words")
    alone = checked(TERMINAL, patch, "1.1.1", tmp_path / "alone-of", "--data", str(tmp_path / "data"))
    beside = checked(terminal, patch, "1.1.1", tmp_path, "--data", str(tmp_path / "data"))

    # then
    assert [one["version"] for one in alone[1]["gate"]["comparisons"]] == ["1.1.0"]
    assert [(one["version"], one["tags"], one["declared"]) for one in beside[1]["gate"]["comparisons"]] == [
        ("1.1.0", [], "patch"),
        ("1.0.0", ["production"], "minor"),
    ]
    assert (alone[0], beside[0]) == (0, 0)


def test_a_named_listener_that_does_not_answer_is_a_warning_not_a_failure(tmp_path: Path) -> None:
    code, document, _ = checked(TERMINAL, Linear(), "1.0.0", tmp_path, "--admin", "http://127.0.0.1:9")

    assert code == 0
    assert any("which versions are tagged is not known" in finding["text"] for finding in document["findings"])


def test_whoever_names_no_listener_is_told_what_was_not_compared(tmp_path: Path) -> None:
    # given
    _, first, _ = checked(TERMINAL, Linear(), "1.0.0", tmp_path / "first")
    publish_as(TERMINAL, Linear(), "1.0.0", tmp_path)

    # when
    _, second, _ = checked(TERMINAL, Linear(bias=np.zeros(3)), "1.1.0", tmp_path, "--data", str(tmp_path / "data"))

    # then
    told = "compared with the release below alone"
    assert [any(told in finding["text"] for finding in document["findings"]) for document in (first, second)] == [False, True]


def test_a_bundle_that_cannot_be_read_has_a_document_too(tmp_path: Path) -> None:
    # given
    directory = Linear().write(tmp_path / "bundle", "1.0.0")
    (directory / "model.onnx").unlink()

    # when
    result = TERMINAL.run("check", str(directory), "--json", "--data", str(tmp_path / "data"))

    # then
    document = json.loads(result.stdout)
    assert (result.exit_code, document["ok"], document["family"]) == (1, False, None)
    assert "model.onnx: there is no such file" in document["findings"][0]["text"]
    assert says_why(result.stderr)


def test_a_refusal_to_publish_is_told_once(tmp_path: Path) -> None:
    # given
    publish_as(TERMINAL, Linear(), "1.0.0", tmp_path)
    directory = Linear(bias=np.zeros(3)).write(tmp_path / "next", "1.0.1")

    # when
    result = TERMINAL.run("publish", str(directory), "--data", str(tmp_path / "data"))

    # then
    assert result.exit_code == 1
    assert result.stderr.count("golden answers differ") == 1


@pytest.mark.parametrize("command", ["check", "publish"])
def test_a_registry_that_nobody_answers_for_is_no_bug(bundle: Path, tmp_path: Path, command: str) -> None:
    # given: nobody's port
    registry = "oci+http://127.0.0.1:9/models"

    # when
    result = TERMINAL.run(command, str(bundle), "--data", str(tmp_path / "data"), "--registry", registry)

    # then
    assert result.exit_code == 1
    assert "Connection refused" in result.stderr
    assert "see whether the registry is up and reachable from here" in result.stderr


def test_a_registry_that_cannot_be_written_to_is_told_by_its_place(bundle: Path, tmp_path: Path) -> None:
    # given: a file where the registry's folder should be made, which refuses root, too
    (tmp_path / "taken").write_text("no folder", "utf-8")

    # when
    result = TERMINAL.run("publish", str(bundle), "--data", str(tmp_path / "data"), "--registry", str(tmp_path / "taken" / "registry"))

    # then
    assert result.exit_code == 1
    assert f"{tmp_path / 'taken'}" in result.stderr
    assert "Errno" not in result.stderr
    assert "see whether it is there, may be used, and has room" in result.stderr


def test_what_a_component_held_when_it_failed_is_not_shown(tmp_path: Path) -> None:
    # given
    post = {"name": "p", "version": "1.0.0", "kind": "python", "entry": "post:build", "files": ["post.py"]}
    directory = Linear(description={"pipeline": {"post": post}}).write(tmp_path / "bundle", "1.0.0")
    (directory / "post.py").write_text(FORGETFUL, "utf-8")

    # when
    result = TERMINAL.run("check", str(directory), "--data", str(tmp_path / "data"))

    # then
    assert result.exit_code == 1
    assert "KeyError: 'no such tensor'" in result.stderr
    assert "open sesame" not in result.stderr


def test_who_stops_publishing_is_told_that_nothing_is_half_there(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("registry_client.backends.files.FilesBackend.put_manifest", interrupted)

    # when
    result = TERMINAL.run("publish", str(bundle), "--data", str(tmp_path / "data"))

    # then
    assert result.exit_code == 130
    assert "interrupted: tiny@1.0.0 is published whole, or not at all" in result.stderr
    assert "publish it again" in result.stderr
