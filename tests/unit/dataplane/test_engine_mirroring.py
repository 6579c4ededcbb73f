import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from registry_client.golden import GoldenExample
from registry_client.manifest import Datatype, Interface
from serving.dataplane.comparison import Outcome, average_overlap, compare
from serving.dataplane.engine import VersionEngine
from serving.dataplane.golden_run import run_golden
from serving.ports import CallKind, Leeway, Primary, Reply
from tests.unit.dataplane.bundles import answer, engine_of, infer, linear_engine, predict, spec, tensor, write_graph

ROW = [1.0, 2.0, 3.0, 4.0]
EXPECTED = [60.0, 70.0, 80.0]


@pytest.fixture
def engine(tmp_path: Path) -> VersionEngine:
    return linear_engine(tmp_path)


def _primary(document: Any) -> Primary:
    return Primary(json.dumps(document).encode())


def _v2(*outputs: dict[str, Any]) -> Primary:
    return _primary({"model_name": "iris", "model_version": "0.9.0", "id": "other", "outputs": list(outputs)})


@pytest.mark.parametrize(
    ("primary", "outcome"),
    [
        ({"y": EXPECTED}, b"agree"),
        ({"y": [60.01, 70.0, 80.0]}, b"agree"),
        ({"y": [61.0, 70.0, 80.0]}, b"number"),
        ({"y": [None, 70.0, 80.0]}, b"number"),
        ({"y": [60.0, 70.0]}, b"shape"),
        ({"z": EXPECTED}, b"shape"),
        ({"y": "a"}, b"shape"),
        ([], b"shape"),
    ],
)
def test_a_mirrored_call_is_answered_with_the_outcome_of_the_comparison(engine: VersionEngine, primary: Any, outcome: bytes) -> None:
    [mirrored, ordinary] = engine.run([predict({"x": ROW}, mirror=_primary(primary)), predict({"x": ROW})])

    assert mirrored == Reply(200, outcome)
    assert answer(ordinary) == {"y": EXPECTED}


def test_an_error_of_the_shadow_is_an_outcome_too(engine: VersionEngine) -> None:
    assert engine.run([predict({"z": 1}, mirror=_primary({"y": EXPECTED}))]) == [Reply(200, b"error")]


def test_binary_answers_are_compared_with_binary_answers(engine: VersionEngine) -> None:
    document = {"inputs": [tensor(ROW, [1, 4])], "parameters": {"binary_data_output": True}}
    [first] = engine.run([infer(document)])

    [mirrored] = engine.run([infer(document, mirror=Primary(first.body, first.json_length))])

    assert mirrored == Reply(200, b"agree")


V2 = [
    ([tensor(EXPECTED, [1, 3], name="y")], Outcome.AGREE),
    ([tensor([61.0, 70.0, 80.0], [1, 3], name="y")], Outcome.NUMBER),
    ([tensor([None, 70.0, 80.0], [1, 3], name="y")], Outcome.NUMBER),
    ([tensor(EXPECTED, [3, 1], name="y")], Outcome.SHAPE),
    ([tensor(EXPECTED, [1, 3], "FP64", name="y")], Outcome.SHAPE),
    ([tensor(EXPECTED, [1, 3], name="z")], Outcome.SHAPE),
    ([tensor(EXPECTED, [1, 3], name="y"), tensor([1], [1], "INT8", name="z")], Outcome.SHAPE),
    ([tensor(EXPECTED, [2, 3], name="y")], Outcome.SHAPE),
]


@pytest.mark.parametrize(("outputs", "outcome"), V2)
def test_v2_answers_are_compared_tensor_by_tensor(outputs: list[dict[str, Any]], outcome: Outcome) -> None:
    own = Reply(200, _v2(tensor(EXPECTED, [1, 3], name="y")).body)

    assert compare(CallKind.INFER, _v2(*outputs), own) is outcome


@pytest.mark.parametrize(("datatype", "one", "other"), [("INT64", [1], [2]), ("BOOL", [True], [False]), ("BYTES", ["a"], ["b"])])
def test_a_label_is_what_has_no_tolerance(datatype: str, one: list[Any], other: list[Any]) -> None:
    left, right = (_v2(tensor(data, [1], datatype), tensor([0.5], [1], name="s")) for data in (one, other))
    worse = _v2(tensor(other, [1], datatype), tensor([0.9], [1], name="s"))

    assert compare(CallKind.INFER, left, left) is Outcome.AGREE
    assert compare(CallKind.INFER, left, right) is Outcome.LABEL
    assert compare(CallKind.INFER, left, worse) is Outcome.LABEL
    assert compare(CallKind.PREDICT, _primary({"a": one}), _primary({"a": other})) is Outcome.LABEL


@pytest.mark.parametrize(
    "garbage", [b"", b"{", b"[]", b'{"outputs": [{}]}', b'{"outputs": [{"name": "y", "shape": [1], "datatype": "FP32", "data": ["a"]}]}']
)
def test_a_primary_answer_that_cannot_be_read_differs_in_shape(garbage: bytes) -> None:
    assert compare(CallKind.INFER, Primary(garbage), _v2(tensor([1.0], [1]))) is Outcome.SHAPE


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(-1e6, 1e6) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(one=JSON, other=JSON)
def test_comparing_is_fair_to_both_and_never_fails(one: Any, other: Any) -> None:
    there, back = _primary(one), _primary(other)

    assert compare(CallKind.PREDICT, there, there) is Outcome.AGREE
    assert (compare(CallKind.PREDICT, there, back) is Outcome.SHAPE) == (compare(CallKind.PREDICT, back, there) is Outcome.SHAPE)
    assert compare(CallKind.INFER, there, back) is Outcome.SHAPE or isinstance(one, dict)


# --- golden examples ------------------------------------------------------------------------------------------------


def _example(response: Any, request: Any = None) -> GoldenExample:
    return GoldenExample("first", request or {"x": ROW}, response, 1e-4, 1e-3)


def test_golden_examples_that_come_out_as_expected_leave_nothing_to_say(engine: VersionEngine) -> None:
    assert run_golden(engine, [_example({"y": EXPECTED}), _example({"predictions": [{"y": EXPECTED}]}, {"instances": [{"x": ROW}]})]) == []


def test_a_golden_example_that_differs_is_told_by_name(engine: VersionEngine) -> None:
    [difference, refused] = run_golden(engine, [_example({"y": [61.0, 70.0, 80.0]}), _example({}, {"x": 1})])

    assert difference == "golden example 'first': $.y[0]: expected 61.0, got 60.0"
    assert refused.startswith("golden example 'first' was answered with 400: the body does not fit the interface")


def test_an_error_of_the_model_fails_its_golden_example(tmp_path: Path) -> None:
    nodes = [helper.make_node("Gather", ["table", "x"], ["y"])]
    weights = np.arange(3, dtype=np.float32)
    write_graph(tmp_path / "model.onnx", nodes, [("x", TensorProto.INT64, ["n"])], [("y", TensorProto.FLOAT, ["n"])], {"table": weights})
    engine = engine_of(tmp_path, Interface(inputs=(spec("x", Datatype.INT64, (-1,)),), outputs=(spec("y", Datatype.FP32, (-1,)),)))

    with structlog.testing.capture_logs():
        failures = run_golden(engine, [_example({"y": 2.0}, {"x": 2}), _example({"y": 2.0}, {"x": 7})])

    assert failures == ["golden example 'first' was answered with 500: iris@1.2.3 failed on this request in the model"]


# --- what a guard lets pass ---


def within(document: Any, **leeway: Any) -> Primary:
    return Primary(json.dumps(document).encode(), leeway=Leeway(**leeway))


def test_how_far_numbers_may_lie_apart_is_the_guards_to_say() -> None:
    own = _primary({"y": 10.4})

    assert compare(CallKind.PREDICT, within({"y": 10.0}, atol=0.5, rtol=0.0), own) is Outcome.AGREE
    assert compare(CallKind.PREDICT, within({"y": 10.0}, atol=0.3, rtol=0.0), own) is Outcome.NUMBER
    v2 = Primary(_v2(tensor([10.0], [1], name="y")).body, leeway=Leeway(atol=0.5, rtol=0.0))
    assert compare(CallKind.INFER, v2, _v2(tensor([10.4], [1], name="y"))) is Outcome.AGREE


def test_labels_that_are_not_compared_may_differ_and_shapes_may_not() -> None:
    primary = within({"label": "cat", "score": 0.9}, is_label_exact=False)

    assert compare(CallKind.PREDICT, primary, _primary({"label": "dog", "score": 0.9})) is Outcome.AGREE
    assert compare(CallKind.PREDICT, primary, _primary({"label": "dog", "score": 0.1})) is Outcome.NUMBER
    assert compare(CallKind.PREDICT, primary, _primary({"label": "dog"})) is Outcome.SHAPE


@pytest.mark.parametrize(
    ("own", "rank", "outcome"),
    [
        (["a", "b", "c", "d"], 1.0, Outcome.AGREE),
        (["a", "b", "d", "c"], 1.0, Outcome.RANK),
        (["a", "b", "d", "c"], 0.9, Outcome.AGREE),
        (["b", "a", "c", "d"], 0.9, Outcome.RANK),
        (["a", "b", "c", "x"], 0.9, Outcome.AGREE),
        (["w", "x", "y", "z"], 0.1, Outcome.RANK),
        (["a", "a", "b", "c"], 0.1, Outcome.LABEL),
        (["a", "b", "c"], 0.1, Outcome.SHAPE),
    ],
)
def test_a_list_of_labels_agrees_as_far_as_its_order_does(own: list[str], rank: float, outcome: Outcome) -> None:
    expected = ["a", "b", "c", "d"]
    v2 = [_v2(tensor(labels, [1, len(labels)], "BYTES")) for labels in (expected, own)]

    assert compare(CallKind.PREDICT, within({"top": expected}, rank=rank), _primary({"top": own})) is outcome
    assert compare(CallKind.INFER, Primary(v2[0].body, leeway=Leeway(rank=rank)), v2[1]) is outcome


def test_labels_of_several_rows_are_no_list() -> None:
    primary, own = (_v2(tensor(labels, [2], "BYTES")) for labels in (["a", "b"], ["b", "a"]))

    assert compare(CallKind.INFER, primary, own) is Outcome.LABEL


@given(st.permutations(range(6)), st.permutations(range(6)))
def test_the_overlap_of_two_orders_is_a_share_the_same_both_ways_and_whole_only_for_one_order(one: list[int], other: list[int]) -> None:
    overlap = average_overlap(one, other)

    assert 0 < overlap <= 1
    assert overlap == average_overlap(other, one)
    assert (overlap == 1) == (one == other)


def test_what_stands_first_weighs_most() -> None:
    assert average_overlap([1, 2, 3, 4], [2, 1, 3, 4]) < average_overlap([1, 2, 3, 4], [1, 2, 4, 3])
    assert average_overlap([1, 2], [3, 4]) == 0


def test_a_shadow_shows_its_answer_where_it_disagrees_and_is_asked_to(engine: VersionEngine) -> None:
    bodies = [json.dumps({"y": value}).encode() for value in (EXPECTED, [0.0, 0.0, 0.0])]

    replies = engine.run([predict({"x": ROW}, mirror=Primary(body, is_shown=True)) for body in (*bodies, b"[]")])
    (refused,) = engine.run([predict({"z": 1}, mirror=Primary(bodies[0], is_shown=True))])

    assert [reply.body.partition(b"\n")[0] for reply in replies] == [b"agree", b"number", b"shape"]
    assert replies[0].body == b"agree"
    assert json.loads(replies[1].body.partition(b"\n")[2]) == {"y": EXPECTED}
    assert refused.body.startswith(b'error\n{"error"')
