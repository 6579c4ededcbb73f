import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from registry_client.manifest import Datatype, Interface, Wire
from serving.dataplane.engine import VersionEngine
from serving.ports import NO_JSON_PART, Call, CallKind, Encoding, Failure
from tests.unit.dataplane.bundles import (
    answer,
    binary,
    engine_of,
    error,
    identity_engine,
    identity_graph,
    infer,
    linear_engine,
    predict,
    spec,
    tensor,
    write_graph,
)

ROW = [1.0, 2.0, 3.0, 4.0]
EXPECTED = [60.0, 70.0, 80.0]


@pytest.fixture
def engine(tmp_path: Path) -> VersionEngine:
    return linear_engine(tmp_path)


def test_a_json_call_is_answered_with_the_resolved_version_and_flat_row_major_data(engine: VersionEngine) -> None:
    [reply] = engine.run([infer({"id": "7", "inputs": [tensor(ROW, [1, 4])]})])

    assert answer(reply) == {
        "model_name": "iris",
        "model_version": "1.2.3",
        "id": "7",
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [1, 3], "data": EXPECTED}],
    }
    assert reply.failure is None


@pytest.mark.parametrize("request_id", [None, "absent"])
def test_an_id_that_was_not_given_is_left_out(engine: VersionEngine, request_id: str | None) -> None:
    document: dict[str, Any] = {"inputs": [tensor(ROW, [1, 4])]}
    if request_id is None:
        document["id"] = None

    assert "id" not in answer(engine.run([infer(document)])[0])


def test_data_may_be_nested_as_its_shape_says(engine: VersionEngine) -> None:
    [reply] = engine.run([infer({"inputs": [tensor([ROW, ROW], [2, 4])]})])

    assert answer(reply)["outputs"][0] == {"name": "y", "datatype": "FP32", "shape": [2, 3], "data": EXPECTED * 2}


def test_binary_tensors_come_in_and_go_out_behind_the_json_part(engine: VersionEngine) -> None:
    document = {"inputs": [binary(16, [1, 4])], "parameters": {"binary_data_output": True}}

    [reply] = engine.run([infer(document, np.array(ROW, "<f4").tobytes())])

    assert answer(reply)["outputs"] == [{"name": "y", "datatype": "FP32", "shape": [1, 3], "parameters": {"binary_data_size": 12}}]
    assert np.frombuffer(reply.body[reply.json_length :], "<f4").tolist() == EXPECTED


def test_an_outputs_own_binary_preference_beats_the_requests(engine: VersionEngine) -> None:
    wanted = [{"name": "y", "parameters": {"binary_data": False}}]

    [reply] = engine.run([infer({"inputs": [tensor(ROW, [1, 4])], "parameters": {"binary_data_output": True}, "outputs": wanted})])

    assert reply.json_length == NO_JSON_PART
    assert answer(reply)["outputs"][0]["data"] == EXPECTED


def test_a_raw_body_is_the_one_input_and_is_answered_in_binary(engine: VersionEngine) -> None:
    call = Call(CallKind.INFER, "d", np.array(ROW * 2, "<f4").tobytes(), 0)

    [reply] = engine.run([call])

    assert answer(reply)["outputs"][0]["shape"] == [2, 3]
    assert np.frombuffer(reply.body[reply.json_length :], "<f4").tolist() == EXPECTED * 2


def test_a_raw_body_of_text_is_one_element(tmp_path: Path) -> None:
    [reply] = identity_engine(tmp_path, Datatype.BYTES, (-1, 1)).run([Call(CallKind.INFER, "d", b"hello", 0)])

    assert answer(reply)["outputs"][0]["shape"] == [1, 1]
    assert reply.body[reply.json_length :] == b"\x05\0\0\0hello"


@pytest.mark.parametrize("encoding", [Encoding.GZIP, Encoding.DEFLATE])
def test_json_length_counts_the_bytes_before_compression(engine: VersionEngine, encoding: Encoding) -> None:
    plain = infer({"inputs": [binary(16, [1, 4])]}, np.array(ROW, "<f4").tobytes())
    body = gzip.compress(plain.body) if encoding is Encoding.GZIP else zlib.compress(plain.body)

    [reply] = engine.run([Call(CallKind.INFER, "d", body, plain.json_length, encoding)])

    assert answer(reply)["outputs"][0]["data"] == EXPECTED


def test_outputs_come_in_the_order_in_which_they_are_asked_for(tmp_path: Path) -> None:
    nodes = [helper.make_node("Identity", ["x"], ["a"]), helper.make_node("Neg", ["x"], ["b"])]
    shape = ["n"]
    write_graph(
        tmp_path / "model.onnx",
        nodes,
        [("x", TensorProto.FLOAT, shape)],
        [("a", TensorProto.FLOAT, shape), ("b", TensorProto.FLOAT, shape)],
    )
    outputs = (spec("a", Datatype.FP32, (-1,)), spec("b", Datatype.FP32, (-1,)))
    engine = engine_of(tmp_path, Interface(inputs=(spec("x", Datatype.FP32, (-1,)),), outputs=outputs))

    [both, one] = engine.run(
        [infer({"inputs": [tensor([1.5], [1])], "outputs": [{"name": name} for name in names]}) for names in ("ba", "a")]
    )

    assert [output["name"] for output in answer(both)["outputs"]] == ["b", "a"]
    assert [output["data"] for output in answer(both)["outputs"]] == [[-1.5], [1.5]]
    assert [output["name"] for output in answer(one)["outputs"]] == ["a"]


def test_numbers_that_json_has_no_word_for_come_back_as_null_and_are_flagged(tmp_path: Path) -> None:
    nodes = [helper.make_node("Log", ["x"], ["y"])]
    write_graph(tmp_path / "model.onnx", nodes, [("x", TensorProto.FLOAT, ["n"])], [("y", TensorProto.FLOAT, ["n"])])
    engine = engine_of(tmp_path, Interface(inputs=(spec("x", Datatype.FP32, (-1,)),), outputs=(spec("y", Datatype.FP32, (-1,)),)))

    [as_json, as_binary] = engine.run(
        [infer({"inputs": [tensor([0.0, 1.0, -1.0], [3])], "parameters": {"binary_data_output": wanted}}) for wanted in (False, True)]
    )

    assert answer(as_json)["outputs"][0]["data"] == [None, 0.0, None]
    assert answer(as_json)["outputs"][0]["parameters"] == {"non_finite": True}
    raw = np.frombuffer(as_binary.body[as_binary.json_length :], "<f4")
    assert raw[0] == -np.inf
    assert np.isnan(raw[2])


def test_an_empty_tensor_is_legal(tmp_path: Path) -> None:
    [reply] = identity_engine(tmp_path, Datatype.FP32, (-1, 4)).run([infer({"inputs": [tensor([], [0, 4])]})])

    assert answer(reply)["outputs"][0] == {"name": "y", "datatype": "FP32", "shape": [0, 4], "data": []}


def test_an_input_that_nobody_knows_is_passed_over_where_the_interface_says_so(tmp_path: Path) -> None:
    linear = linear_engine(tmp_path / "reject")
    folder = tmp_path / "ignore"
    folder.mkdir()
    (folder / "model.onnx").write_bytes((tmp_path / "reject" / "model.onnx").read_bytes())
    tolerant = engine_of(
        folder,
        Interface(inputs=(spec("x", Datatype.FP32, (-1, 4)),), outputs=(spec("y", Datatype.FP32, (-1, 3)),), unknown_inputs="ignore"),
    )
    call = infer({"inputs": [binary(8, [1], name="zz"), binary(16, [1, 4])]}, b"8 bytes." + np.array(ROW, "<f4").tobytes())

    assert "'zz' is unknown" in error(linear.run([call])[0])
    assert answer(tolerant.run([call])[0])["outputs"][0]["data"] == EXPECTED
    assert answer(tolerant.run([predict({"x": ROW, "zz": 1})])[0]) == {"y": EXPECTED}


def test_metadata_is_the_interface(engine: VersionEngine) -> None:
    [reply] = engine.run([Call(CallKind.METADATA, "d", b"")])

    assert reply.body == engine.metadata()
    assert answer(reply) == {
        "name": "iris",
        "versions": ["1.2.3"],
        "platform": "onnx_onnxv1",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 3]}],
    }


# --- refusals -------------------------------------------------------------------------------------------------------


def _x(**changes: Any) -> dict[str, Any]:
    return {"inputs": [{**tensor(ROW, [1, 4]), **changes}]}


REFUSED = {
    "not json": (b"hello", "not JSON"),
    "empty": (b"", "not JSON"),
    "cut off": (json.dumps(_x()).encode()[:-3], "not JSON"),
    "not utf-8": (b'{"inputs": [{"name": "\xff"}]}', "not JSON"),
    "a lone surrogate": (rb'{"id": "\ud800", "inputs": []}', "not JSON"),
    "nan": (json.dumps(_x()).replace("1.0", "NaN").encode(), "not JSON"),
    "deep": (b'{"zz": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested"),
    "deep data": (b'{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":' + b"[" * 300 + b"]" * 300 + b"}]}", "x"),
    "an array": (b"[]", "Open Inference Protocol"),
    "no inputs": ({}, "inputs"),
    "no input": ({"inputs": []}, "inputs"),
    "a number for an id": ({**_x(), "id": 7}, "$.id"),
    "unknown input": ({"inputs": [tensor(ROW, [1, 4], name="zz")]}, "'zz' is unknown"),
    "the same twice": ({"inputs": [tensor(ROW, [1, 4])] * 2}, "twice"),
    "another datatype": (_x(datatype="FP64"), "FP64"),
    "no datatype of the protocol": (_x(datatype="float"), "'float'"),
    "another rank": (_x(shape=[4]), "[4]"),
    "another dimension": (_x(shape=[1, 5]), "[1, 5]"),
    "a negative dimension": (_x(shape=[-1, 4]), "shape"),
    "a boolean dimension": (_x(shape=[True, 4]), "shape"),
    "a float dimension": (_x(shape=[1.0, 4]), "shape"),
    "a text dimension": (_x(shape=["1", 4]), "shape"),
    "nine dimensions": (_x(shape=[1] * 9), "shape"),
    "a dimension beyond any machine": (_x(shape=[2**70, 4]), "holds 4 elements"),
    "an empty tensor beyond any machine": (_x(shape=[2**70, 4], data=[]), "holds 0 elements"),
    "too few": (_x(data=ROW[:3]), "holds 3 elements"),
    "too many": (_x(data=[*ROW, 5.0]), "holds 5 elements"),
    "nested otherwise": (_x(data=[[1.0, 2.0], [3.0, 4.0]]), "nested as [2, 2]"),
    "ragged": (_x(shape=[2, 4], data=[ROW, ROW[:3]]), "ragged"),
    "text for numbers": (_x(data=["1", "2", "3", "4"]), "str"),
    "truth for numbers": (_x(data=[True, 1, 2, 3]), "bool"),
    "null for numbers": (_x(data=[None, 1, 2, 3]), "null"),
    "an object for data": (_x(data={}), "data"),
    "beyond a double": (json.dumps(_x()).replace("1.0", "1e999").encode(), "out of range"),
    "beyond a float": (_x(data=[1e39, 1, 2, 3]), "outside the range of FP32"),
    "no data": ({"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32"}]}, "neither data nor"),
    "data twice": ({"inputs": [{**tensor(ROW, [1, 4]), "parameters": {"binary_data_size": 0}}]}, "both data and"),
    "binary data that is not there": ({"inputs": [binary(16, [1, 4])]}, "0 bytes of the body are left"),
    "a text for a size": ({"inputs": [{**binary(0, [1, 4]), "parameters": {"binary_data_size": "16"}}]}, "whole number"),
    "truth for a size": ({"inputs": [{**binary(0, [1, 4]), "parameters": {"binary_data_size": True}}]}, "whole number"),
    "a negative size": ({"inputs": [binary(-1, [1, 4])]}, "whole number"),
    "a nested parameter": ({**_x(), "parameters": {"a": {"b": 1}}}, "parameters"),
    "a text for a flag": ({**_x(), "parameters": {"binary_data_output": "yes"}}, "true or false"),
    "an output nobody knows": ({**_x(), "outputs": [{"name": "zz"}]}, "'zz' is unknown"),
    "an output twice": ({**_x(), "outputs": [{"name": "y"}, {"name": "y"}]}, "twice"),
}


@pytest.mark.parametrize(("body", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_a_body_that_does_not_fit_is_the_callers_fault_and_told_so(engine: VersionEngine, body: Any, sentence: str) -> None:
    [bad, good] = engine.run([infer(body), infer(_x())])

    assert (bad.status, bad.failure) == (400, Failure.CLIENT)
    assert sentence in error(bad)
    assert len(error(bad)) < 700
    assert answer(good)["outputs"][0]["data"] == EXPECTED


BINARY_REFUSED = {
    "too short for the shape": (binary(12, [1, 4]), 12, "12 bytes"),
    "more than announced": (binary(16, [1, 4]), 20, "add up to 16"),
    "less than announced": (binary(16, [1, 4]), 10, "10 bytes of the body are left"),
    "a shape beyond any machine": (binary(16, [2**62, 4]), 16, "needs"),
    "an empty shape beyond any machine": (binary(0, [0, 4]), 1, "add up to 0"),
}


@pytest.mark.parametrize(("given", "length", "sentence"), BINARY_REFUSED.values(), ids=BINARY_REFUSED.keys())
def test_binary_sizes_add_up_exactly(engine: VersionEngine, given: dict[str, Any], length: int, sentence: str) -> None:
    [reply] = engine.run([infer({"inputs": [given]}, b"\0" * length)])

    assert (reply.status, reply.failure) == (400, Failure.CLIENT)
    assert sentence in error(reply)


@pytest.mark.parametrize("json_length", [-2, 3, 10_000])
def test_a_json_length_that_does_not_fit_the_body_is_refused(engine: VersionEngine, json_length: int) -> None:
    [reply] = engine.run([Call(CallKind.INFER, "d", json.dumps(_x()).encode(), json_length)])

    assert (reply.status, reply.failure) == (400, Failure.CLIENT)


@pytest.mark.parametrize(
    "wish",
    [
        {**_x(), "outputs": [{"name": "y", "parameters": {"classification": 3}}]},
        {**_x(), "outputs": [{"name": "y", "parameters": {"shared_memory_region": "a"}}]},
        {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "parameters": {"shared_memory_region": "a"}}]},
    ],
)
def test_extensions_that_are_not_here_are_refused_by_name(engine: VersionEngine, wish: dict[str, Any]) -> None:
    [reply] = engine.run([infer(wish)])

    assert (reply.status, reply.failure) == (501, Failure.CLIENT)
    assert "not supported" in error(reply)


def test_a_raw_body_that_does_not_tell_its_shape_is_refused(engine: VersionEngine, tmp_path: Path) -> None:
    wide = identity_engine(tmp_path / "wide", Datatype.FP32, (-1, -1))

    for reply in (engine.run([Call(CallKind.INFER, "d", b"\0" * 15, 0)])[0], wide.run([Call(CallKind.INFER, "d", b"\0" * 16, 0)])[0]):
        assert (reply.status, reply.failure) == (400, Failure.CLIENT)
        assert "does not tell the shape" in error(reply)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"garbage", 400),
        (gzip.compress(b"{}", mtime=0)[:-4], 400),
        (gzip.compress(b"{}", mtime=0) + b"more", 400),
        (gzip.compress(b" " * (1 << 20) + b"{}", mtime=0), 413),
        (b"", 400),
    ],
)
def test_compressed_bodies_are_inflated_with_a_cap(engine: VersionEngine, body: bytes, status: int) -> None:
    [reply] = engine.run([Call(CallKind.INFER, "d", body, encoding=Encoding.GZIP)])

    assert (reply.status, reply.failure) == (status, Failure.CLIENT)


def test_a_bare_deflate_stream_is_understood(engine: VersionEngine) -> None:
    stream = zlib.compressobj(wbits=-15)
    body = stream.compress(json.dumps(_x()).encode()) + stream.flush()

    [reply] = engine.run([Call(CallKind.INFER, "d", body, encoding=Encoding.DEFLATE)])

    assert answer(reply)["outputs"][0]["data"] == EXPECTED


def test_inputs_that_differ_in_a_shared_dimension_are_refused_before_the_model_sees_them(tmp_path: Path) -> None:
    nodes = [helper.make_node("Add", ["a", "b"], ["y"])]
    shape = ["n", "length"]
    write_graph(
        tmp_path / "model.onnx",
        nodes,
        [("a", TensorProto.FLOAT, shape), ("b", TensorProto.FLOAT, shape)],
        [("y", TensorProto.FLOAT, shape)],
    )
    inputs = (spec("a", Datatype.FP32, (-1, -1)), spec("b", Datatype.FP32, (-1, -1)))
    engine = engine_of(tmp_path, Interface(inputs=inputs, outputs=(spec("y", Datatype.FP32, (-1, -1)),)))

    [rows, length, good] = engine.run(
        [
            infer({"inputs": [tensor([1.0] * 4, [2, 2], name="a"), tensor([1.0] * 2, [1, 2], name="b")]}),
            infer({"inputs": [tensor([1.0] * 4, [2, 2], name="a"), tensor([1.0] * 6, [2, 3], name="b")]}),
            infer({"inputs": [tensor([1.0] * 4, [2, 2], name="a"), tensor([1.0] * 4, [2, 2], name="b")]}),
        ]
    )

    assert (rows.status, length.status, good.status) == (400, 400, 200)
    assert "'a' dimension 0: 2, 'b' dimension 0: 1" in error(rows)
    assert "length" in error(length)


def test_a_missing_input_is_named(tmp_path: Path) -> None:
    nodes = [helper.make_node("Add", ["a", "b"], ["y"])]
    ports = [(name, TensorProto.FLOAT, ["n"]) for name in "ab"]
    write_graph(tmp_path / "model.onnx", nodes, ports, [("y", TensorProto.FLOAT, ["n"])])
    inputs = (spec("a", Datatype.FP32, (-1,)), spec("b", Datatype.FP32, (-1,)))
    engine = engine_of(tmp_path, Interface(inputs=inputs, outputs=(spec("y", Datatype.FP32, (-1,)),)))

    [v2, plain] = engine.run([infer({"inputs": [tensor([1.0], [1], name="a")]}), predict({"a": 1.0})])

    assert "input 'b' is missing" in error(v2)
    assert "input 'b' is missing" in error(plain)


def test_a_version_that_promises_plain_json_only_refuses_tensors(tmp_path: Path) -> None:
    # given
    identity_graph(tmp_path / "model.onnx", Datatype.FP32, ["n", 4])
    tensors = (spec("x", Datatype.FP32, (-1, 4)),), (spec("y", Datatype.FP32, (-1, 4)),)
    engine = engine_of(tmp_path, Interface(inputs=tensors[0], outputs=tensors[1], wires=(Wire.JSON,)))

    # when
    refused, answered = engine.run([infer({"inputs": [tensor(ROW, [1, 4])]}), predict({"x": ROW})])

    # then
    assert refused.status == 501
    assert "send plain JSON" in error(refused)
    assert answer(answered) == {"y": ROW}
