"""Small real versions on disk: an ONNX graph, a manifest around it, and the calls that tests make of them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save_model

from registry_client.manifest import (
    Artifact,
    Component,
    ComponentKind,
    Datatype,
    Interface,
    Manifest,
    Pipeline,
    Role,
    Serving,
    Task,
    TensorSpec,
)
from serving.dataplane.components.entries import BundleFiles
from serving.dataplane.engine import VersionEngine, open_engine
from serving.ports import NO_JSON_PART, Call, CallKind, Encoding, Primary, Reply

ONNX_TYPES = {
    Datatype.BOOL: TensorProto.BOOL,
    Datatype.UINT8: TensorProto.UINT8,
    Datatype.UINT16: TensorProto.UINT16,
    Datatype.UINT32: TensorProto.UINT32,
    Datatype.UINT64: TensorProto.UINT64,
    Datatype.INT8: TensorProto.INT8,
    Datatype.INT16: TensorProto.INT16,
    Datatype.INT32: TensorProto.INT32,
    Datatype.INT64: TensorProto.INT64,
    Datatype.FP16: TensorProto.FLOAT16,
    Datatype.BF16: TensorProto.FLOAT,
    Datatype.FP32: TensorProto.FLOAT,
    Datatype.FP64: TensorProto.DOUBLE,
    Datatype.BYTES: TensorProto.STRING,
}

Port = tuple[str, int, Sequence[int | str | None]]


def write_graph(
    path: Path, nodes: Sequence[Any], inputs: Sequence[Port], outputs: Sequence[Port], constants: Mapping[str, Any] | None = None
) -> Path:
    """Save a graph of these nodes; `constants` become initializers."""
    initializers = [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()]
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info(*port) for port in inputs],
        [helper.make_tensor_value_info(*port) for port in outputs],
        initializer=initializers,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))
    return path


def identity_graph(path: Path, datatype: Datatype, shape: Sequence[int | str | None]) -> Path:
    """`y = x`."""
    kind = ONNX_TYPES[datatype]
    return write_graph(path, [helper.make_node("Identity", ["x"], ["y"])], [("x", kind, shape)], [("y", kind, shape)])


def linear_graph(path: Path) -> Path:
    """`y = x @ w` from four FP32 to three."""
    weights = np.arange(12, dtype=np.float32).reshape(4, 3)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    return write_graph(path, nodes, [("x", TensorProto.FLOAT, ["n", 4])], [("y", TensorProto.FLOAT, ["n", 3])], {"w": weights})


def spec(name: str, datatype: Datatype, shape: Sequence[int], **options: Any) -> TensorSpec:
    return TensorSpec(name=name, datatype=datatype, shape=tuple(shape), **options)


def component(
    kind: ComponentKind, *, entry: str | None = None, files: Sequence[str] = (), config: dict[str, Any] | None = None
) -> Component:
    identity = json.dumps([kind, entry, list(files), config])
    return Component(
        name="step",
        version="1.0.0",
        kind=kind,
        entry=entry,
        files=tuple(files),
        config=config or {},
        sha256=hashlib.sha256(identity.encode()).hexdigest(),
    )


def declarative(*steps: dict[str, Any]) -> Component:
    return component(ComponentKind.DECLARATIVE, config={"steps": list(steps)})


def manifest(folder: Path, interface: Interface, *, pipeline: Pipeline | None = None, serving: Serving | None = None) -> Manifest:
    """The manifest of what lies in the folder; `model.onnx` is the model."""
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return Manifest(
        family="iris",
        version="1.2.3",
        created_at="2026-01-01T00:00:00Z",
        created_by="tests",
        task=Task(type="classification"),
        artifacts=tuple(_artifact(folder, path) for path in files),
        pipeline=pipeline or Pipeline(),
        interface=interface,
        serving=serving or Serving(),
    )


def _artifact(folder: Path, path: str) -> Artifact:
    role = Role.MODEL if path == "model.onnx" else Role.COMPONENT
    return Artifact(path=path, role=role, media_type="application/octet-stream", size=0, sha256=sha256_of(folder / path))


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def files_in(folder: Path, part: Component) -> BundleFiles:
    """A component's files, as a manifest would name them now."""
    return BundleFiles(folder.joinpath, {path: sha256_of(folder / path) for path in part.files})


def engine_of(folder: Path, interface: Interface, **parts: Any) -> VersionEngine:
    cap = parts.pop("inflate_cap", 1 << 20)
    return open_engine(manifest(folder, interface, **parts), folder.joinpath, inflate_cap=cap)


def identity_engine(folder: Path, datatype: Datatype, shape: Sequence[int], **parts: Any) -> VersionEngine:
    dims = [f"d{axis}" if size < 0 else size for axis, size in enumerate(shape)]
    identity_graph(folder / "model.onnx", datatype, dims)
    return engine_of(folder, Interface(inputs=(spec("x", datatype, shape),), outputs=(spec("y", datatype, shape),)), **parts)


def linear_engine(folder: Path, **parts: Any) -> VersionEngine:
    linear_graph(folder / "model.onnx")
    return engine_of(folder, LINEAR, **parts)


LINEAR = Interface(inputs=(spec("x", Datatype.FP32, (-1, 4)),), outputs=(spec("y", Datatype.FP32, (-1, 3)),))


# --- calls ---


def infer(document: Any, tail: bytes = b"", *, encoding: Encoding = Encoding.IDENTITY, mirror: Primary | None = None) -> Call:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Call(CallKind.INFER, "d", body + tail, len(body) if tail else NO_JSON_PART, encoding, mirror)


def predict(document: Any, *, mirror: Primary | None = None) -> Call:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Call(CallKind.PREDICT, "d", body, mirror=mirror)


def tensor(data: Any, shape: Sequence[Any], datatype: Any = "FP32", name: Any = "x") -> dict[str, Any]:
    return {"name": name, "shape": list(shape), "datatype": datatype, "data": data}


def binary(size: int, shape: Sequence[int], datatype: str = "FP32", name: str = "x") -> dict[str, Any]:
    return {"name": name, "shape": list(shape), "datatype": datatype, "parameters": {"binary_data_size": size}}


def answer(reply: Reply) -> Any:
    assert reply.status == 200, reply
    return json.loads(reply.body if reply.json_length == NO_JSON_PART else reply.body[: reply.json_length])


def error(reply: Reply) -> str:
    document = json.loads(reply.body)
    assert list(document) == ["error"]
    return str(document["error"])
