import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog
from onnx import TensorProto, helper

from registry_client.manifest import ComponentKind, Datatype, Interface, Pipeline
from serving.dataplane.components.declarative import load_declarative
from serving.dataplane.components.python_module import load_python
from serving.dataplane.datatypes import Tensor
from serving.dataplane.faults import LoadFailed
from serving.ports import Failure
from tests.unit.dataplane.bundles import (
    LINEAR,
    answer,
    binary,
    component,
    declarative,
    engine_of,
    error,
    files_in,
    identity_graph,
    infer,
    linear_graph,
    predict,
    spec,
    write_graph,
)


def _text(*values: Any) -> Tensor:
    return np.array(values, object)


FLOATS = np.array([[1.0, 2.0], [3.0, 5.0]], np.float32)
STEPS: dict[str, tuple[dict[str, Any], Tensor, dict[str, Any], str]] = {
    "scale": ({"multiply": 2, "add": 1}, FLOATS, {"t": [[3, 5], [7, 11]]}, "float32"),
    "scale by column": ({"op": "scale", "multiply": [1, 10]}, FLOATS, {"t": [[1, 20], [3, 50]]}, "float32"),
    "standardize": ({"mean": [1, 2], "std": [2, 3]}, FLOATS, {"t": [[0, 0], [1, 1]]}, "float32"),
    "clip": ({"min": 2, "max": 3}, FLOATS, {"t": [[2, 2], [3, 3]]}, "float32"),
    "clip on one side": ({"op": "clip", "max": 3}, FLOATS, {"t": [[1, 2], [3, 3]]}, "float32"),
    "cast": ({"to": "INT64"}, FLOATS, {"t": [[1, 2], [3, 5]]}, "int64"),
    "cast to text": ({"op": "cast", "to": "BYTES"}, np.array([1, 2]), {"t": ["1", "2"]}, "object"),
    "cast from text": ({"op": "cast", "to": "FP32"}, _text("1.5", "2"), {"t": [1.5, 2]}, "float32"),
    "rename": ({"to": "u"}, FLOATS, {"u": FLOATS.tolist()}, "float32"),
    "copy": ({"to": "u"}, FLOATS, {"t": FLOATS.tolist(), "u": FLOATS.tolist()}, "float32"),
    "drop": ({}, FLOATS, {}, ""),
    "reshape": ({"shape": [-1, 2, 1]}, FLOATS, {"t": [[[1], [2]], [[3], [5]]]}, "float32"),
    "lowercase": ({}, _text("Ab", "C"), {"t": ["ab", "c"]}, "object"),
    "strip": ({}, _text(" a ", "b\n"), {"t": ["a", "b"]}, "object"),
    "one_hot": ({"categories": ["a", "b"]}, _text("b", "z"), {"t": [[0, 1], [0, 0]]}, "float32"),
    "one_hot of numbers": ({"op": "one_hot", "categories": [1, 7]}, np.array([7, 1]), {"t": [[0, 1], [1, 0]]}, "float32"),
    "softmax": ({}, np.array([[0, 0], [1000, 0]], np.float32), {"t": [[0.5, 0.5], [1, 0]]}, "float32"),
    "argmax": ({"to": "u"}, FLOATS, {"t": FLOATS.tolist(), "u": [1, 1]}, "int64"),
    "label_map": ({"labels": ["no", "yes"], "to": "u"}, np.array([1, 0]), {"t": [1, 0], "u": ["yes", "no"]}, "object"),
    "reorder": ({"order": [1, 0]}, FLOATS, {"t": [[2, 1], [5, 3]]}, "float32"),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_step_does_what_its_name_says(name: str) -> None:
    fields, given, expected, dtype = STEPS[name]
    transform = load_declarative({"steps": [{"op": name.split(maxsplit=1)[0], "tensor": "t", **fields}]}, label="pre")

    made = transform({"t": given})

    assert {key: value.tolist() for key, value in made.items()} == expected
    assert transform.trace(frozenset({"t"})) == frozenset(expected)
    if expected:
        assert made[list(expected)[-1]].dtype == dtype


BAD_CONFIGS = {
    "no steps": ({}, "steps"),
    "an unknown step": ({"steps": [{"op": "pickle", "tensor": "t"}]}, r"steps\[0\]"),
    "an unknown field": ({"steps": [{"op": "drop", "tensor": "t"}, {"op": "drop", "tensor": "t", "z": 1}]}, r"`z`.*steps\[1\]"),
    "a missing field": ({"steps": [{"op": "rename", "tensor": "t"}]}, r"`to`.*steps\[0\]"),
    "a wrong type": ({"steps": [{"op": "scale", "tensor": "t", "multiply": "2"}]}, r"steps\[0\]\.multiply"),
    "a deviation of zero": ({"steps": [{"op": "standardize", "tensor": "t", "mean": 0, "std": [1, 0]}]}, "std must be above zero"),
    "crossed bounds": ({"steps": [{"op": "clip", "tensor": "t", "min": 2, "max": 1}]}, "min must not be above max"),
    "no bounds": ({"steps": [{"op": "clip", "tensor": "t"}]}, "min or max"),
    "a shape without batch": ({"steps": [{"op": "reshape", "tensor": "t", "shape": [2, 2]}]}, "the batch"),
    "an unknown datatype": ({"steps": [{"op": "cast", "tensor": "t", "to": "float"}]}, r"steps\[0\]\.to"),
}


@pytest.mark.parametrize(("config", "sentence"), BAD_CONFIGS.values(), ids=BAD_CONFIGS.keys())
def test_a_config_that_describes_no_steps_is_refused_naming_the_place(config: dict[str, Any], sentence: str) -> None:
    with pytest.raises(LoadFailed, match=sentence):
        load_declarative(config, label="pre")


# --- in the pipeline ------------------------------------------------------------------------------------------------


def test_pre_and_post_apply_to_every_form_of_call(tmp_path: Path) -> None:
    linear_graph(tmp_path / "model.onnx")
    pipeline = Pipeline(
        pre=declarative({"op": "rename", "tensor": "features", "to": "x"}, {"op": "scale", "tensor": "x", "multiply": 10}),
        post=declarative(
            {"op": "argmax", "tensor": "y", "to": "label"},
            {"op": "label_map", "tensor": "label", "labels": ["a", "b", "c"]},
            {"op": "drop", "tensor": "y"},
        ),
    )
    interface = Interface(inputs=(spec("features", Datatype.FP32, (-1, 4)),), outputs=(spec("label", Datatype.BYTES, (-1,)),))
    engine = engine_of(tmp_path, interface, pipeline=pipeline)

    raw = np.ones(4, "<f4").tobytes()
    [plain, v2, bypass] = engine.run(
        [
            predict({"features": [1, 2, 3, 4]}),
            infer({"inputs": [binary(16, [1, 4], name="features")]}, raw),
            infer({"inputs": [binary(16, [1, 4], name="x")]}, raw),
        ]
    )

    assert answer(plain) == {"label": "c"}
    assert answer(v2)["outputs"] == [{"name": "label", "datatype": "BYTES", "shape": [1], "data": ["c"]}]
    assert "'x' is unknown" in error(bypass)


def test_an_onnx_component_takes_its_inputs_and_leaves_its_outputs(tmp_path: Path) -> None:
    linear_graph(tmp_path / "model.onnx")
    shape: list[int | str | None] = ["n", 4]
    write_graph(
        tmp_path / "pre" / "pre.onnx",
        [helper.make_node("Neg", ["raw"], ["x"])],
        [("raw", TensorProto.FLOAT, shape)],
        [("x", TensorProto.FLOAT, shape)],
    )
    pre = component(ComponentKind.ONNX, entry="pre/pre.onnx", files=["pre/pre.onnx"])
    interface = Interface(inputs=(spec("raw", Datatype.FP32, (-1, 4)),), outputs=LINEAR.outputs)

    [reply] = engine_of(tmp_path, interface, pipeline=Pipeline(pre=pre)).run([predict({"raw": [1, 2, 3, 4]})])

    assert answer(reply) == {"y": [-60.0, -70.0, -80.0]}


def test_a_label_that_nobody_has_is_the_versions_fault(tmp_path: Path) -> None:
    identity_graph(tmp_path / "model.onnx", Datatype.INT64, ["n"])
    interface = Interface(inputs=(spec("x", Datatype.INT64, (-1,)),), outputs=(spec("y", Datatype.BYTES, (-1,)),))
    engine = engine_of(tmp_path, interface, pipeline=Pipeline(post=declarative({"op": "label_map", "tensor": "y", "labels": ["a"]})))

    with structlog.testing.capture_logs() as logs:
        [good, bad] = engine.run([predict({"x": 0}), predict({"x": 1})])

    assert answer(good) == {"y": "a"}
    assert (bad.status, bad.failure) == (500, Failure.MODEL)
    assert error(bad) == "iris@1.2.3 failed on this request in the postprocessing component step 1.0.0"
    assert "1 labels" in logs[0]["detail"]


def test_a_step_on_an_optional_input_is_passed_over_without_it(tmp_path: Path) -> None:
    linear_graph(tmp_path / "model.onnx")
    interface = Interface(inputs=(*LINEAR.inputs, spec("note", Datatype.BYTES, (-1,), optional=True)), outputs=LINEAR.outputs)
    engine = engine_of(tmp_path, interface, pipeline=Pipeline(pre=declarative({"op": "lowercase", "tensor": "note"})))

    [without, given] = engine.run([predict({"x": [1, 2, 3, 4]}), predict({"x": [1, 2, 3, 4], "note": "N"})])

    assert answer(without) == answer(given) == {"y": [60.0, 70.0, 80.0]}


# --- python ---------------------------------------------------------------------------------------------------------


def _python(folder: Path, files: dict[str, str], entry: str, config: dict[str, Any] | None = None) -> Any:
    for name, source in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(source)
    part = component(ComponentKind.PYTHON, entry=entry, files=list(files), config=config)
    return load_python(part, files_in(folder, part), label="pre")


def test_two_modules_of_one_name_live_side_by_side(tmp_path: Path) -> None:
    source = "NUMBER = {}\n\ndef build(config):\n    return lambda tensors: {{'n': NUMBER}}\n"

    one, two = (_python(tmp_path / str(n), {"pre.py": source.format(n)}, "pre:build") for n in (1, 2))

    assert (one({}), two({})) == ({"n": 1}, {"n": 2})
    assert "pre" not in sys.modules


def test_files_of_one_component_import_each_other_relatively(tmp_path: Path) -> None:
    files = {
        "pre/main.py": "from .words import inner\n\ndef build(config):\n    return lambda tensors: {'n': inner.twice(config['n'])}\n",
        "pre/words/inner.py": "def twice(n):\n    return 2 * n\n",
    }

    assert _python(tmp_path, files, "pre.main:build", {"n": 4})({}) == {"n": 8}
    assert _python(tmp_path, files, "main:build", {"n": 4})({}) == {"n": 8}


def test_a_file_that_the_manifest_does_not_list_is_not_importable(tmp_path: Path) -> None:
    (tmp_path / "secret.py").write_text("")

    with pytest.raises(LoadFailed, match="secret"):
        _python(tmp_path, {"pre.py": "from . import secret\n"}, "pre:build")

    assert not any("_pointsman_component_" in name and "pre" in name for name in sys.modules if name.endswith(".secret"))


BAD_MODULES = {
    "no colon": ("", "pre", "module:factory"),
    "no such module": ("", "other:build", "do not hold"),
    "no such factory": ("", "pre:build", "AttributeError"),
    "a syntax error": ("def", "pre:build", "SyntaxError"),
    "it raises": ("raise OSError('boom')", "pre:build", "boom"),
    "it exits": ("raise SystemExit(3)", "pre:build", "SystemExit"),
    "the factory raises": ("def build(config):\n    config['mean']", "pre:build", "KeyError"),
    "no function": ("def build(config):\n    return 3", "pre:build", "must return a function"),
}


@pytest.mark.parametrize(("source", "entry", "sentence"), BAD_MODULES.values(), ids=BAD_MODULES.keys())
def test_a_module_that_does_not_load_says_why(tmp_path: Path, source: str, entry: str, sentence: str) -> None:
    with pytest.raises(LoadFailed, match=sentence):
        _python(tmp_path, {"pre.py": source}, entry)


LATE = {
    "pre.py": "def build(config):\n    return late\n\ndef late(tensors):\n    from .words import NUMBER\n    return {'n': NUMBER}\n",
    "words.py": "NUMBER = 1\n",
}


@pytest.mark.parametrize("meanwhile", ["NUMBER = 2\n", None], ids=["changed", "gone"])
def test_a_module_that_is_imported_late_is_the_one_that_was_verified(tmp_path: Path, meanwhile: str | None) -> None:
    # given
    transform = _python(tmp_path, LATE, "pre:build")

    # when
    (tmp_path / "words.py").unlink()
    if meanwhile is not None:
        (tmp_path / "words.py").write_text(meanwhile)

    # then
    assert transform({}) == {"n": 1}


@pytest.mark.parametrize("name", LATE)
def test_a_module_that_is_not_what_the_manifest_names_is_not_loaded(tmp_path: Path, name: str) -> None:
    # given
    part = component(ComponentKind.PYTHON, entry="pre:build", files=list(LATE))
    for path, source in LATE.items():
        (tmp_path / path).write_text(source)
    named = files_in(tmp_path, part)
    with (tmp_path / name).open("a") as file:
        file.write("# swapped after it was verified\n")

    # when / then
    with pytest.raises(LoadFailed, match=rf"pre: pre:build failed to load: ChangedSource: {name} is not what the manifest names"):
        load_python(part, named, label="pre")


def test_a_component_may_not_change_the_manifest(tmp_path: Path) -> None:
    config: dict[str, Any] = {"n": [1]}

    _python(tmp_path, {"pre.py": "def build(config):\n    config['n'].append(2)\n    return print"}, "pre:build", config)

    assert config == {"n": [1]}


def test_bytes_that_are_no_text_reach_a_python_component_as_they_are(tmp_path: Path) -> None:
    identity_graph(tmp_path / "model.onnx", Datatype.INT64, ["n"])
    (tmp_path / "pre.py").write_text(
        "import numpy as np\n\ndef build(config):\n    return lambda t: {'x': np.array([len(v) for v in t['blob']])}\n"
    )
    interface = Interface(inputs=(spec("blob", Datatype.BYTES, (-1,)),), outputs=(spec("y", Datatype.INT64, (-1,)),))
    pre = component(ComponentKind.PYTHON, entry="pre:build", files=["pre.py"])

    [reply] = engine_of(tmp_path, interface, pipeline=Pipeline(pre=pre)).run(
        [infer({"inputs": [binary(6, [1], "BYTES", "blob")]}, b"\2\0\0\0\xff\xfe")]
    )

    assert answer(reply)["outputs"][0]["data"] == [2]


@pytest.mark.parametrize(
    ("made", "detail"),
    [
        ("3", "dict of arrays"),
        ("{'y': 3}", "not an array"),
        ("{'z': t['y']}", "missing"),
        ("{'y': t['y'].astype('f8')}", "float64"),
        ("{'y': t['y'][:, :2]}", "shape"),
        ("{'y': t['y'][:0]}", "rows"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_an_answer_that_breaks_the_interface_is_the_versions_fault(tmp_path: Path, made: str, detail: str) -> None:
    linear_graph(tmp_path / "model.onnx")
    (tmp_path / "post.py").write_text(f"def build(config):\n    return lambda t: {made}\n")
    post = component(ComponentKind.PYTHON, entry="post:build", files=["post.py"])
    engine = engine_of(tmp_path, LINEAR, pipeline=Pipeline(post=post))

    with structlog.testing.capture_logs() as logs:
        [reply] = engine.run([predict({"x": [1, 2, 3, 4]})])

    assert (reply.status, reply.failure) == (500, Failure.MODEL)
    assert error(reply).startswith("iris@1.2.3 failed on this request in the p")
    assert detail in logs[0]["detail"]
    assert detail not in error(reply)
