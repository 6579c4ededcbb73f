import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from registry_client.graphs import GraphFacts, NotAGraph, inspect_graph, read_graph
from registry_client.wire_format import NotProtobuf, fields
from tests.unit.registry_client.sketches import Linear

BASE = Linear()


def facts(content: bytes) -> GraphFacts:
    return inspect_graph(memoryview(content))


def edited(change: str) -> bytes:
    """The model of `BASE` with one thing changed, by the ONNX library."""
    model = onnx.load_from_string(BASE.graph())
    node = model.graph.node[0]
    match change:
        case "operator":
            node.op_type = "Gemm"
        case "weight":
            model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.zeros((4, 3), np.float32), "w"))
        case "attribute":
            node.attribute.append(helper.make_attribute("transA", 1))
        case "opset":
            model.opset_import[0].version = 18
        case "input":
            model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 5
        case "wiring":
            node.input[0] = "b"
        case "order":
            model.graph.node.extend([model.graph.node.pop(), model.graph.node.pop()])
        case _:
            raise LookupError(change)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("change", ["operator", "weight", "attribute", "opset", "input", "wiring", "order"])
def test_whatever_computes_is_part_of_the_behaviour(change: str) -> None:
    assert facts(edited(change)).behaviour != facts(BASE.graph()).behaviour


def test_words_producer_metadata_and_names_are_no_behaviour() -> None:
    described = BASE.but(words="exported by somebody else").graph()

    assert described != BASE.graph()
    assert facts(described).behaviour == facts(BASE.graph()).behaviour


def test_a_loop_inside_a_graph_is_looked_into() -> None:
    # given
    weights = numpy_helper.from_array(np.ones((2, 2), np.float16), "w")
    branch = helper.make_graph([helper.make_node("Gelu", ["x"], ["y"], domain="com.example")], "branch", [], [], [weights])
    node = helper.make_node("If", ["flag"], ["y"], then_branch=branch, else_branch=branch)
    model = helper.make_model(helper.make_graph([node], "g", [], []), opset_imports=[helper.make_opsetid("", 17)])

    # when
    found = facts(model.SerializeToString())

    # then
    assert found.operators == {"If", "com.example:Gelu"}
    assert found.domains == {"", "com.example"}
    assert found.precision == 16


@pytest.mark.parametrize(
    ("sketch", "bits", "operators"),
    [(BASE, 32, set()), (BASE.but(nodes="half"), 16, {"Cast"}), (BASE.but(nodes="quantised"), 8, {"DequantizeLinear"})],
    ids=["float", "half", "quantised"],
)
def test_precision_is_that_of_the_narrowest_weights(sketch: Linear, bits: int, operators: set[str]) -> None:
    found = facts(sketch.graph())

    assert found.precision == bits
    assert found.operators == {"MatMul", "Add", *operators}


def test_small_constants_say_nothing_of_precision() -> None:
    axes = numpy_helper.from_array(np.array([1, 2], np.int8), "axes")
    model = helper.make_model(helper.make_graph([helper.make_node("Identity", ["axes"], ["y"])], "g", [], [], [axes]))

    assert facts(model.SerializeToString()).precision == 0


def test_a_graph_that_is_nested_too_deeply_is_refused() -> None:
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [], [])
    for _ in range(25):
        graph = helper.make_graph(
            [helper.make_node("If", ["flag"], ["y"], then_branch=graph, else_branch=helper.make_graph([], "e", [], []))], "g", [], []
        )
    model = helper.make_model(graph)

    with pytest.raises(NotAGraph, match="nested deeper"):
        facts(model.SerializeToString())


@pytest.mark.parametrize("content", [b"no graph at all", b"\x08", b"\x3a\xff\x01", b"\x0b", b"\x00\x01", b"\x08" + b"\xff" * 11])
def test_what_is_no_graph_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)

    with pytest.raises(NotAGraph):
        read_graph(path)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").touch()

    with pytest.raises(NotAGraph, match="empty"):
        read_graph(tmp_path / "model.onnx")


@given(content=st.binary(max_size=200))
def test_any_bytes_are_a_graph_or_refused(content: bytes) -> None:
    try:
        found = facts(content)
    except NotAGraph:
        return

    assert len(bytes.fromhex(found.behaviour)) == hashlib.sha256().digest_size


@given(at=st.integers(0, len(BASE.graph()) - 1), byte=st.integers(0, 255))
def test_a_changed_byte_of_the_weights_is_another_behaviour(at: int, byte: int) -> None:
    """Anywhere else too, unless it is in words; weights are the greatest part."""
    original = BASE.graph()
    start = original.index(numpy_helper.from_array(BASE.weights, "w").raw_data)
    place = start + at % BASE.weights.nbytes
    mutated = original[:place] + bytes([byte]) + original[place + 1 :]

    assert (facts(mutated).behaviour == facts(original).behaviour) is (mutated == original)


def test_the_fields_of_a_message_are_what_the_library_wrote() -> None:
    tensor = TensorProto(dims=[300, 2], data_type=1, name="w", raw_data=b"\x00\x01")

    found = [(each.number, bytes(each.content)) for each in fields(memoryview(tensor.SerializeToString()))]

    assert found == [(1, b"\xac\x02"), (1, b"\x02"), (2, b"\x01"), (8, b"w"), (9, b"\x00\x01")]


def test_a_field_that_ends_behind_the_message_is_no_protobuf() -> None:
    with pytest.raises(NotProtobuf):
        list(fields(memoryview(b"\x0a\x05abc")))
