import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from registry_client.manifest import Datatype, Interface, Labels
from serving.dataplane.engine import VersionEngine
from serving.dataplane.faults import LoadFailed
from serving.ports import Failure
from tests.unit.dataplane.bundles import (
    LINEAR,
    answer,
    engine_of,
    error,
    identity_engine,
    linear_engine,
    linear_graph,
    predict,
    spec,
    write_graph,
)

ROW = [1.0, 2.0, 3.0, 4.0]
EXPECTED = [60.0, 70.0, 80.0]


@pytest.fixture
def engine(tmp_path: Path) -> VersionEngine:
    return linear_engine(tmp_path)


def test_one_instance_is_answered_with_one_object(engine: VersionEngine) -> None:
    assert answer(engine.run([predict({"x": ROW})])[0]) == {"y": EXPECTED}


def test_instances_are_answered_with_predictions_in_their_order(engine: VersionEngine) -> None:
    [reply] = engine.run([predict({"instances": [{"x": ROW}, {"x": [0, 0, 0, 0]}]})])

    assert answer(reply) == {"predictions": [{"y": EXPECTED}, {"y": [0.0, 0.0, 0.0]}]}


@pytest.mark.parametrize(
    ("datatype", "value"),
    [
        (Datatype.BOOL, True),
        (Datatype.UINT8, 255),
        (Datatype.INT64, -(2**63)),
        (Datatype.UINT64, 2**64 - 1),
        (Datatype.FP16, 0.5),
        (Datatype.BF16, 0.5),
        (Datatype.FP32, 0.5),
        (Datatype.FP64, 0.1),
        (Datatype.BYTES, "grün\0"),
    ],
)
def test_a_value_without_dimensions_of_its_own_is_a_scalar(tmp_path: Path, datatype: Datatype, value: Any) -> None:
    engine = identity_engine(tmp_path, datatype, (-1,))

    [one, two] = engine.run([predict({"x": value}), predict({"instances": [{"x": value}, {"x": value}]})])

    assert answer(one) == {"y": value}
    assert answer(two) == {"predictions": [{"y": value}, {"y": value}]}


def test_scores_are_shown_by_label(tmp_path: Path) -> None:
    linear_graph(tmp_path / "model.onnx")
    outputs = (spec("y", Datatype.FP32, (-1, 3), by_label=True),)
    engine = engine_of(tmp_path, Interface(inputs=LINEAR.inputs, outputs=outputs, labels=Labels(names=("a", "b", "c"))))

    [reply] = engine.run([predict({"instances": [{"x": ROW}]})])

    assert answer(reply) == {"predictions": [{"y": {"a": 60.0, "b": 70.0, "c": 80.0}}]}


@pytest.mark.parametrize(("labels", "shape"), [(None, (-1, 3)), (Labels(names=("a", "b")), (-1, 3))])
def test_labels_that_do_not_fit_the_scores_are_found_when_loading(tmp_path: Path, labels: Labels | None, shape: tuple[int, ...]) -> None:
    linear_graph(tmp_path / "model.onnx")
    interface = Interface(inputs=LINEAR.inputs, outputs=(spec("y", Datatype.FP32, shape, by_label=True),), labels=labels)

    with pytest.raises(LoadFailed, match="by_label"):
        engine_of(tmp_path, interface)


def test_an_input_may_be_called_instances(tmp_path: Path) -> None:
    write_graph(
        tmp_path / "model.onnx",
        [helper.make_node("Identity", ["instances"], ["y"])],
        [("instances", TensorProto.FLOAT, ["n"])],
        [("y", TensorProto.FLOAT, ["n"])],
    )
    engine = engine_of(tmp_path, Interface(inputs=(spec("instances", Datatype.FP32, (-1,)),), outputs=(spec("y", Datatype.FP32, (-1,)),)))

    assert answer(engine.run([predict({"instances": 2})])[0]) == {"y": 2.0}


def test_a_number_that_is_not_finite_is_null(tmp_path: Path) -> None:
    write_graph(
        tmp_path / "model.onnx",
        [helper.make_node("Log", ["x"], ["y"])],
        [("x", TensorProto.FLOAT, ["n"])],
        [("y", TensorProto.FLOAT, ["n"])],
    )
    engine = engine_of(tmp_path, Interface(inputs=(spec("x", Datatype.FP32, (-1,)),), outputs=(spec("y", Datatype.FP32, (-1,)),)))

    assert answer(engine.run([predict({"x": 0})])[0]) == {"y": None}


REFUSED = {
    "not json": (b"x", "not JSON"),
    "nan": (b'{"x": [NaN, 1, 2, 3]}', "not JSON"),
    "an array": ([], "does not fit"),
    "nothing": ({}, "'x' is missing"),
    "unknown": ({"x": ROW, "z": 1}, "unknown field `z`"),
    "unknown in an instance": ({"instances": [{"x": ROW, "z": 1}]}, "$.instances[0]"),
    "missing in an instance": ({"instances": [{"x": ROW}, {}]}, "missing in instance 1"),
    "no instances": ({"instances": []}, "empty"),
    "both forms": ({"instances": [{"x": ROW}], "x": ROW}, "beside them"),
    "too few": ({"x": ROW[:3]}, "[1, 3]"),
    "a scalar": ({"x": 1.0}, "does not fit"),
    "too deep": ({"x": [ROW]}, "does not fit"),
    "ragged": ({"instances": [{"x": ROW}, {"x": ROW[:3]}]}, "ragged"),
    "text": ({"x": ["1", "2", "3", "4"]}, "str"),
    "truth": ({"x": [True, 1, 2, 3]}, "bool"),
    "null": ({"x": None}, "null"),
    "beyond a double": (b'{"x": [1e999, 1, 2, 3]}', "out of range"),
    "beyond a float": ({"x": [1e39, 1, 2, 3]}, "outside the range of FP32"),
    "deep": (b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "x"),
}


@pytest.mark.parametrize(("body", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_a_body_that_does_not_fit_is_the_callers_fault_and_told_so(engine: VersionEngine, body: Any, sentence: str) -> None:
    [bad, good] = engine.run([predict(body), predict({"x": ROW})])

    assert (bad.status, bad.failure) == (400, Failure.CLIENT)
    assert sentence in error(bad)
    assert answer(good) == {"y": EXPECTED}


@pytest.mark.parametrize(
    ("datatype", "value"), [(Datatype.INT8, 128), (Datatype.UINT8, -1), (Datatype.INT64, 1.0), (Datatype.BOOL, 1), (Datatype.BYTES, 1)]
)
def test_values_are_never_coerced(tmp_path: Path, datatype: Datatype, value: Any) -> None:
    [reply] = identity_engine(tmp_path, datatype, (-1,)).run([predict({"x": value})])

    assert (reply.status, reply.failure) == (400, Failure.CLIENT)


def test_ragged_text_is_refused(tmp_path: Path) -> None:
    [reply] = identity_engine(tmp_path, Datatype.BYTES, (-1, -1)).run([predict({"instances": [{"x": ["a"]}, {"x": ["b", "c"]}]})])

    assert (reply.status, reply.failure) == (400, Failure.CLIENT)
    assert "ragged" in error(reply)


def test_the_authors_schema_is_asked_about_every_instance(tmp_path: Path) -> None:
    linear_graph(tmp_path / "model.onnx")
    schema = {"type": "object", "properties": {"x": {"items": {"minimum": 0}}}, "required": ["x"]}
    engine = engine_of(tmp_path, Interface(inputs=LINEAR.inputs, outputs=LINEAR.outputs, request=schema))

    [good, bad] = engine.run([predict({"x": ROW}), predict({"instances": [{"x": ROW}, {"x": [-1, 0, 0, 0]}]})])

    assert answer(good) == {"y": EXPECTED}
    assert (bad.status, bad.failure) == (400, Failure.CLIENT)
    assert "instance 1: $.x[0]: -1 is less than the minimum of 0" in error(bad)


@pytest.mark.parametrize(
    ("schema", "sentence"),
    [
        ({"type": "objekt"}, "not a JSON Schema"),
        ({"properties": {"x": {"$ref": "https://example.test/x.json"}}}, "nothing is fetched"),
        ({"properties": {"x": {"$ref": "#/$defs/none"}}}, "refers to nothing in it"),
        ({"properties": {"x": {"$ref": "#/properties/x"}}}, "would never end"),
    ],
)
def test_a_schema_that_cannot_be_used_is_found_when_loading(tmp_path: Path, schema: dict[str, Any], sentence: str) -> None:
    linear_graph(tmp_path / "model.onnx")

    with pytest.raises(LoadFailed, match=sentence):
        engine_of(tmp_path, Interface(inputs=LINEAR.inputs, outputs=LINEAR.outputs, request=schema))


def test_members_nested_too_deep_for_a_schema_are_refused(tmp_path: Path) -> None:
    linear_graph(tmp_path / "model.onnx")
    engine = engine_of(tmp_path, Interface(inputs=LINEAR.inputs, outputs=LINEAR.outputs, request={}, unknown_inputs="ignore"))

    [shallow, deep] = engine.run([predict(b'{"x": %s, "z": %s%s}' % (json.dumps(ROW).encode(), b"[" * n, b"]" * n)) for n in (31, 40)])

    assert shallow.status == 200
    assert (deep.status, deep.failure) == (400, Failure.CLIENT)
    assert "deeper than 32" in error(deep)


def _optional(folder: Path) -> VersionEngine:
    nodes = [helper.make_node("Add", ["x", "bias"], ["y"])]
    write_graph(
        folder / "model.onnx",
        nodes,
        [("x", TensorProto.FLOAT, ["n"]), ("bias", TensorProto.FLOAT, [1])],
        [("y", TensorProto.FLOAT, ["n"])],
        {"bias": np.array([100.0], np.float32)},
    )
    inputs = (spec("x", Datatype.FP32, (-1,)), spec("bias", Datatype.FP32, (1,), optional=True))
    return engine_of(folder, Interface(inputs=inputs, outputs=(spec("y", Datatype.FP32, (-1,)),)))


def test_an_optional_input_may_be_left_out(tmp_path: Path) -> None:
    engine = _optional(tmp_path)

    [without, given, mixed] = engine.run(
        [predict({"x": 1}), predict({"x": 1, "bias": 5}), predict({"instances": [{"x": 1}, {"x": 1, "bias": 5}]})]
    )

    assert answer(without) == {"y": 101.0}
    assert answer(given) == {"y": 6.0}
    assert (mixed.status, mixed.failure) == (400, Failure.CLIENT)
    assert "separate requests" in error(mixed)


def test_an_output_without_a_batch_dimension_needs_the_v2_call(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0, noop_with_empty_axes=0),
        helper.make_node("Reshape", ["y", "one"], ["z"]),
    ]
    write_graph(tmp_path / "model.onnx", nodes, [("x", TensorProto.FLOAT, ["n"])], [("z", TensorProto.FLOAT, [1])], {"one": np.array([1])})
    engine = engine_of(tmp_path, Interface(inputs=(spec("x", Datatype.FP32, (-1,)),), outputs=(spec("z", Datatype.FP32, (1,)),)))

    [reply] = engine.run([predict({"x": 1})])

    assert (reply.status, reply.failure) == (501, Failure.CLIENT)
    assert "v2 infer" in error(reply)
