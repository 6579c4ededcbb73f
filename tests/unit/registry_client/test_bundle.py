import os
import pickle
import re
import socket
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from registry_client.bundle import load_bundle
from registry_client.errors import InvalidBundle
from registry_client.manifest import Role
from tests.fakes.bundles import DAMAGED, MODEL

WriteBundle = Callable[..., Path]


def edit(directory: Path, old: str, new: str) -> Path:
    file = directory / "model.yaml"
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), "utf-8")
    return directory


def test_every_file_is_in_the_manifest_with_its_role(write_bundle: WriteBundle) -> None:
    # given / when
    bundle = load_bundle(write_bundle())

    # then
    assert {artifact.path: artifact.role for artifact in bundle.manifest.artifacts} == {
        "CARD.md": Role.DOC,
        "golden.jsonl": Role.GOLDEN,
        "model.onnx": Role.MODEL,
        "post.py": Role.COMPONENT,
        "requirements.lock": Role.LOCK,
        "weights/model.onnx.data": Role.WEIGHTS,
    }
    assert set(bundle.files) == {artifact.path for artifact in bundle.manifest.artifacts}
    assert bundle.warnings == ()


def test_a_date_and_a_no_stay_texts(write_bundle: WriteBundle) -> None:
    # given / when
    manifest = load_bundle(write_bundle()).manifest

    # then
    assert manifest.created_at == "2026-01-01T00:00:00Z"
    assert manifest.interface.labels is not None
    assert manifest.interface.labels.names == ("no", "yes")


def test_the_same_bundle_elsewhere_has_the_same_digest(write_bundle: WriteBundle) -> None:
    assert load_bundle(write_bundle("one")).manifest.digest == load_bundle(write_bundle("other")).manifest.digest


def test_one_other_byte_gives_another_digest(write_bundle: WriteBundle) -> None:
    one, other = write_bundle("one", model=MODEL), write_bundle("other", model=DAMAGED)
    assert load_bundle(one).manifest.digest != load_bundle(other).manifest.digest


def test_author_and_time_have_defaults(write_bundle: WriteBundle) -> None:
    # given
    directory = edit(write_bundle(), "created_by: jane\ncreated_at: 2026-01-01T00:00:00Z\n", "")

    # when
    manifest = load_bundle(directory, now=datetime(2026, 2, 3, 4, 5, 6, 7, UTC)).manifest

    # then
    assert manifest.created_at == "2026-02-03T04:05:06Z"
    assert manifest.created_by


def test_without_golden_examples_there_is_a_warning(write_bundle: WriteBundle) -> None:
    bundle = load_bundle(edit(write_bundle(), "golden: golden.jsonl\n", ""))
    assert [warning.partition(":")[0] for warning in bundle.warnings] == ["golden"]


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("family: digits", "family: Digits", "family"),
        ("family: digits", "familie: digits", "familie"),
        ("family: digits", "family: digits\nfamily: digits", "model.yaml"),
        ("version: 1.0.0", "version: 1.0", "version"),
        ("version: 1.0.0", "version: '1.0'", "version"),
        ("created_at: 2026-01-01T00:00:00Z", "created_at: yesterday", "created_at"),
        ("created_at: 2026-01-01T00:00:00Z", "created_at: 2026-01-01T00:00:00", "created_at"),
        ("multiply: 0.0625", "multiply: .nan", "pipeline.pre.config.steps[0].multiply"),
        ("multiply: 0.0625", "multiply: 1e16", "pipeline.pre.config.steps[0].multiply"),
        ("{steps: [{op: scale, tensor: pixels, multiply: 0.0625}]}", "{}", "pipeline.pre.config.steps"),
        ("name: digits-pre", "name: digits-pre, surprise: 1", "pipeline.pre.surprise"),
        ("version: 1.1.0", "version: latest", "pipeline.pre.version"),
        ('"post:build"', '"post"', "pipeline.post.entry"),
        ('"post:build"', '"other:build"', "pipeline.post.files"),
        ("kind: python", "kind: onnx", "pipeline.post.entry"),
        ("kind: python", "kind: shell", "pipeline.post.kind"),
        ('python: "3.11"', "python: 3.11", "pipeline.lock.python"),
        ("  labels: {names: [no, yes]}\n", "", "interface.labels"),
        ("datatype: FP32, shape: [-1, 64]", "datatype: FP33, shape: [-1, 64]", "interface.inputs[0].datatype"),
        ("interface:", "interface:\n  request: {type: 7}", "interface.request"),
        ("interface:", "interface:\n  request: {$ref: '#/$defs/none'}", "interface.request"),
        ("interface:", "interface:\n  request: {$schema: 'http://json-schema.org/draft-04/schema#'}", "interface.request"),
        ("interface:", "interface:\n  response: {required: [label]}", "interface.response"),
        ("names: [no, yes]", "names: [no, no]", "interface.labels.names"),
        ("names: [no, yes]", "names: ['', yes]", "interface.labels.names[0]"),
        ("task:", "supersedes: {version: 1.0.0}\ntask:", "supersedes.version"),
        ("task:", "provenance: {hyperparameters: {seed: 9007199254740992}}\ntask:", "provenance.hyperparameters.seed"),
        ("task:", "evaluation: [{dataset: d, metric: m, value: .inf}]\ntask:", "evaluation[0].value"),
        ("task:", "evaluation: [{dataset: d, metric: m, value: 1, n: 0}]\ntask:", "evaluation[0].n"),
        ("task:", "evaluation: [{dataset: d, metric: m, value: 1, ci: [0.9, 0.1]}]\ntask:", "evaluation[0].ci"),
        ("task:", "serving: {slo: {p99_ms: 0}}\ntask:", "serving.slo.p99_ms"),
        ("task:", "serving: {slo: {availability: 99.9}}\ntask:", "serving.slo.availability"),
        ("task:", "serving: {providers: []}\ntask:", "serving.providers"),
        ("task:", "serving: {providers: [CPUExecutionProvider, CPUExecutionProvider]}\ntask:", "serving.providers"),
        ("model: model.onnx", "model: ../model.onnx", "model"),
        ("model: model.onnx", "model: /etc/passwd", "model"),
        ("model: model.onnx", "model: missing.onnx", "missing.onnx"),
        ("model: model.onnx", "model: weights", "weights"),
        ("doc_files: [CARD.md]", "doc_files: [golden.jsonl]", "golden.jsonl"),
        ("doc_files: [CARD.md]", "doc_files: [CARD.md, CARD.md]", "CARD.md"),
        ("task:", "licenses: &a [x]\ndocs: *a\ntask:", "model.yaml"),
        ("task:", "? [a, b]\n: 1\ntask:", "model.yaml"),
        ("task:", "docs: " + "[" * 3000 + "\ntask:", "model.yaml"),
        ("task:", "docs: " + "x" * 2**20 + "\ntask:", "model.yaml"),
        ("task:", 'serving: {runtime: {onnxruntime: "new"}}\ntask:', "serving.runtime.onnxruntime"),
        ("family: digits", "family: digits\n- a", "model.yaml"),
        ("family: digits", "family: !!python/object:os.system x", "model.yaml"),
    ],
)
def test_what_is_wrong_is_refused_by_the_name_of_its_field(write_bundle: WriteBundle, old: str, new: str, field: str) -> None:
    # given
    directory = edit(write_bundle(), old, new)

    # when
    with pytest.raises(InvalidBundle) as refusal:
        load_bundle(directory)

    # then
    assert refusal.value.field == field


@pytest.mark.parametrize(
    ("old", "new", "sentence", "hint"),
    [
        ("family: digits", "family: Digits", "family: is not made of lower-case words joined by single dashes", "customer-intent"),
        ("model: model.onnx", "model: my model.onnx", "model: is no path inside the folder", "without blanks"),
        ("model: model.onnx", f"model: {'a' * 201}", "model: is longer than 200 characters", "shorten it"),
        ('python: "3.11"', "python: 3.11", "pipeline.lock.python: Expected `str`, got `float`", "write it in quotes"),
        ("multiply: 0.0625", "multiply: .nan", "is no number that JSON has", "leave it out"),
    ],
)
def test_a_refusal_says_in_words_what_is_wrong_and_what_to_do(
    write_bundle: WriteBundle, old: str, new: str, sentence: str, hint: str
) -> None:
    # given
    directory = edit(write_bundle(), old, new)

    # when
    with pytest.raises(InvalidBundle, match=re.escape(sentence)) as refusal:
        load_bundle(directory)

    # then
    assert hint in refusal.value.hint


def test_files_whose_names_differ_in_case_alone_are_refused(write_bundle: WriteBundle) -> None:
    # given
    directory = edit(write_bundle(), "doc_files: [CARD.md]", "doc_files: [CARD.md, Card.md]")
    (directory / "Card.md").write_text("Another card.", "utf-8")

    # when
    with pytest.raises(InvalidBundle) as refusal:
        load_bundle(directory)

    # then
    assert "CARD.md in upper and lower case alone" in str(refusal.value)


# --- files that are no plain files ----------------------------------------------------------------------------------


def test_a_symbolic_link_is_refused(write_bundle: WriteBundle) -> None:
    # given
    directory = write_bundle()
    (directory / "CARD.md").unlink()
    (directory / "CARD.md").symlink_to("/etc/hostname")

    # when / then
    with pytest.raises(InvalidBundle, match="symbolic link"):
        load_bundle(directory)


def test_a_file_behind_a_linked_directory_is_refused(write_bundle: WriteBundle) -> None:
    # given
    directory = write_bundle()
    (directory / "weights").rename(directory.parent / "elsewhere")
    (directory / "weights").symlink_to(directory.parent / "elsewhere")

    # when / then
    with pytest.raises(InvalidBundle, match="symbolic link"):
        load_bundle(directory)


@pytest.mark.parametrize("name", ["CARD.md", "model.yaml"])
def test_a_fifo_is_refused_without_waiting_for_its_writer(write_bundle: WriteBundle, name: str) -> None:
    # given
    directory = write_bundle()
    (directory / name).unlink()
    os.mkfifo(directory / name)

    # when / then
    with pytest.raises(InvalidBundle, match="not a regular file"):
        load_bundle(directory)


def test_a_socket_is_refused(write_bundle: WriteBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    # given
    directory = write_bundle()
    (directory / "CARD.md").unlink()
    monkeypatch.chdir(directory)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("CARD.md")

    # when / then
    with pytest.raises(InvalidBundle, match="cannot be read"):
        load_bundle(directory)


# --- pickles --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".pkl", ".joblib", ".pt", ".PTH"])
def test_a_pickle_is_refused_by_its_name(write_bundle: WriteBundle, suffix: str) -> None:
    # given
    directory = edit(write_bundle(), "model: model.onnx", f"model: model{suffix}")
    (directory / f"model{suffix}").write_bytes(b"anything")

    # when / then
    with pytest.raises(InvalidBundle, match="never loaded"):
        load_bundle(directory)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_refused_by_its_content(write_bundle: WriteBundle, protocol: int) -> None:
    with pytest.raises(InvalidBundle, match="content is a pickle"):
        load_bundle(write_bundle(model=pickle.dumps(os.getcwd, protocol)))


def test_an_archive_with_a_pickle_in_it_is_refused(write_bundle: WriteBundle) -> None:
    # given
    directory = write_bundle()
    with zipfile.ZipFile(directory / "model.onnx", "w") as archive:
        archive.writestr("archive/data.pkl", b"x")

    # when / then
    with pytest.raises(InvalidBundle, match="archive that holds pickles"):
        load_bundle(directory)


def test_weights_that_only_start_like_a_pickle_are_no_pickle(write_bundle: WriteBundle) -> None:
    # given
    directory = write_bundle()
    (directory / "weights" / "model.onnx.data").write_bytes(b"\x80\x04 raw floats")

    # when
    [weights] = load_bundle(directory).manifest.of_role(Role.WEIGHTS)

    # then
    assert weights.size == 13
