"""A family whose answers prove which bundle computed them: pre, model and post each leave a constant of their own version in the output.

One number goes in; out come the number itself and the three stamps. An answer that mixes two bundles has stamps of two versions, one that
belongs to another request has the wrong number.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

FAMILY = "stamped"
VERSIONS = ("1.0.0", "1.1.0")

COMPONENT = '''"""Leaves a stamp behind the last column of a tensor."""

import numpy as np


def build(config):
    def stamp(tensors):
        rows = tensors.pop(config["from"])
        column = np.full((len(rows), 1), config["stamp"], np.float32)
        tensors[config["to"]] = np.concatenate([rows, column], axis=1)
        return tensors

    return stamp
'''


@dataclass(frozen=True, slots=True)
class Stamps:
    """What the three stages of one version leave in every answer."""

    pre: int
    model: int
    post: int


def stamps_of(version: str) -> Stamps:
    """Of every version three numbers that no other version has."""
    first = 10 * (VERSIONS.index(version) + 1)
    return Stamps(first + 1, first + 2, first + 3)


def write_bundle(folder: Path, version: str) -> Path:
    """A bundle that `pointsman publish` takes."""
    bundle, stamps = folder / f"{FAMILY}-{version}", stamps_of(version)
    bundle.mkdir(parents=True)
    (bundle / "model.onnx").write_bytes(_graph(stamps.model))
    for part in ("pre", "post"):
        (bundle / f"{part}.py").write_text(COMPONENT, encoding="utf-8")
    golden = {"name": "seven", "request": {"x": [7]}, "response": {"y": [7, stamps.pre, stamps.model, stamps.post]}}
    (bundle / "golden.jsonl").write_text(json.dumps(golden) + "\n", encoding="utf-8")
    (bundle / "model.yaml").write_text(yaml.safe_dump(_description(version, stamps), sort_keys=False), encoding="utf-8")
    return bundle


def _graph(stamp: int) -> bytes:
    """[x, pre] in, [x, pre, stamp] out."""
    weights = numpy_helper.from_array(np.asarray([[1, 0, 0], [0, 1, 0]], np.float32), "w")
    bias = numpy_helper.from_array(np.asarray([0, 0, stamp], np.float32), "b")
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", size]) for name, size in (("staged", 2), ("seen", 3))]
    node = helper.make_node("Gemm", ["staged", "w", "b"], ["seen"])
    graph = helper.make_graph([node], FAMILY, tensors[:1], tensors[1:], [weights, bias])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _description(version: str, stamps: Stamps) -> dict[str, Any]:
    return {
        "family": FAMILY,
        "version": version,
        "task": {"type": "regression"},
        "model": "model.onnx",
        "golden": "golden.jsonl",
        "interface": {
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 1]}],
            "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 4]}],
        },
        "pipeline": {
            "pre": _component("pre", version, {"from": "x", "to": "staged", "stamp": stamps.pre}),
            "post": _component("post", version, {"from": "seen", "to": "y", "stamp": stamps.post}),
        },
    }


def _component(part: str, version: str, config: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": f"{FAMILY}-{part}",
        "version": version,
        "kind": "python",
        "entry": f"{part}:build",
        "files": [f"{part}.py"],
        "config": config,
    }
