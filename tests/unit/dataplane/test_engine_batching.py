import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry_client.manifest import ComponentKind, Datatype, Pipeline, Serving
from serving.dataplane.engine import VersionEngine
from serving.ports import Call, CallKind, Encoding, Failure, Primary, Reply
from tests.unit.dataplane.bundles import (
    LINEAR,
    answer,
    binary,
    component,
    engine_of,
    error,
    identity_engine,
    infer,
    linear_engine,
    linear_graph,
    predict,
    tensor,
)

COUNTING = """
def build(config):
    def count(tensors):
        count.runs.append(len(tensors["x"]))
        if (tensors["x"] == 13).any():
            raise RuntimeError("thirteen, at /secret/path")
        if (tensors["x"] == 14).any():
            tensors["x"] = tensors["x"][:-1]
        return tensors

    count.runs = []
    return count
"""


class Counted:
    """A version whose Python component notes the rows of each run, fails on a 13 and loses a row on a 14."""

    def __init__(self, folder: Path, *, max_batch: int = 64) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "pre.py").write_text(COUNTING)
        linear_graph(folder / "model.onnx")
        pre = component(ComponentKind.PYTHON, entry="pre:build", files=["pre.py"])
        self.engine: VersionEngine = engine_of(folder, LINEAR, pipeline=Pipeline(pre=pre), serving=Serving(max_batch=max_batch))
        self.runs: list[int] = self.engine._pipeline._pre.transform._function.runs  # type: ignore[union-attr]  # the component's own note


def _rows(*firsts: float, **parts: Any) -> Call:
    data = [value for first in firsts for value in (first, 0, 0, 0)]
    return infer({"inputs": [tensor(data, [len(firsts), 4])], **parts})


def _first_column(reply: Reply) -> list[float]:
    return [value / 1 for value in answer(reply)["outputs"][0]["data"][1::3]]


def test_calls_that_arrive_together_run_together_and_get_their_own_rows(tmp_path: Path) -> None:
    counted = Counted(tmp_path)

    replies = counted.engine.run([_rows(1), _rows(2, 3, id="b"), predict({"x": [4, 0, 0, 0]})])

    assert counted.runs == [4]
    assert [_first_column(reply) for reply in replies[:2]] == [[1.0], [2.0, 3.0]]
    assert answer(replies[1])["id"] == "b"
    assert answer(replies[2]) == {"y": [0.0, 4.0, 8.0]}


def test_how_an_answer_is_written_does_not_part_calls(tmp_path: Path) -> None:
    counted = Counted(tmp_path)
    raw = np.array([[5, 0, 0, 0]], "<f4").tobytes()

    [as_json, as_binary] = counted.engine.run(
        [_rows(1), infer({"inputs": [binary(16, [1, 4])], "parameters": {"binary_data_output": True}}, raw)]
    )

    assert counted.runs == [2]
    assert _first_column(as_json) == [1.0]
    assert np.frombuffer(as_binary.body[as_binary.json_length :], "<f4").tolist() == [0.0, 5.0, 10.0]


def test_other_parameters_never_mix(tmp_path: Path) -> None:
    counted = Counted(tmp_path)

    counted.engine.run([_rows(1), _rows(2, parameters={"a": 1}), _rows(3, parameters={"a": True}), _rows(4, parameters={"a": 1})])

    assert sorted(counted.runs) == [1, 1, 2]


def test_a_run_never_has_more_rows_than_the_manifest_allows(tmp_path: Path) -> None:
    counted = Counted(tmp_path, max_batch=4)

    replies = counted.engine.run([_rows(1, 2, 3), _rows(4, 5), _rows(*range(20, 30)), _rows(6)])

    assert max(counted.runs) == 4
    assert sum(counted.runs) == 16
    assert [_first_column(reply) for reply in replies] == [[1, 2, 3], [4, 5], list(range(20, 30)), [6]]


def test_only_the_culprit_of_a_failed_run_gets_the_error(tmp_path: Path) -> None:
    counted = Counted(tmp_path)

    with structlog.testing.capture_logs() as logs:
        [before, culprit, after] = counted.engine.run([_rows(1), _rows(13), _rows(2)])

    assert (culprit.status, culprit.failure) == (500, Failure.MODEL)
    assert error(culprit) == "iris@1.2.3 failed on this request in the preprocessing component step 1.0.0"
    assert [_first_column(before), _first_column(after)] == [[1.0], [2.0]]
    assert [entry["event"] for entry in logs] == ["model_fault"]
    assert "thirteen" in logs[0]["detail"]


def test_a_component_that_changes_the_number_of_rows_is_at_fault(tmp_path: Path) -> None:
    counted = Counted(tmp_path)

    with structlog.testing.capture_logs() as logs:
        [culprit, other] = counted.engine.run([_rows(14, 1), _rows(2)])

    assert (culprit.status, culprit.failure) == (500, Failure.MODEL)
    assert _first_column(other) == [2.0]
    assert "1 rows of 'x' out of 2" in logs[0]["detail"]


def test_a_request_without_rows_blames_nobody(tmp_path: Path) -> None:
    (tmp_path / "pre.py").write_text("def build(config):\n    return lambda tensors: {'x': tensors['x'] + tensors['x'].max()}\n")
    linear_graph(tmp_path / "model.onnx")
    engine = engine_of(tmp_path, LINEAR, pipeline=Pipeline(pre=component(ComponentKind.PYTHON, entry="pre:build", files=["pre.py"])))

    [reply] = engine.run([infer({"inputs": [tensor([], [0, 4])]})])

    assert (reply.status, reply.failure) == (400, Failure.CLIENT)
    assert "empty" in error(reply)


def test_a_version_with_a_fixed_batch_takes_one_call_at_a_time(tmp_path: Path) -> None:
    engine = identity_engine(tmp_path, Datatype.FP32, (2, 2))

    replies = engine.run([infer({"inputs": [tensor([n, n, n, n], [2, 2])]}) for n in (1.0, 2.0)] + [predict({"x": [1, 2]})])

    assert [answer(reply)["outputs"][0]["data"] for reply in replies[:2]] == [[1.0] * 4, [2.0] * 4]
    assert (replies[2].status, replies[2].failure) == (400, Failure.CLIENT)


BODIES: Sequence[Call] = [
    _rows(1),
    _rows(2, 3),
    _rows(4, id="x"),
    _rows(5, parameters={"p": 1}),
    _rows(6, outputs=[{"name": "y", "parameters": {"binary_data": True}}]),
    _rows(13),
    _rows(14, 1),
    predict({"x": [0.1, 0.2, 0.3, 0.4]}),
    predict({"instances": [{"x": [7, 0, 0, 0]}] * 3}),
    predict({"x": [1e39, 0, 0, 0]}),
    infer({"inputs": [tensor([], [0, 4])]}),
    infer({"inputs": [tensor([1.0], [1, 1])]}),
    infer(b"{"),
    Call(CallKind.METADATA, "d", b""),
    predict({"x": [1, 2, 3, 4]}, mirror=Primary(json.dumps({"y": [60.0, 70.0, 80.0]}).encode())),
]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> VersionEngine:
    return Counted(tmp_path_factory.mktemp("mixed"), max_batch=5).engine


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=st.lists(st.sampled_from(BODIES), max_size=12))
def test_any_mix_is_answered_as_if_each_call_were_alone(mixed: VersionEngine, calls: list[Call]) -> None:
    with structlog.testing.capture_logs():
        together = mixed.run(calls)
        alone = [mixed.run([call])[0] for call in calls]

    assert together == alone


def _packed(rows: int) -> Call:
    document = json.dumps({"inputs": [tensor([0] * rows * 4, [rows, 4])]}, separators=(",", ":")).encode()
    return infer(gzip.compress(document), encoding=Encoding.GZIP)


def test_a_run_takes_no_more_compressed_calls_than_one_body_may_inflate_to(tmp_path: Path) -> None:
    engine = linear_engine(tmp_path, inflate_cap=100_000)
    calls = [_packed(8_000) for _ in range(5)]  # 64 kB each, once inflated
    assert sum(len(call.body) for call in calls) < 2_000

    first = engine.run(calls)
    rest = engine.run(calls[len(first) :])

    assert [len(first), len(rest)] == [2, 2]
    assert all(answer(reply)["outputs"][0]["shape"] == [8_000, 3] for reply in (*first, *rest))


def test_a_body_that_inflates_beyond_the_cap_ends_the_run_as_well(tmp_path: Path) -> None:
    engine = linear_engine(tmp_path, inflate_cap=10_000)

    replies = engine.run([_packed(8_000), _packed(1)])

    assert [reply.status for reply in replies] == [413]


def test_small_compressed_calls_run_together(tmp_path: Path) -> None:
    engine = linear_engine(tmp_path)

    assert [reply.status for reply in engine.run([_packed(1)] * 64)] == [200] * 64
