"""The model that every server serves: four numbers in, three out, so small that what is measured is the serving."""

import json
from pathlib import Path

import msgspec
import numpy as np
import onnx
import onnxruntime
import yaml
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

FAMILY = "tiny"
FIRST, SECOND = "1.0.0", "1.1.0"
SEEDS = {FIRST: 1, SECOND: 2}
INPUTS, HIDDEN, OUTPUTS = 4, 8, 3
EXAMPLE = [0.1, 0.2, 0.3, 0.4]
INFER_PATH = f"/v2/models/{FAMILY}/infer"
REQUEST = msgspec.json.encode({"inputs": [{"name": "x", "shape": [1, INPUTS], "datatype": "FP32", "data": EXAMPLE}]})


def model_bytes(version: str) -> bytes:
    """A two-layer perceptron whose weights follow from the version alone."""
    weights = np.random.default_rng(SEEDS[version])
    initializers = [
        _weights(weights, "w1", (INPUTS, HIDDEN)),
        _weights(weights, "b1", (HIDDEN,)),
        _weights(weights, "w2", (HIDDEN, OUTPUTS)),
        _weights(weights, "b2", (OUTPUTS,)),
    ]
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Gemm", ["r", "w2", "b2"], ["y"]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", INPUTS])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", OUTPUTS])
    graph = helper.make_graph(nodes, FAMILY, [x], [y], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _weights(source: np.random.Generator, name: str, shape: tuple[int, ...]) -> onnx.TensorProto:
    return numpy_helper.from_array(source.standard_normal(shape).astype(np.float32), name)


def answer_of(model: bytes, rows: list[list[float]]) -> list[list[float]]:
    """What the model itself says."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (y,) = session.run(["y"], {"x": np.asarray(rows, np.float32)})
    answered: NDArray[np.float32] = np.asarray(y)
    return [[float(value) for value in row] for row in answered]


def write_model(folder: Path, version: str) -> Path:
    """The bare model file, for the peers."""
    path = folder / f"{FAMILY}-{version}.onnx"
    path.write_bytes(model_bytes(version))
    return path


def write_bundle(folder: Path, version: str) -> Path:
    """A bundle that `pointsman publish` takes."""
    bundle = folder / f"{FAMILY}-{version}"
    bundle.mkdir(parents=True)
    model = model_bytes(version)
    (bundle / "model.onnx").write_bytes(model)
    rows = [EXAMPLE, [0.0] * INPUTS, [1.0, -1.0, 2.0, -2.0]]
    pairs = zip(rows, answer_of(model, rows), strict=True)
    golden = [{"name": f"row-{index}", "request": {"x": row}, "response": {"y": y}} for index, (row, y) in enumerate(pairs)]
    (bundle / "golden.jsonl").write_text("".join(json.dumps(line) + "\n" for line in golden))
    (bundle / "model.yaml").write_text(yaml.safe_dump(_description(version), sort_keys=False))
    return bundle


def _description(version: str) -> dict[str, object]:
    return {
        "family": FAMILY,
        "version": version,
        "task": {"type": "regression"},
        "model": "model.onnx",
        "golden": "golden.jsonl",
        "interface": {
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, INPUTS]}],
            "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, OUTPUTS]}],
        },
    }
