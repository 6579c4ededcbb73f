"""Bundles drawn in a few words, with real ONNX graphs that onnxruntime loads: what they take and give is what the sketch says."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from onnx import TensorProto, helper, numpy_helper

Json = dict[str, Any]
DYNAMIC = -1
WIDTH = 3
"""What a dynamic dimension of a constant output really is."""

_ELEMENTS = {
    "BOOL": (TensorProto.BOOL, np.bool_),
    "UINT8": (TensorProto.UINT8, np.uint8),
    "INT8": (TensorProto.INT8, np.int8),
    "INT32": (TensorProto.INT32, np.int32),
    "INT64": (TensorProto.INT64, np.int64),
    "FP16": (TensorProto.FLOAT16, np.float16),
    "FP32": (TensorProto.FLOAT, np.float32),
    "FP64": (TensorProto.DOUBLE, np.float64),
    "BYTES": (TensorProto.STRING, np.object_),
}


def tensor(name: str, datatype: str = "FP32", shape: Sequence[int] = (DYNAMIC, 4), **more: Any) -> Json:
    """A tensor as model.yaml has it."""
    return {"name": name, "datatype": datatype, "shape": list(shape), **more}


X = tensor("x")
SCORES = tensor("scores", shape=(DYNAMIC, WIDTH))
LABELS = {"names": ["a", "b", "c"]}


@dataclass(frozen=True)
class Sketch:
    """A version whose graph takes these inputs and answers constants of these forms."""

    inputs: Sequence[Json] = (X,)
    outputs: Sequence[Json] = (SCORES,)
    interface: Mapping[str, Any] = field(default_factory=dict)
    description: Mapping[str, Any] = field(default_factory=dict)

    def but(self, **fields: Any) -> "Sketch":
        """The same with other inputs, outputs or description."""
        return replace(self, **fields)

    def saying(self, **fields: Any) -> "Sketch":
        """The same with more in its interface."""
        return replace(self, interface={**self.interface, **fields})

    def write(self, directory: Path, version: str) -> Path:
        """Write it as a bundle."""
        interface = {"inputs": list(self.inputs), "outputs": list(self.outputs), **self.interface}
        return write_bundle(directory, version, graph_bytes(self._graph()), {"interface": interface, **self.description})

    def _graph(self) -> Any:
        nodes, constants, results = [], [], []
        for spec in self.inputs:
            nodes.append(helper.make_node("Identity", [spec["name"]], [f"seen_{spec['name']}"]))
            results.append(_port(f"seen_{spec['name']}", spec))
            if spec.get("optional"):
                constants.append(_constant(spec["name"], spec))
        batch = next(spec["name"] for spec in self.inputs if not spec.get("optional"))
        nodes += [
            helper.make_node("Shape", [batch], ["batch_shape"], start=0, end=1),
        ]
        for spec in self.outputs:
            nodes += self._answer(spec, constants)
            results.append(_port(spec["name"], spec))
        return helper.make_graph(nodes, "sketch", [_port(spec["name"], spec) for spec in self.inputs], results, constants)

    def _answer(self, spec: Json, constants: list[Any]) -> list[Any]:
        name = spec["name"]
        constants.append(_constant(f"{name}_value", spec))
        if spec["shape"][0] != DYNAMIC:
            return [helper.make_node("Identity", [f"{name}_value"], [name])]
        inner = np.array(_concrete(spec)[1:], np.int64)
        constants.append(numpy_helper.from_array(inner, f"{name}_inner"))
        return [
            helper.make_node("Concat", ["batch_shape", f"{name}_inner"], [f"{name}_shape"], axis=0),
            helper.make_node("Expand", [f"{name}_value", f"{name}_shape"], [name]),
        ]


def _concrete(spec: Json) -> list[int]:
    first, *inner = spec["shape"]
    return [1 if first == DYNAMIC else first, *(WIDTH if size == DYNAMIC else size for size in inner)]


def _constant(name: str, spec: Json) -> Any:
    kind, element = _ELEMENTS[spec["datatype"]]
    if kind == TensorProto.STRING:
        return helper.make_tensor(name, kind, _concrete(spec), [b"a"] * int(np.prod(_concrete(spec))))
    return numpy_helper.from_array(np.ones(_concrete(spec), element), name)


def _port(name: str, spec: Json) -> Any:
    dims = [f"{name}_{axis}" if size == DYNAMIC else size for axis, size in enumerate(spec["shape"])]
    return helper.make_tensor_value_info(name, _ELEMENTS[spec["datatype"]][0], dims)


# --- versions that compute something -------------------------------------------------------------------------------

ROWS = ([0.1, 0.2, 0.3, 0.4], [1.0, -1.0, 2.0, -2.0], [0.0, 0.0, 0.0, 0.0])


@dataclass(frozen=True)
class Linear:
    """`y = x @ w + b`, with golden examples of what it answers. `extra`: further golden examples, `rows` those it has anyway."""

    weights: Any = field(default_factory=lambda: np.arange(12, dtype=np.float32).reshape(4, 3) / 10)
    bias: Any = field(default_factory=lambda: np.ones(3, np.float32))
    words: str = ""
    description: Mapping[str, Any] = field(default_factory=dict)
    slices: Mapping[int, str] = field(default_factory=dict)
    """Which of the golden rows are of which slice."""
    pre: Sequence[Json] = ()
    rows: Sequence[Sequence[float]] = ROWS
    nodes: str = "float"
    """Or `quantised`, `half`; or `outside`: the bias lies in `weights.bin`, which the description must list."""

    def but(self, **fields: Any) -> "Linear":
        """The same with something else."""
        return replace(self, **fields)

    def graph(self) -> bytes:
        """The model."""
        return graph_bytes(_linear(self), words=self.words)

    def answers(self) -> list[list[float]]:
        """What it answers to its rows, as its author measured it."""
        rows = np.array(self.rows, np.float32).reshape(-1, 4)
        for step in self.pre:
            rows = np.clip(rows, step.get("min"), step.get("max")) if step["op"] == "clip" else rows
        answered: list[list[float]] = (rows @ np.asarray(self.weights, np.float32) + self.bias).tolist()
        return answered

    def write(self, directory: Path, version: str) -> Path:
        """Write it as a bundle."""
        tolerance = {"atol": 0.05 if self.nodes == "quantised" else 1e-4, "rtol": 1e-3}
        golden = [
            {"name": f"row {at}", "request": {"x": list(row)}, "response": {"y": answer}, "tolerance": tolerance}
            | ({"slice": self.slices[at]} if at in self.slices else {})
            for at, (row, answer) in enumerate(zip(self.rows, self.answers(), strict=True))
        ]
        pre = {"name": "steps", "version": "1.0.0", "kind": "declarative", "config": {"steps": list(self.pre)}}
        description = {
            "interface": {"inputs": [tensor("x")], "outputs": [tensor("y", shape=(DYNAMIC, 3))]},
            **({"pipeline": {"pre": pre}} if self.pre else {}),
            **({"golden": "golden.jsonl"} if golden else {}),
            **self.description,
        }
        files = {"golden.jsonl": "".join(json.dumps(line) + "\n" for line in golden).encode()} if golden else {}
        if self.nodes == "outside":
            files["weights.bin"] = np.asarray(self.bias, np.float32).tobytes()
        return write_bundle(directory, version, self.graph(), description, files)


def _linear(sketch: Linear) -> Any:
    ports = (
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
    )
    bias = _outside(sketch.bias) if sketch.nodes == "outside" else numpy_helper.from_array(np.asarray(sketch.bias, np.float32), "b")
    weights = np.asarray(sketch.weights)
    if sketch.nodes == "quantised":
        scale = float(np.abs(weights).max()) / 127
        whole = numpy_helper.from_array(np.round(weights / scale).astype(np.int8), "w8")
        nodes = [helper.make_node("DequantizeLinear", ["w8", "scale", "zero"], ["w"])]
        constants = [
            whole,
            numpy_helper.from_array(np.array(scale, np.float32), "scale"),
            numpy_helper.from_array(np.array(0, np.int8), "zero"),
        ]
    elif sketch.nodes == "half":
        nodes = [helper.make_node("Cast", ["w16"], ["w"], to=TensorProto.FLOAT)]
        constants = [numpy_helper.from_array(weights.astype(np.float16), "w16")]
    else:
        nodes, constants = [], [numpy_helper.from_array(weights.astype(np.float32), "w")]
    nodes += [helper.make_node("MatMul", ["x", "w"], ["m"], name=sketch.words), helper.make_node("Add", ["m", "b"], ["y"])]
    return helper.make_graph(nodes, "linear", *ports, [*constants, bias])


def _outside(bias: Any) -> Any:
    """ONNX external data: only where it lies."""
    found = TensorProto(dims=[len(bias)], data_type=TensorProto.FLOAT, name="b", data_location=TensorProto.EXTERNAL)
    for key, value in (("location", "weights.bin"), ("offset", "0"), ("length", str(4 * len(bias)))):
        entry = found.external_data.add()
        entry.key, entry.value = key, value
    return found


def graph_bytes(graph: Any, *, words: str = "") -> bytes:
    """The model file of a graph; `words` go wherever a graph has room for words that compute nothing."""
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    if words:
        model.producer_name = model.producer_version = model.domain = model.doc_string = words
        model.model_version = len(words)
        model.graph.name = model.graph.doc_string = words
        for node in model.graph.node:
            node.doc_string = words
        helper.set_model_props(model, {"author": words})
    return bytes(model.SerializeToString())


def write_bundle(
    directory: Path, version: str, model: bytes, description: Mapping[str, Any], files: Mapping[str, bytes] | None = None
) -> Path:
    """Write a bundle of family `sketch`."""
    directory.mkdir(parents=True)
    written = {
        "family": "sketch",
        "version": version,
        "created_by": "ada",
        "created_at": "2026-01-01T00:00:00Z",
        "task": {"type": "classification", "taxonomy": "abc", "primary_metric": "accuracy"},
        "model": "model.onnx",
        **description,
    }
    (directory / "model.yaml").write_text(yaml.dump(written, Dumper=_PlainDumper, sort_keys=False), "utf-8")
    (directory / "model.onnx").write_bytes(model)
    for name, content in (files or {}).items():
        (directory / name).write_bytes(content)
    return directory


class _PlainDumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the library's signature
        return True
