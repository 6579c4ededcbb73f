"""Exports a scikit-learn classifier as an ONNX graph that answers probabilities only, with the same bytes every time."""

from typing import Any

import onnx
from skl2onnx import convert_sklearn
from skl2onnx.helpers.onnx_helper import select_model_inputs_outputs

OPSETS = {"": 18, "ai.onnx.ml": 3}
PROBABILITIES = "probabilities"

Estimator = Any
"""scikit-learn has no types."""


def export_classifier(estimator: Estimator, *, classifier: Estimator, name: str, inputs: list[tuple[str, Any]], classes: int) -> bytes:
    """Convert the estimator, whose last step is the classifier; the batch dimension stays open on both sides."""
    converted = convert_sklearn(estimator, name, inputs, options={id(classifier): {"zipmap": False}}, target_opset=OPSETS)
    graph = select_model_inputs_outputs(converted, outputs=[PROBABILITIES])
    _declare_output(graph, classes)
    _drop_unused_weights(graph)
    _drop_provenance(graph)
    onnx.checker.check_model(graph)
    exported: bytes = graph.SerializeToString(deterministic=True)
    return exported


def _declare_output(graph: onnx.ModelProto, classes: int) -> None:
    """State the answer's shape: the converter leaves it unknown for text."""
    stated = onnx.helper.make_tensor_value_info(PROBABILITIES, onnx.TensorProto.FLOAT, ["batch", classes])
    graph.graph.output[0].CopyFrom(stated)
    graph.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"


def _drop_unused_weights(graph: onnx.ModelProto) -> None:
    """What only the label needed: onnxruntime warns about each."""
    used = {name for node in graph.graph.node for name in node.input}
    kept = [weight for weight in graph.graph.initializer if weight.name in used]
    del graph.graph.initializer[:]
    graph.graph.initializer.extend(kept)


def _drop_provenance(graph: onnx.ModelProto) -> None:
    """The manifest says where a model comes from; here it would only make equal models differ."""
    for field in ("producer_name", "producer_version", "domain", "doc_string", "model_version"):
        graph.ClearField(field)
    del graph.metadata_props[:]
