"""Bundles made of the folders of other systems."""

import json
import pickle
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import convert_model_to_external_data

from registry_client.bundle import load_bundle
from registry_client.errors import InvalidBundle
from registry_client.importing import pbtxt
from registry_client.importing.layouts import find_model
from registry_client.importing.signature import read_signature
from registry_client.importing.taking import Imported, Order, import_model
from registry_client.manifest import Datatype, TensorSpec

SIGNATURE = {
    "inputs": json.dumps([{"type": "tensor", "name": "x", "tensor-spec": {"dtype": "float32", "shape": [-1, 2]}}]),
    "outputs": json.dumps([{"type": "tensor", "name": "y", "tensor-spec": {"dtype": "float32", "shape": [-1, 2]}}]),
}
CONFIG = """
# the model of a Triton repository
name: "digits"
platform: "onnxruntime_onnx"
max_batch_size: 8
input [ { name: "x" data_type: TYPE_FP32 dims: [ 2 ] } ]
output [
  { name: "y", data_type: TYPE_FP32, dims: [ 2 ], label_filename: "labels.txt" }
]
instance_group: [{ kind: KIND_CPU, count: 2 }]
version_policy: { latest: { num_versions: 1 } }
"""


def graph(*, elem: int = TensorProto.FLOAT, shape: list[int | str] | None = None) -> bytes:
    """y = x + bias, where bias is a constant that older exporters list among the inputs."""
    dims = ["batch", 2] if shape is None else shape
    tensors = [helper.make_tensor_value_info(name, elem, dims) for name in ("x", "y")]
    bias = numpy_helper.from_array(np.zeros(2, helper.tensor_dtype_to_np_dtype(elem)), "bias")
    listed = helper.make_tensor_value_info("bias", elem, [2])
    made = helper.make_graph([helper.make_node("Add", ["x", "bias"], ["y"])], "g", [tensors[0], listed], [tensors[1]], [bias])
    return bytes(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString())


def write(folder: Path, files: Mapping[str, bytes | str]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def mlmodel(folder: Path, **changed: object) -> Path:
    document = {"flavors": {"onnx": {"data": "model.onnx"}, "python_function": {}}, "run_id": "abc", "signature": SIGNATURE, **changed}
    return write(folder, {"MLmodel": json.dumps(document), "model.onnx": graph()})


def taken(source: Path, tmp_path: Path, number: int | None = None) -> Imported:
    return import_model(Order(source, "digits", "1.0.0", "classification", number), tmp_path / "bundle")


# --- what is taken over ---------------------------------------------------------------------------------------------


def test_an_mlmodel_becomes_a_bundle_with_the_tensors_of_its_graph(tmp_path: Path) -> None:
    # given / when
    imported = taken(mlmodel(tmp_path / "source"), tmp_path)

    # then
    manifest = imported.bundle.manifest
    assert manifest.interface.inputs == (TensorSpec(name="x", datatype=Datatype.FP32, shape=(-1, 2)),)
    assert manifest.interface.outputs == (TensorSpec(name="y", datatype=Datatype.FP32, shape=(-1, 2)),)
    assert (manifest.provenance.training_run, manifest.docs) == ("abc", "Imported from MLmodel (run abc).")
    assert load_bundle(tmp_path / "bundle").manifest.artifacts == manifest.artifacts


def test_a_model_of_a_triton_repository_brings_its_batch_and_labels(tmp_path: Path) -> None:
    # given
    source = write(
        tmp_path / "digits",
        {
            "config.pbtxt": CONFIG,
            "labels.txt": "no\nyes\n\n",
            "1/model.onnx": graph(elem=TensorProto.INT64),
            "12/model.onnx": graph(),
            "old/x": b"",
        },
    )

    # when
    imported = taken(source, tmp_path)

    # then
    manifest = imported.bundle.manifest
    assert manifest.serving.max_batch == 8
    assert manifest.interface.labels is not None
    assert manifest.interface.labels.names == ("no", "yes")
    assert manifest.docs == "Imported from Triton (digits 12)."
    assert manifest.interface.inputs[0].datatype is Datatype.FP32, "the highest number, not the last in the alphabet"


def test_a_number_of_several_may_be_named(tmp_path: Path) -> None:
    # given
    source = write(tmp_path / "digits", {"2/model.onnx": graph(), "10/model.onnx": graph(elem=TensorProto.INT64)})

    # when
    imported = taken(source, tmp_path, number=2)

    # then
    assert imported.bundle.manifest.docs == "Imported from numbered folders (digits 2)."
    assert imported.bundle.manifest.interface.inputs[0].datatype is Datatype.FP32
    with pytest.raises(InvalidBundle, match="it has no version 3") as refusal:
        find_model(source, 3)
    assert refusal.value.hint == "there are 2, 10"


def test_weights_beside_the_graph_come_along(tmp_path: Path) -> None:
    # given
    import onnx  # noqa: PLC0415 - only here

    model = onnx.load_from_string(graph())
    convert_model_to_external_data(model, all_tensors_to_one_file=True, location="weights.bin", size_threshold=0)
    (tmp_path / "digits" / "1").mkdir(parents=True)
    onnx.save(model, tmp_path / "digits" / "1" / "model.onnx")

    # when
    imported = taken(tmp_path / "digits", tmp_path)

    # then
    assert [artifact.path for artifact in imported.bundle.manifest.artifacts] == ["model.onnx", "weights.bin"]


def test_what_the_folder_cannot_tell_is_left_to_the_author_with_a_warning(tmp_path: Path) -> None:
    imported = taken(write(tmp_path / "digits", {"1/model.onnx": graph(shape=[1, 2])}), tmp_path)

    assert any(warning.startswith("golden: there are no golden examples") for warning in imported.warnings)
    assert any("the first dimension of x is fixed" in warning for warning in imported.warnings)


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flavors", "hint"),
    [
        ({"sklearn": {"pickled_model": "model.pkl"}, "python_function": {}}, "skl2onnx"),
        ({"pytorch": {"model_data": "data"}}, "torch.onnx.export"),
        ({"python_function": {"loader_module": "mlflow.pyfunc.model"}}, "unpickling runs whatever code it holds"),
        ({}, "export the model to ONNX"),
    ],
)
def test_a_model_without_an_onnx_flavour_is_refused_with_what_to_do(tmp_path: Path, flavors: dict[str, object], hint: str) -> None:
    with pytest.raises(InvalidBundle, match="and none is onnx") as refusal:
        taken(mlmodel(tmp_path / "source", flavors=flavors), tmp_path)

    assert hint in refusal.value.hint
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    "content", [pickle.dumps({"a": 1}), b"\x89HDF\r\n\x1a\n" + b"\0" * 99, b"PK\x03\x04" + b"\0" * 99, b"", b"\0" * 99, b"\x7fELF"]
)
def test_what_calls_itself_onnx_and_is_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InvalidBundle):
        taken(write(tmp_path / "digits", {"1/model.onnx": content}), tmp_path)

    assert not (tmp_path / "bundle").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digits"], "nothing unfinished is left"


def test_a_saved_model_of_tensorflow_is_refused_with_the_command_that_exports_it(tmp_path: Path) -> None:
    for source in (write(tmp_path / "digits", {"1/saved_model.pb": b"\x08\x01"}), tmp_path / "digits" / "1"):
        with pytest.raises(InvalidBundle, match="it is a TensorFlow SavedModel") as refusal:
            find_model(source)
        assert "tf2onnx.convert" in refusal.value.hint


def test_a_triton_model_of_another_platform_is_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "digits", {"config.pbtxt": 'platform: "tensorrt_plan"', "1/model.plan": b"x"})

    with pytest.raises(InvalidBundle, match="its platform is tensorrt_plan"):
        find_model(source)


def test_a_description_of_another_model_is_refused(tmp_path: Path) -> None:
    strange = {"inputs": json.dumps([{"type": "tensor", "name": "pixels"}])}

    with pytest.raises(InvalidBundle, match="the folder names pixels, and the graph has x, y"):
        taken(mlmodel(tmp_path / "source", signature=strange), tmp_path)


@pytest.mark.parametrize("path", ["../model.onnx", "/etc/model.onnx", "deep/../../../model.onnx"])
def test_a_model_outside_its_folder_is_not_read(tmp_path: Path, path: str) -> None:
    write(tmp_path, {"model.onnx": graph()})

    with pytest.raises(InvalidBundle):
        taken(mlmodel(tmp_path / "source", flavors={"onnx": {"data": path}}), tmp_path)


def test_a_link_to_a_model_elsewhere_is_not_followed(tmp_path: Path) -> None:
    write(tmp_path, {"secret.onnx": graph()})
    (tmp_path / "digits" / "1").mkdir(parents=True)
    (tmp_path / "digits" / "1" / "model.onnx").symlink_to(tmp_path / "secret.onnx")

    with pytest.raises(InvalidBundle, match="symbolic link"):
        taken(tmp_path / "digits", tmp_path)


def test_a_folder_of_no_known_kind_is_refused_with_the_kinds_there_are(tmp_path: Path) -> None:
    with pytest.raises(InvalidBundle, match="it is no folder that pointsman knows") as refusal:
        find_model(write(tmp_path / "digits", {"model.onnx": graph()}))

    assert "MLmodel" in refusal.value.hint


def test_nothing_is_written_over(tmp_path: Path) -> None:
    write(tmp_path, {"bundle/mine": b"x"})

    with pytest.raises(InvalidBundle, match="there is something already"):
        taken(mlmodel(tmp_path / "source"), tmp_path)

    assert (tmp_path / "bundle" / "mine").read_bytes() == b"x"


# --- graphs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("elem", "datatype"),
    [
        (TensorProto.FLOAT, Datatype.FP32),
        (TensorProto.DOUBLE, Datatype.FP64),
        (TensorProto.FLOAT16, Datatype.FP16),
        (TensorProto.INT8, Datatype.INT8),
        (TensorProto.UINT8, Datatype.UINT8),
        (TensorProto.INT32, Datatype.INT32),
        (TensorProto.INT64, Datatype.INT64),
        (TensorProto.UINT64, Datatype.UINT64),
    ],
)
def test_the_datatypes_of_a_graph_have_their_names_in_the_protocol(tmp_path: Path, elem: int, datatype: Datatype) -> None:
    write(tmp_path, {"model.onnx": graph(elem=elem, shape=["n", 3, "m"])})

    signature = read_signature(tmp_path / "model.onnx")

    assert signature.inputs == (TensorSpec(name="x", datatype=datatype, shape=(-1, 3, -1)),)


def test_an_output_that_is_no_tensor_is_refused_with_how_to_export_it_again(tmp_path: Path) -> None:
    # given
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])
    sequence = helper.make_tensor_sequence_value_info("maps", TensorProto.FLOAT, None)
    made = helper.make_graph([helper.make_node("SplitToSequence", ["x"], ["maps"])], "g", [value], [sequence])
    write(tmp_path, {"model.onnx": bytes(helper.make_model(made).SerializeToString())})

    # when / then
    with pytest.raises(InvalidBundle, match="it is no tensor") as refusal:
        read_signature(tmp_path / "model.onnx")
    assert "zipmap" in refusal.value.hint


# --- protobuf in text form ------------------------------------------------------------------------------------------


def test_a_message_is_read_in_every_way_of_writing_it() -> None:
    # given
    text = b"""name: "a\\"b" # why
    input { name: 'x' dims: 1 dims: [2, -1,] } input: < name: "y"; >
    f: 1.5e-3, g: [ { h: T } , { h: F } ]"""

    # when
    message = pbtxt.parse_pbtxt(text, "config.pbtxt")

    # then
    assert pbtxt.texts(message, "name") == ['a"b']
    assert [pbtxt.texts(each, "name") for each in pbtxt.messages(message, "input")] == [["x"], ["y"]]
    assert pbtxt.texts(pbtxt.messages(message, "input")[0], "dims") == ["1", "2", "-1"]
    assert (pbtxt.texts(message, "f"), len(pbtxt.messages(message, "g"))) == (["1.5e-3"], 2)


@pytest.mark.parametrize(
    "text", [b"a", b"a {", b"a: [1", b"a: }", b'a: "', b"\xff", b"a: \0", b"{" * 10**5, b"a {" * 10**4, b"a: [" * 10**4, b"x" * 2**19]
)
def test_what_is_no_message_is_refused_with_a_sentence(text: bytes) -> None:
    with pytest.raises(InvalidBundle, match=r"config\.pbtxt: it is no protobuf message in text form"):
        pbtxt.parse_pbtxt(text, "config.pbtxt")
