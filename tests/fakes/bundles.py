"""A small bundle directory with every kind of file in it; its model is a graph, but not one that fits the interface."""

from pathlib import Path

from onnx import helper


def model_of(word: str) -> bytes:
    """A graph that passes its input on; another word, another graph."""
    graph = helper.make_graph([helper.make_node("Identity", ["pixels"], [word])], "graph", [], [])
    return bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString())


MODEL = model_of("same")
DAMAGED = MODEL.replace(b"same", b"sane")
MODEL_YAML = """\
family: digits
version: {version}
created_by: jane
created_at: 2026-01-01T00:00:00Z
task: {{type: classification, taxonomy: digits-0-9, primary_metric: accuracy}}
model: model.onnx
weights: [weights/model.onnx.data]
golden: golden.jsonl
doc_files: [CARD.md]
pipeline:
  pre:  {{name: digits-pre, version: 1.1.0, kind: declarative, config: {{steps: [{{op: scale, tensor: pixels, multiply: 0.0625}}]}}}}
  post: {{name: digits-post, version: 1.0.0, kind: python, entry: "post:build", files: [post.py]}}
  lock: {{python: "3.11", requirements: requirements.lock}}
docs: Release {version}.
interface:
  inputs: [{{name: pixels, datatype: FP32, shape: [-1, 64]}}]
  outputs: [{{name: probabilities, datatype: FP32, shape: [-1, 2], by_label: true}}]
  labels: {{names: [no, yes]}}
"""
GOLDEN = b'{"name": "a seven", "request": {"pixels": [0.5]}, "response": {"probabilities": {"no": 0.1, "yes": 0.9}}}\n'

WEIGHTS = "weights/model.onnx.data"


def write_files(
    directory: Path, *, version: str = "1.0.0", model: bytes = MODEL, yaml: str = MODEL_YAML, weights: bytes = b"weights"
) -> Path:
    (directory / "weights").mkdir(parents=True)
    (directory / "model.yaml").write_text(yaml.format(version=version), "utf-8")
    (directory / "model.onnx").write_bytes(model)
    (directory / WEIGHTS).write_bytes(weights)
    (directory / "golden.jsonl").write_bytes(GOLDEN)
    (directory / "CARD.md").write_text("A card.", "utf-8")
    (directory / "post.py").write_text("def build(config): ...\n", "utf-8")
    (directory / "requirements.lock").write_text(f"numpy==2.0.0 --hash=sha256:{64 * '0'}\n", "utf-8")
    return directory
