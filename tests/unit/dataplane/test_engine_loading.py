from pathlib import Path

import pytest
from onnx import TensorProto, helper, load_model, save_model

from registry_client.graphs import NotAGraph, read_graph
from registry_client.manifest import Datatype, Interface, Pipeline, Serving
from serving.dataplane.engine import open_engine
from serving.dataplane.faults import LoadFailed
from tests.unit.dataplane.bundles import LINEAR, answer, declarative, engine_of, linear_graph, manifest, predict, spec, write_graph

X, Y = LINEAR.inputs, LINEAR.outputs
MISFITS: dict[str, tuple[Interface, Pipeline, str]] = {
    "an input that reaches nothing": (
        Interface(inputs=(*X, spec("z", Datatype.FP32, (-1,))), outputs=Y),
        Pipeline(),
        "'z' reaches nothing",
    ),
    "an input that nobody sends": (Interface(inputs=(spec("z", Datatype.FP32, (-1, 4)),), outputs=Y), Pipeline(), "'z' reaches nothing"),
    "another datatype": (Interface(inputs=(spec("x", Datatype.FP64, (-1, 4)),), outputs=Y), Pipeline(), "FP64"),
    "another rank": (Interface(inputs=(spec("x", Datatype.FP32, (-1,)),), outputs=Y), Pipeline(), r"\[-1\]"),
    "another width": (Interface(inputs=(spec("x", Datatype.FP32, (-1, 5)),), outputs=Y), Pipeline(), r"\[-1, 5\]"),
    "wider than the graph": (Interface(inputs=(spec("x", Datatype.FP32, (-1, -1)),), outputs=Y), Pipeline(), r"\[-1, -1\]"),
    "optional to callers only": (Interface(inputs=(spec("x", Datatype.FP32, (-1, 4), optional=True),), outputs=Y), Pipeline(), "optional"),
    "an output that nobody makes": (Interface(inputs=X, outputs=(spec("z", Datatype.FP32, (-1,)),)), Pipeline(), "no output 'z'"),
    "an output of another datatype": (Interface(inputs=X, outputs=(spec("y", Datatype.INT64, (-1, 3)),)), Pipeline(), "INT64"),
    "an output of another width": (Interface(inputs=X, outputs=(spec("y", Datatype.FP32, (-1, 2)),)), Pipeline(), r"\[-1, 2\]"),
    "a step on nothing": (LINEAR, Pipeline(pre=declarative({"op": "drop", "tensor": "z"})), r"steps\[0\] works on tensor 'z'"),
    "a pre that takes the input away": (LINEAR, Pipeline(pre=declarative({"op": "drop", "tensor": "x"})), "the model takes x"),
    "a post that takes the output away": (LINEAR, Pipeline(post=declarative({"op": "drop", "tensor": "y"})), "promises y"),
}


@pytest.mark.parametrize(("interface", "pipeline", "sentence"), MISFITS.values(), ids=MISFITS.keys())
def test_parts_that_do_not_fit_are_found_when_loading(tmp_path: Path, interface: Interface, pipeline: Pipeline, sentence: str) -> None:
    linear_graph(tmp_path / "model.onnx")

    with pytest.raises(LoadFailed, match=sentence):
        engine_of(tmp_path, interface, pipeline=pipeline)


def test_a_provider_that_this_machine_lacks_is_named(tmp_path: Path) -> None:
    linear_graph(tmp_path / "model.onnx")

    with pytest.raises(LoadFailed, match="needs NoSuchProvider, this machine's onnxruntime has"):
        engine_of(tmp_path, LINEAR, serving=Serving(providers=("NoSuchProvider",)))


@pytest.mark.parametrize("content", [b"", b"hello", b"\xff" * 40, b"\x08\x09" + b"\x3a\x02\x0a\x7f"])
def test_a_file_that_is_no_graph_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(content)

    with pytest.raises(LoadFailed, match="the model"):
        engine_of(tmp_path, LINEAR)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    linear_graph(tmp_path / "model.onnx")
    described = manifest(tmp_path, LINEAR)
    (tmp_path / "model.onnx").unlink()

    with pytest.raises(LoadFailed, match="not there"):
        open_engine(described, tmp_path.joinpath)


def test_an_output_that_is_no_tensor_is_refused(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("SequenceConstruct", ["x"], ["y"])],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, ["n"])],
    )
    save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(tmp_path / "model.onnx"))
    interface = Interface(inputs=(spec("x", Datatype.FP32, (-1,)),), outputs=(spec("y", Datatype.FP32, (-1,)),))

    with pytest.raises(LoadFailed, match="not a tensor"):
        engine_of(tmp_path, interface)


# --- external data --------------------------------------------------------------------------------------------------


def _with_external_weights(folder: Path, location: str = "weights.bin") -> None:
    model = load_model(str(linear_graph(folder / "model.onnx")))
    save_model(model, str(folder / "model.onnx"), save_as_external_data=True, location=location, size_threshold=0, convert_attribute=True)


def test_weights_outside_the_graph_are_loaded_where_the_manifest_lists_them(tmp_path: Path) -> None:
    _with_external_weights(tmp_path)

    [reply] = engine_of(tmp_path, LINEAR).run([predict({"x": [1, 2, 3, 4]})])

    assert answer(reply) == {"y": [60.0, 70.0, 80.0]}


def test_weights_that_the_manifest_does_not_list_are_refused(tmp_path: Path) -> None:
    _with_external_weights(tmp_path)
    described = manifest(tmp_path, LINEAR)
    (tmp_path / "other").mkdir()
    alone = manifest(_only_the_graph(tmp_path), LINEAR)

    with pytest.raises(LoadFailed, match=r"'weights\.bin', which the manifest's artifacts do not list"):
        open_engine(alone, tmp_path.joinpath)
    assert open_engine(described, tmp_path.joinpath).metadata()


def _only_the_graph(folder: Path) -> Path:
    copy = folder / "other" / "bundle"
    copy.mkdir()
    (copy / "model.onnx").write_bytes((folder / "model.onnx").read_bytes())
    return copy


def test_weights_that_lie_elsewhere_than_the_bundle_has_them_are_refused(tmp_path: Path) -> None:
    _with_external_weights(tmp_path)
    elsewhere = tmp_path / "cache" / "weights.bin"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes((tmp_path / "weights.bin").read_bytes())
    described = manifest(tmp_path, LINEAR)

    def path_of(path: str) -> Path:
        return elsewhere if path == "weights.bin" else tmp_path / path

    with pytest.raises(LoadFailed, match="not where the bundle has it"):
        open_engine(described, path_of)


def test_weights_hidden_in_a_subgraph_are_found(tmp_path: Path) -> None:
    hidden = helper.make_tensor("c", TensorProto.FLOAT, [1], [1.0])
    hidden.data_location = TensorProto.EXTERNAL
    hidden.ClearField("float_data")
    entry = hidden.external_data.add()
    entry.key, entry.value = "location", "../outside.bin"
    inner = helper.make_graph(
        [helper.make_node("Constant", [], ["c"], value=hidden)], "inner", [], [helper.make_tensor_value_info("c", TensorProto.FLOAT, [1])]
    )
    nodes = [helper.make_node("If", ["flag"], ["y"], then_branch=inner, else_branch=inner)]
    path = write_graph(tmp_path / "model.onnx", nodes, [("flag", TensorProto.BOOL, [1])], [("y", TensorProto.FLOAT, [1])])

    assert read_graph(path).external == {"../outside.bin"}


def test_a_graph_without_external_data_names_no_files(tmp_path: Path) -> None:
    assert read_graph(linear_graph(tmp_path / "model.onnx")).external == frozenset()


@pytest.mark.parametrize("cut", [1, 7, 30])
def test_a_truncated_graph_is_no_graph(tmp_path: Path, cut: int) -> None:
    whole = linear_graph(tmp_path / "model.onnx").read_bytes()
    (tmp_path / "cut.onnx").write_bytes(whole[:-cut])

    with pytest.raises(NotAGraph):
        read_graph(tmp_path / "cut.onnx")
