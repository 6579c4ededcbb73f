"""What must never be loaded: each is refused when the bundle is read, with a sentence, and again before onnxruntime would see it."""

import bz2
import gzip
import io
import lzma
import os
import pickle
import socket
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from registry_client.bundle import load_bundle
from registry_client.errors import InvalidBundle
from registry_client.formats import foreign_format
from registry_client.manifest import Artifact, Manifest, Role
from serving.cli.answering import run_version
from serving.dataplane.engine import open_engine
from serving.dataplane.faults import LoadFailed
from tests.unit.registry_client.sketches import Linear, graph_bytes, tensor

INTERFACE = {"interface": {"inputs": [tensor("x")], "outputs": [tensor("y", shape=(-1, 3))]}}


def zipped(name: str, content: bytes = b"x") -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(name, content)
    return target.getvalue()


def tarred() -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("model.onnx"))
    return target.getvalue()


def numpy_file(array: Any) -> bytes:
    target = io.BytesIO()
    np.save(target, array, allow_pickle=True)
    return target.getvalue()


FOREIGN: dict[str, bytes] = {
    **{f"pickle protocol {protocol}": pickle.dumps(os.getcwd, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)},
    "torch archive": zipped("archive/data.pkl"),
    "torch script": zipped("archive/constants.pkl"),
    "keras archive": zipped("config.json"),
    "npz": zipped("w.npy", numpy_file(np.ones(2))),
    "npy of objects": numpy_file(np.array([{}], object)),
    "gzipped pickle": gzip.compress(pickle.dumps([1])),
    "bzipped pickle": bz2.compress(pickle.dumps([1])),
    "xz pickle": lzma.compress(pickle.dumps([1])),
    "tar": tarred(),
    "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(64),
    "tflite": b"\x1c\x00\x00\x00TFL3" + bytes(64),
    "gguf": b"GGUF\x03\x00\x00\x00" + bytes(64),
    "safetensors": b"\x40\x00\x00\x00\x00\x00\x00\x00" + b'{"w": {}}' + bytes(64),
    "xgboost json": b'{"learner": {}}',
    "lightgbm text": b"tree\nversion=v4\n",
    "pmml": b'<?xml version="1.0"?><PMML/>',
    "catboost": b"CBM1" + bytes(64),
    "ort format": b"\x00\x00\x00\x00ORTM" + bytes(64),
    "elf": b"\x7fELF\x02\x01\x01" + bytes(64),
    "windows dll": b"MZ" + bytes(64),
    "java class": b"\xca\xfe\xba\xbe" + bytes(64),
    "wasm": b"\x00asm\x01\x00\x00\x00",
    "script": b"#!/bin/sh\nrm -rf /\n",
    "git lfs pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
    "zstd": b"\x28\xb5\x2f\xfd" + bytes(64),
    "7z": b"7z\xbc\xaf\x27\x1c" + bytes(64),
    "parquet": b"PAR1" + bytes(64),
    "sqlite": b"SQLite format 3\x00" + bytes(64),
    "empty": b"",
    "text": b"This is not a model.",
    "noise": bytes(range(256)) * 4,
}
PICKLES = [name for name in FOREIGN if name.startswith("pickle")]
RUNS_CODE = ["torch archive", "torch script", "elf", "windows dll", "java class", "wasm", *PICKLES]

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A good bundle with another model, and more files."""

    def written(model: bytes | None = None, description: dict[str, Any] | None = None, **files: bytes) -> Path:
        directory = Linear(description=description or {}).write(tmp_path / "bundle", "1.0.0")
        if model is not None:
            (directory / "model.onnx").write_bytes(model)
        for name, content in files.items():
            (directory / name).write_bytes(content)
        return directory

    return written


def refusal(directory: Path) -> str:
    """Why the bundle is refused. Every refusal says what is wrong and where; none is a crash."""
    with pytest.raises(InvalidBundle) as refused:
        load_bundle(directory)
    assert refused.value.hint or "regular" in str(refused.value) or "symbolic" in str(refused.value), refused.value
    return str(refused.value)


def published_anyway(directory: Path) -> Manifest:
    """The manifest that somebody would publish who does not ask."""
    good = load_bundle(Linear().write(directory.parent / "good", "1.0.0")).manifest
    files = [path for path in directory.rglob("*") if path.is_file() and path.name not in {"model.yaml", "golden.jsonl"}]
    artifacts = tuple(
        Artifact(
            path=str(path.relative_to(directory)),
            role=Role.MODEL if path.name == "model.onnx" else Role.WEIGHTS,
            media_type="application/octet-stream",
            size=path.stat().st_size,
            sha256="0" * 64,
        )
        for path in sorted(files)
    )
    return msgspec.structs.replace(good, artifacts=artifacts)


def not_loaded(directory: Path) -> str:
    """Why the engine does not load it either."""
    with pytest.raises(LoadFailed) as refused:
        open_engine(published_anyway(directory), directory.joinpath)
    return str(refused.value)


# --- foreign formats ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FOREIGN)
def test_a_model_of_another_format_is_refused_and_not_loaded(write: Write, name: str) -> None:
    directory = write(FOREIGN[name])

    assert refusal(directory).startswith("model.onnx: ")
    assert not_loaded(directory)


@pytest.mark.parametrize("name", RUNS_CODE)
def test_what_would_run_code_is_refused_whatever_it_is_for(write: Write, name: str) -> None:
    directory = write(description={"doc_files": ["notes.bin"]}, **{"notes.bin": FOREIGN[name]})

    assert refusal(directory).startswith("notes.bin: ")


@pytest.mark.parametrize("suffix", [".pkl", ".joblib", ".pt", ".so", ".dll", ".pyc", ".PTH"])
def test_a_name_that_promises_code_is_enough(write: Write, suffix: str) -> None:
    directory = write(description={"doc_files": [f"notes{suffix}"]}, **{f"notes{suffix}": b"harmless"})

    assert refusal(directory).startswith(f"notes{suffix}: ")


@pytest.mark.parametrize("name", ["vocabulary.txt", "labels.json", "table.csv"])
def test_words_and_tables_are_no_models_and_may_be_in_a_bundle(write: Write, name: str) -> None:
    directory = write(description={"doc_files": [name]}, **{name: b'{"a": 1}\n'})

    assert load_bundle(directory).manifest.artifacts


def test_a_refusal_names_the_format_and_what_to_do(write: Write) -> None:
    directory = write(FOREIGN["hdf5"])

    with pytest.raises(InvalidBundle, match="an HDF5 file, as Keras and PyTables write them") as refused:
        load_bundle(directory)
    assert refused.value.hint == "export the model to ONNX"


def test_a_graph_is_no_foreign_format() -> None:
    assert foreign_format("model.onnx", Linear().graph()[:512]) is None


# --- files that are none ---------------------------------------------------------------------------------------------


def make_symlink(path: Path) -> None:
    (path.parent.parent / "elsewhere.onnx").write_bytes(Linear().graph())
    path.symlink_to(path.parent.parent / "elsewhere.onnx")


def make_hard_link(path: Path) -> None:
    (path.parent.parent / "elsewhere.onnx").write_bytes(Linear().graph())
    path.hardlink_to(path.parent.parent / "elsewhere.onnx")


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (make_symlink, "a symbolic link"),
        (make_hard_link, "a second name"),
        (os.mkfifo, "not a regular file"),
        (Path.mkdir, "not a regular file"),
        (make_socket, "cannot be read"),
        (lambda path: path.symlink_to("/dev/zero"), "a symbolic link"),
        (lambda path: path.symlink_to("nowhere"), "a symbolic link"),
    ],
    ids=["symbolic link", "hard link", "fifo", "folder", "socket", "device", "dangling link"],
)
def test_what_is_no_plain_file_of_its_own_is_refused(write: Write, make: Callable[[Path], None], why: str) -> None:
    directory = write()
    (directory / "model.onnx").unlink()
    make(directory / "model.onnx")

    with pytest.raises(InvalidBundle, match=why) as refused:
        load_bundle(directory)
    assert str(refused.value).startswith("model.onnx: ")


# --- external data --------------------------------------------------------------------------------------------------


def leaning_on(location: str, *, offset: int = 0, length: int = 48) -> bytes:
    """A graph whose weights lie in a file."""
    weights = TensorProto(dims=[4, 3], data_type=TensorProto.FLOAT, name="w", data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(length))):
        entry = weights.external_data.add()
        entry.key, entry.value = key, value
    ports = [helper.make_tensor_value_info("x", 1, ["n", 4])], [helper.make_tensor_value_info("y", 1, ["n", 3])]
    return graph_bytes(helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", *ports, [weights]))


@pytest.mark.parametrize(
    "location",
    [
        "weights.bin",
        "/etc/passwd",
        "../outside.bin",
        "a/../../outside.bin",
        "./../outside.bin",
        "/proc/self/mem",
        "file:///etc/passwd",
        "https://example.org/weights.bin",
        "..\\outside.bin",
        "golden.jsonl/../../x",
        "",
        ".",
        "weights.bin\x00.txt",
        "~/weights.bin",
    ],
)
def test_weights_that_the_manifest_does_not_list_are_refused(write: Write, location: str) -> None:
    directory = write(leaning_on(location))
    (directory.parent / "outside.bin").write_bytes(bytes(48))

    assert "which the manifest's artifacts do not list" in refusal(directory)
    assert "do not list" in not_loaded(directory)


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("weights.bin", "weights.bin"),
        ("./weights.bin", "weights.bin"),
        ("w/weights.bin", "w/weights.bin"),
        ("w/../weights.bin", "weights.bin"),
    ],
)
def test_weights_that_the_manifest_lists_are_loaded_from_wherever_they_lie(write: Write, location: str, path: str) -> None:
    # given
    directory = write(leaning_on(location), {**INTERFACE, "weights": [path], "golden": None})
    (directory / "w").mkdir()
    (directory / path).write_bytes(np.full(12, 2.0, np.float32).tobytes())

    # when
    bundle = load_bundle(directory)
    [answer] = run_version(bundle, bundle.manifest.serving, [{"x": [1, 2, 3, 4]}])

    # then
    assert answer.document == {"y": [20.0, 20.0, 20.0]}


@pytest.mark.parametrize(("offset", "length"), [(0, 4096), (2**62, 48), (40, 48), (0, 3)])
def test_weights_beyond_the_end_of_their_file_do_not_load(write: Write, offset: int, length: int) -> None:
    directory = write(leaning_on("weights.bin", offset=offset, length=length), {"weights": ["weights.bin"]}, **{"weights.bin": bytes(48)})

    assert not_loaded(directory)


def test_listed_weights_with_a_second_name_are_not_loaded(write: Write) -> None:
    directory = write(leaning_on("weights.bin"), **{"weights.bin": bytes(48)})
    (directory.parent / "second").hardlink_to(directory / "weights.bin")

    assert "not where the bundle has it" in not_loaded(directory)


# --- operators ------------------------------------------------------------------------------------------------------


def using(operator: str, domain: str, *, functions: tuple[Any, ...] = ()) -> bytes:
    ports = [helper.make_tensor_value_info("x", 1, ["n", 4])], [helper.make_tensor_value_info("y", 1, ["n", 4])]
    graph = helper.make_graph([helper.make_node(operator, ["x"], ["y"], domain=domain)], "g", *ports)
    domains = [helper.make_opsetid("", 17), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return bytes(helper.make_model(graph, opset_imports=domains, ir_version=9, functions=list(functions)).SerializeToString())


@pytest.mark.parametrize(
    "domain", ["com.example", "org.pytorch.aten", "ai.onnx.training.evil", "AI.ONNX.ML", "com.microsoft.extra", "python"]
)
def test_operators_from_elsewhere_are_refused(write: Write, domain: str) -> None:
    directory = write(using("Evil", domain))

    assert f"it uses operators of {domain}, which come from elsewhere" in refusal(directory)
    assert "come from elsewhere" in not_loaded(directory)


def test_an_operator_that_loads_a_compiled_program_is_refused(write: Write) -> None:
    directory = write(using("EPContext", "com.microsoft"))

    assert "which loads a file that has no digest" in refusal(directory)
    assert "no digest" in not_loaded(directory)


def test_a_function_that_the_graph_defines_itself_is_no_stranger(write: Write) -> None:
    body = [helper.make_node("Identity", ["a"], ["b"])]
    function = helper.make_function("com.example", "Same", ["a"], ["b"], body, [helper.make_opsetid("", 17)])
    description = {"golden": None, "interface": {"inputs": [tensor("x")], "outputs": [tensor("y")]}}

    bundle = load_bundle(write(using("Same", "com.example", functions=(function,)), description))

    assert open_engine(bundle.manifest, bundle.path).metadata()


def test_a_graph_that_computes_nothing_is_refused(write: Write) -> None:
    directory = write(b"\x08\x09")

    assert "holds no operator" in refusal(directory)


def test_a_graph_in_a_component_is_looked_at_too(write: Write) -> None:
    component = {"name": "tokens", "version": "1.0.0", "kind": "onnx", "entry": "pre.onnx", "files": ["pre.onnx"]}
    directory = write(None, {"pipeline": {"pre": component}}, **{"pre.onnx": using("Evil", "com.example")})

    assert refusal(directory).startswith("pre.onnx: it uses operators of com.example")


# --- graphs that claim more than they hold --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "weights",
    [
        TensorProto(dims=[2**40, 2**40], data_type=TensorProto.FLOAT, name="w", raw_data=b"\x00\x00\x80\x3f"),
        TensorProto(dims=[-1, 3], data_type=TensorProto.FLOAT, name="w", raw_data=bytes(48)),
        TensorProto(dims=[4, 3], data_type=TensorProto.FLOAT, name="w"),
        TensorProto(dims=[4, 3], data_type=99, name="w", raw_data=bytes(48)),
        numpy_helper.from_array(np.ones((3, 4), np.float32), "w"),
    ],
    ids=["more than memory", "negative", "no data", "unknown type", "other shape"],
)
def test_weights_that_are_not_what_they_claim_do_not_load(write: Write, weights: TensorProto) -> None:
    ports = [helper.make_tensor_value_info("x", 1, ["n", 4])], [helper.make_tensor_value_info("y", 1, ["n", 3])]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", *ports, [weights])

    assert not_loaded(write(graph_bytes(graph)))
