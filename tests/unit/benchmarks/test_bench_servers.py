import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import yaml

from benchmarks import tiny
from benchmarks.peers.handwritten import BadRequest, TinyModel
from benchmarks.processes import field_kib, parent_in
from benchmarks.servers import is_right


@pytest.fixture
def handwritten(tmp_path: Path) -> TinyModel:
    return TinyModel(tiny.write_model(tmp_path, tiny.FIRST))


def test_the_two_versions_answer_differently_and_always_the_same() -> None:
    first, again, second = (tiny.answer_of(tiny.model_bytes(version), [tiny.EXAMPLE]) for version in (tiny.FIRST, tiny.FIRST, tiny.SECOND))

    assert first == again
    assert not np.allclose(first, second)


def test_the_models_batch_is_free() -> None:
    session = onnxruntime.InferenceSession(tiny.model_bytes(tiny.FIRST), providers=["CPUExecutionProvider"])

    assert session.get_inputs()[0].shape == ["batch", 4]
    assert session.get_outputs()[0].shape == ["batch", 3]


def test_a_bundles_golden_examples_are_what_its_model_says(tmp_path: Path) -> None:
    bundle = tiny.write_bundle(tmp_path, tiny.SECOND)

    description = yaml.safe_load((bundle / "model.yaml").read_text())
    lines = [json.loads(line) for line in (bundle / description["golden"]).read_text().splitlines()]
    answers = tiny.answer_of((bundle / description["model"]).read_bytes(), [line["request"]["x"] for line in lines])
    assert description["version"] == tiny.SECOND
    assert [line["response"]["y"] for line in lines] == answers


def test_the_handwritten_server_answers_the_benchmarks_request_rightly(handwritten: TinyModel) -> None:
    (expected,) = tiny.answer_of(tiny.model_bytes(tiny.FIRST), [tiny.EXAMPLE])

    assert is_right(handwritten.infer(tiny.REQUEST), expected)


@pytest.mark.parametrize(
    "change",
    [{"name": "z"}, {"datatype": "INT64"}, {"shape": [4]}, {"shape": [2, 4]}, {"shape": [1, 3]}, {"data": "text"}, {"data": []}],
)
def test_the_handwritten_server_checks_its_requests(handwritten: TinyModel, change: dict[str, object]) -> None:
    tensor = {"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [0.1, 0.2, 0.3, 0.4], **change}

    with pytest.raises(BadRequest):
        handwritten.infer(json.dumps({"inputs": [tensor]}).encode())


def v2(data: list[float], shape: list[int], name: str = "y", model: str = "tiny") -> bytes:
    return json.dumps({"model_name": model, "outputs": [{"name": name, "shape": shape, "datatype": "FP32", "data": data}]}).encode()


def test_an_answer_is_right_only_with_the_right_values_shape_and_names() -> None:
    expected = [1.0, 2.0, 3.0]

    assert is_right(v2([1.0, 2.0, 3.00001], [1, 3]), expected)
    assert not is_right(v2([1.0, 2.0, 3.1], [1, 3]), expected)
    assert not is_right(v2([1.0, 2.0], [1, 3]), expected)
    assert not is_right(v2([1.0, 2.0, 3.0], [3]), expected)
    assert not is_right(v2([1.0, 2.0, 3.0], [1, 3], name="z"), expected)
    assert not is_right(v2([1.0, 2.0, 3.0], [1, 3], model="other"), expected)
    assert not is_right(b'{"error":"no"}', expected)


def test_the_parent_is_found_behind_a_name_with_spaces_and_parentheses() -> None:
    assert parent_in("4711 (ray::Serve (a) b) S 42 4711 4711 0 -1") == 42


def test_a_size_is_read_from_its_own_line() -> None:
    rollup = "Rss:   2000 kB\nPss:   1234 kB\nPss_Dirty:   1 kB\n"

    assert field_kib(rollup, "Pss") == 1234
    assert field_kib(rollup, "VmRSS") is None
