"""What a version says of its own answers, when it is asked."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from onnx import TensorProto, helper

from registry_client.manifest import Datatype, Interface, Labels
from serving.dataplane.engine import VersionEngine
from serving.dataplane.sorting import RUN
from serving.ports import Primary, Reply, Said, Sorting
from tests.unit.dataplane.bundles import Port, answer, engine_of, identity_engine, infer, linear_engine, predict, spec, tensor, write_graph

NAMES = ("cat", "dog", "eel")
NAMED = Labels(names=NAMES)


def asked(engine: VersionEngine, *documents: Any, sorting: Sorting = Sorting.LABEL) -> list[Reply]:
    return list(engine.run([replace(predict(document), sorting=sorting) for document in documents]))


def said(engine: VersionEngine, document: Any, sorting: Sorting = Sorting.LABEL) -> Said:
    (reply,) = asked(engine, document, sorting=sorting)
    assert reply.status == 200, reply
    assert reply.said is not None
    return reply.said


def scores_engine(folder: Path, *, by_label: bool, labels: Labels | None = NAMED) -> VersionEngine:
    kind = TensorProto.FLOAT
    write_graph(folder / "model.onnx", [helper.make_node("Identity", ["x"], ["y"])], [("x", kind, ["n", 3])], [("y", kind, ["n", 3])])
    shape = (-1, 3)
    outputs = (spec("y", Datatype.FP32, shape, by_label=by_label),)
    return engine_of(folder, Interface(inputs=(spec("x", Datatype.FP32, shape),), outputs=outputs, labels=labels))


@pytest.fixture
def engine(tmp_path: Path) -> VersionEngine:
    return linear_engine(tmp_path)


def test_who_does_not_ask_is_told_nothing(engine: VersionEngine) -> None:
    (reply,) = engine.run([predict({"x": [1.0, 2.0, 3.0, 4.0]})])

    assert reply.said is None


def test_an_answer_is_the_same_whether_one_asks_or_not(engine: VersionEngine) -> None:
    call = predict({"x": [1.0, 2.0, 3.0, 4.0]})

    plain, spoken = engine.run([call, replace(call, sorting=Sorting.LABEL)])

    assert plain.body == spoken.body


@pytest.mark.parametrize("by_label", [True, False])
def test_scores_name_the_label_of_the_largest(tmp_path: Path, by_label: bool) -> None:  # noqa: FBT001 - pytest gives it so
    engine = scores_engine(tmp_path, by_label=by_label)

    assert said(engine, {"x": [0.1, 0.7, 0.2]}).label == "dog"


def test_without_labels_the_place_of_the_largest_names_the_class(tmp_path: Path) -> None:
    engine = scores_engine(tmp_path, by_label=False, labels=None)

    assert said(engine, {"x": [0.1, 0.2, 0.7]}).label == "2"


@pytest.mark.parametrize(("datatype", "value", "label"), [("BYTES", "cat", "cat"), ("INT64", 7, "7"), ("BOOL", True, "True")])
def test_what_is_no_float_is_the_label_itself(tmp_path: Path, datatype: str, value: Any, label: str) -> None:
    engine = identity_engine(tmp_path, Datatype(datatype), [-1])

    assert said(engine, {"x": value}).label == label


def test_a_lone_float_has_no_label(tmp_path: Path) -> None:
    assert said(identity_engine(tmp_path, Datatype.FP32, [-1, 1]), {"x": [0.5]}).label is None


@pytest.mark.parametrize(("shape", "value", "score"), [([-1], 0.25, 0.25), ([-1, 1], [0.25], 0.25), ([-1, 3], [0.25, 0.5, 0.1], 0.5)])
def test_the_score_is_the_first_float_or_the_largest_of_several(tmp_path: Path, shape: Sequence[int], value: Any, score: float) -> None:
    engine = identity_engine(tmp_path, Datatype.FP32, shape)

    assert said(engine, {"x": value}, Sorting.SCORE) == Said(None, score)


def test_of_several_rows_the_first_speaks(tmp_path: Path) -> None:
    engine = scores_engine(tmp_path, by_label=True)

    assert said(engine, {"instances": [{"x": [0.0, 0.0, 1.0]}, {"x": [1.0, 0.0, 0.0]}]}).label == "eel"


def test_calls_that_run_together_each_say_their_own(tmp_path: Path) -> None:
    engine = scores_engine(tmp_path, by_label=True)

    replies = asked(engine, {"x": [1.0, 0.0, 0.0]}, {"x": [0.0, 0.0, 1.0]}, {"x": [0.0, 1.0, 0.0]})

    assert [reply.said.label for reply in replies if reply.said] == ["cat", "eel", "dog"]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_is_odd_and_scores_nothing(tmp_path: Path, value: float) -> None:
    engine = identity_engine(tmp_path, Datatype.FP32, [-1, 2])
    body = np.array([[1.0, value]], np.float32).tobytes()

    (reply,) = engine.run([replace(infer({"inputs": [_binary(8)]}, body), sorting=Sorting.SCORE)])

    assert reply.said == Said(None, None, is_odd=True)


def _binary(size: int) -> dict[str, Any]:
    return {"name": "x", "shape": [1, 2], "datatype": "FP32", "parameters": {"binary_data_size": size}}


def test_a_text_that_is_none_of_the_closed_labels_is_odd(tmp_path: Path) -> None:
    kind = TensorProto.STRING
    write_graph(tmp_path / "model.onnx", [helper.make_node("Identity", ["x"], ["y"])], [("x", kind, ["n"])], [("y", kind, ["n"])])
    interface = Interface(inputs=(spec("x", Datatype.BYTES, (-1,)),), outputs=(spec("y", Datatype.BYTES, (-1,)),), labels=NAMED)
    engine = engine_of(tmp_path, interface)

    assert not said(engine, {"x": "cat"}).is_odd
    assert said(engine, {"x": "horse"}).is_odd


def constant_engine(folder: Path) -> VersionEngine:
    """`y = 0 * x + 1`: the same whatever is asked."""
    kind = TensorProto.FLOAT
    nodes = [helper.make_node("Mul", ["x", "zero"], ["z"]), helper.make_node("Add", ["z", "one"], ["y"])]
    constants = {"zero": np.zeros(1, np.float32), "one": np.ones(1, np.float32)}
    write_graph(folder / "model.onnx", nodes, [("x", kind, ["n", 1])], [("y", kind, ["n", 1])], constants)
    shape = (-1, 1)
    return engine_of(folder, Interface(inputs=(spec("x", Datatype.FP32, shape),), outputs=(spec("y", Datatype.FP32, shape),)))


def test_the_same_answer_to_many_different_requests_is_odd(tmp_path: Path) -> None:
    engine = constant_engine(tmp_path)

    odd = [said(engine, {"x": [float(number)]}).is_odd for number in range(RUN + 3)]

    assert odd == [False] * (RUN - 1) + [True] * 4


def test_the_same_answer_to_the_same_request_is_not_odd(tmp_path: Path) -> None:
    engine = constant_engine(tmp_path)

    assert not any(said(engine, {"x": [1.0]}).is_odd for _ in range(2 * RUN))


def test_one_other_answer_ends_the_row(tmp_path: Path) -> None:
    engine = identity_engine(tmp_path, Datatype.FP32, [-1, 1])

    # The first row speaks; the second one makes the requests different.
    odd = [said(engine, {"instances": [{"x": [float(number == RUN - 1)]}, {"x": [float(number)]}]}).is_odd for number in range(2 * RUN - 1)]

    assert not any(odd)


def test_whole_numbers_are_never_the_same_whatever_is_asked_since_two_classes_often_are(tmp_path: Path) -> None:
    engine = identity_engine(tmp_path, Datatype.INT64, [-1])

    assert not any(said(engine, {"instances": [{"x": 1}, {"x": number}]}).is_odd for number in range(2 * RUN))


def test_an_answer_without_the_output_that_speaks_says_nothing(tmp_path: Path) -> None:
    kind = TensorProto.FLOAT
    nodes = [helper.make_node("Identity", ["x"], ["y"]), helper.make_node("ArgMax", ["x"], ["label"], axis=1, keepdims=0)]
    ports: list[Port] = [("y", kind, ["n", 3]), ("label", TensorProto.INT64, ["n"])]
    write_graph(tmp_path / "model.onnx", nodes, [("x", kind, ["n", 3])], ports)
    outputs = (spec("y", Datatype.FP32, (-1, 3)), spec("label", Datatype.INT64, (-1,)))
    engine = engine_of(tmp_path, Interface(inputs=(spec("x", Datatype.FP32, (-1, 3)),), outputs=outputs))
    asks = {"inputs": [tensor([1, 2, 3], [1, 3])], "outputs": [{"name": "y"}]}

    part, whole = engine.run([replace(infer(one), sorting=Sorting.LABEL) for one in (asks, {"inputs": [tensor([1, 2, 3], [1, 3])]})])

    assert answer(part)["outputs"][0]["name"] == "y"
    assert (part.said, whole.said) == (Said(None), Said("2"))


def test_a_refusal_and_a_failure_say_nothing(engine: VersionEngine) -> None:
    (reply,) = asked(engine, {"z": 1})

    assert (reply.status, reply.said) == (400, None)


def test_a_shadow_says_what_its_own_answer_comes_to_beside_the_comparison(tmp_path: Path) -> None:
    engine = scores_engine(tmp_path, by_label=True)
    call = replace(predict({"x": [0.1, 0.7, 0.2]}, mirror=Primary(b'{"y":{"cat":0.1,"dog":0.7,"eel":0.2}}')), sorting=Sorting.LABEL)

    (reply,) = engine.run([call])

    assert reply == Reply(200, b"agree", said=Said("dog"))
