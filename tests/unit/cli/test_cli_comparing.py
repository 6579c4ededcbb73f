import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from registry_client.backends.files import FilesBackend
from registry_client.bundle import load_bundle
from registry_client.cache import Cache
from registry_client.client import RegistryClient
from tests.fakes.admin import AdminWorld
from tests.fakes.registry import manifest_of
from tests.fakes.terminal import Terminal, says_why
from tests.unit.registry_client.sketches import Linear, Sketch, tensor

TERMINAL = Terminal("")
RETRAINED = "golden-differs: 9 of 9 golden answers differ"


class Shelf:
    """A registry that takes whatever a version number says, as one does that grew before there was a gate."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._backend = FilesBackend(folder / "registry")

    def put(self, sketch: Linear | Sketch, version: str, **fields: object) -> None:
        bundle = load_bundle(sketch.write(self.folder / "bundles" / version, version))
        manifest = msgspec.structs.replace(bundle.manifest, **fields)
        for artifact in manifest.artifacts:
            with bundle.path(artifact.path).open("rb") as file:
                self._backend.put_file(manifest, artifact, file)
        self._backend.put_manifest(manifest)

    def run(self, *words: str) -> tuple[int, Any, str]:
        result = TERMINAL.run(*words, "--json", "--data", str(self.folder))
        return result.exit_code, json.loads(result.stdout or "null"), result.stderr


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


# --- diff -----------------------------------------------------------------------------------------------------------


def test_two_versions_are_compared_by_running_both(shelf: Shelf) -> None:
    # given
    shelf.put(Linear(), "1.0.0")
    shelf.put(Linear(bias=np.zeros(3)), "1.0.1")

    # when
    code, document, _ = shelf.run("diff", "sketch", "1.0.0", "1.0.1")

    # then
    assert code == 0
    assert (document["declared"], document["needed"], document["honest"], document["was_run"]) == ("patch", "minor", False, True)
    assert [change["rule"] for change in document["changes"]] == ["golden-differs"]


def test_two_versions_can_be_compared_on_paper(shelf: Shelf) -> None:
    shelf.put(Linear(), "1.0.0")
    shelf.put(Linear(bias=np.zeros(3)), "1.0.1")

    _, document, _ = shelf.run("diff", "sketch", "1.0.0", "1.0.1", "--no-run")

    assert (document["changes"], document["was_run"]) == ([], False)


def test_a_diff_reads_well_with_its_figures(shelf: Shelf) -> None:
    # given
    figures = [{"dataset": "held-out", "metric": "accuracy", "value": value, "ci": [value - 0.01, value + 0.01]} for value in (0.9, 0.8)]
    for version, figure in zip(("1.0.0", "1.1.0"), figures, strict=True):
        shelf.put(Linear(bias=np.full(3, figure["value"]), description={"evaluation": [figure]}), version)

    # when
    said = TERMINAL.run("diff", "sketch", "1.0.0", "1.1.0", "--data", str(shelf.folder)).stdout

    # then
    assert "minor declared, minor needed: the number says what changed" in said
    assert "-0.1000, more than chance" in said


@pytest.mark.parametrize(("words", "code"), [(("sketch", "1.0.0", "9.9.9"), 4), (("nobody", "1.0.0", "1.0.1"), 4)])
def test_a_version_that_is_not_there_is_not_found(shelf: Shelf, words: tuple[str, ...], code: int) -> None:
    shelf.put(Linear(), "1.0.0")

    found, _, stderr = shelf.run("diff", *words)

    assert found == code
    assert says_why(stderr)


# --- upgrade --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "risk", "asked"),
    [
        (("1.0.0", "1.1.0"), "low", "you may take it"),
        (("1.0.0", "1.2.0"), "re-evaluate", "look at them on your own data first"),
    ],
)
def test_an_upgrade_is_told_with_its_risk(world: AdminWorld, terminal: Terminal, words: tuple[str, ...], risk: str, asked: str) -> None:
    # given
    world.registry.describe(manifest_of("digits", "1.1.0", "golden-equal: all 9 golden answers are equal", after="1.0.0"))
    world.registry.describe(manifest_of("digits", "1.2.0", RETRAINED, after="1.1.0"))

    # when
    document = terminal.json("upgrade", "digits", *words)
    said = terminal.run("upgrade", "digits", *words).stdout

    # then
    assert document["risk"] == risk
    assert asked in said


def test_an_upgrade_of_a_family_that_is_mistyped_names_the_one_that_is_near(terminal: Terminal) -> None:
    result = terminal.run("upgrade", "digit", "1.0.0", "1.1.0")

    assert result.exit_code == 4
    assert "did you mean 'digits'?" in result.stderr


def test_a_diff_of_a_family_that_is_not_there_says_so(tmp_path: Path) -> None:
    result = Terminal("").run("diff", "nobody", "1.0.0", "1.1.0", "--registry", str(tmp_path))

    assert result.exit_code == 4
    assert "the registry has no family 'nobody'" in result.stderr


# --- registry audit -------------------------------------------------------------------------------------------------


def verdicts(document: Any) -> dict[str, str]:
    return {one["version"]: one["verdict"] for one in document["versions"]}


def test_an_audit_tells_which_numbers_tell_the_truth(shelf: Shelf) -> None:
    # given
    shelf.put(Linear(), "1.0.0")
    shelf.put(Linear(bias=np.zeros(3)), "1.0.1")
    shelf.put(Linear(bias=np.full(3, 2.0)), "1.1.0")
    shelf.put(Linear(bias=np.full(3, 2.0), words="words"), "2.0.0")
    shelf.put(Linear(bias=np.full(3, 2.0), words="words"), "2.1.0")

    # when
    code, document, stderr = shelf.run("registry", "audit")

    # then
    assert code == 1
    assert says_why(stderr)
    assert "2 versions of 5 did not pass: sketch@1.0.1, sketch@2.1.0" in stderr
    assert verdicts(document) == {"1.0.0": "first", "1.0.1": "understated", "1.1.0": "honest", "2.0.0": "generous", "2.1.0": "repeated"}


def test_a_registry_of_honest_numbers_passes(shelf: Shelf) -> None:
    shelf.put(Linear(), "1.0.0")
    shelf.put(Linear(bias=np.zeros(3)), "1.1.0")

    code, document, _ = shelf.run("registry", "audit", "--family", "sketch")

    assert (code, document["ok"]) == (0, True)


def test_what_only_running_shows_is_not_seen_on_paper(shelf: Shelf) -> None:
    shelf.put(Linear(), "1.0.0")
    shelf.put(Linear(bias=np.zeros(3)), "1.0.1")

    code, document, _ = shelf.run("registry", "audit", "--no-run")

    assert (code, verdicts(document)["1.0.1"]) == (0, "honest")


def test_a_behaviour_digest_that_is_not_that_of_the_files_is_told(shelf: Shelf) -> None:
    shelf.put(Linear(), "1.0.0", behaviour_sha256="0" * 64)

    code, document, _ = shelf.run("registry", "audit")

    assert (code, verdicts(document)) == (1, {"1.0.0": "false"})


def test_a_version_that_does_not_load_is_told(shelf: Shelf) -> None:
    shelf.put(Linear(pre=[{"op": "clip", "tensor": "nothing", "min": 0}]), "1.0.0")

    code, document, _ = shelf.run("registry", "audit")

    assert (code, verdicts(document)) == (1, {"1.0.0": "unrunnable"})


def test_a_version_that_fails_its_own_golden_examples_is_told(shelf: Shelf) -> None:
    sketch = Linear().write(shelf.folder / "wrong", "1.0.0")
    (sketch / "golden.jsonl").write_text('{"name": "wrong", "request": {"x": [0, 0, 0, 0]}, "response": {"y": [7, 7, 7]}}\n')
    RegistryClient(FilesBackend(shelf.folder / "registry"), Cache(shelf.folder / "cache")).publish(load_bundle(sketch))

    code, document, _ = shelf.run("registry", "audit")

    assert (code, verdicts(document)) == (1, {"1.0.0": "unrunnable"})
    assert "golden example 'wrong'" in document["versions"][0]["reasons"][0]


def test_a_version_that_was_tampered_with_is_told_and_the_others_are_still_judged(shelf: Shelf) -> None:
    # given
    shelf.put(Linear(), "1.0.0")
    shelf.put(Sketch(outputs=(tensor("y"),)), "2.0.0")
    manifest = shelf.folder / "registry/families/sketch/1.0.0/manifest.json"
    manifest.chmod(0o644)
    manifest.write_bytes(manifest.read_bytes().replace(b'"ada"', b'"eve"'))

    # when
    code, document, _ = shelf.run("registry", "audit")

    # then
    assert code == 1
    assert set(verdicts(document)) == {"1.0.0", "2.0.0"}
    assert verdicts(document)["1.0.0"] == "false"


def test_an_empty_registry_has_nothing_to_hide(shelf: Shelf) -> None:
    result = TERMINAL.run("registry", "audit", "--data", str(shelf.folder))

    assert result.exit_code == 0
    assert "holds no version" in result.stdout


def test_a_family_that_was_never_published_is_not_found(shelf: Shelf) -> None:
    assert shelf.run("registry", "audit", "--family", "nobody")[0] == 4
