"""Importing models of gigabytes: whether there is room, how far it is, and that it is on the disk."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import convert_model_to_external_data

from registry_client.errors import NotEnoughRoom
from registry_client.importing.taking import Order, import_model
from registry_client.transfers import Moved

WEIGHTS = 2**21


@pytest.fixture
def order(tmp_path: Path) -> Order:
    """Numbered folders with a graph whose weights of 2 MiB lie beside it."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", WEIGHTS // 4]) for name in ("x", "y"))
    bias = numpy_helper.from_array(np.ones(WEIGHTS // 4, np.float32), "bias")
    model = helper.make_model(
        helper.make_graph([helper.make_node("Add", ["x", "bias"], ["y"])], "g", [x], [y], [bias]),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    convert_model_to_external_data(model, all_tensors_to_one_file=True, location="weights.bin", size_threshold=0)
    folder = tmp_path / "source" / "1"
    folder.mkdir(parents=True)
    onnx.save(model, folder / "model.onnx")
    return Order(tmp_path / "source", "digits", "1.0.0", "classification")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return tmp_path / "made" / "bundle"


def test_how_far_it_is_is_told_of_graph_and_weights_together(order: Order, bundle: Path) -> None:
    # given
    told = list[Moved]()

    # when
    imported = import_model(order, bundle, told.append)

    # then
    size = sum(artifact.size for artifact in imported.bundle.manifest.artifacts)
    assert {one.what for one in told} == {"model.onnx", "weights.bin"}
    assert len(told) > 4
    assert (told[-1].done, told[-1].size) == (size, size)
    assert (bundle / "weights.bin").read_bytes() == (order.source / "1" / "weights.bin").read_bytes()


@pytest.mark.parametrize("fits", [0, 1], ids=["not even the graph", "the graph alone"])
def test_what_does_not_fit_is_refused_before_it_is_written(order: Order, bundle: Path, fits: int) -> None:
    # given
    graph = (order.source / "1" / "model.onnx").stat().st_size
    room: Iterator[int] = iter([graph, WEIGHTS - 1] if fits else [graph - 1])
    told = list[Moved]()

    # when
    with pytest.raises(NotEnoughRoom) as refused:
        import_model(order, bundle, told.append, lambda _folder: next(room))

    # then
    assert refused.value.needed == (WEIGHTS if fits else graph)
    assert refused.value.folder == str(bundle.parent)
    assert {one.what for one in told} == ({"model.onnx"} if fits else set())
    assert list(bundle.parent.iterdir()) == []


def test_every_file_and_folder_is_on_the_disk_before_the_bundle_has_its_name(
    order: Order, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    synced = list[str]()
    sync = os.fsync

    def look_and_sync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append(str(path.relative_to(bundle.parents[1])) if bundle.exists() else path.name)
        sync(descriptor)

    monkeypatch.setattr("os.fsync", look_and_sync)

    # when
    import_model(order, bundle)

    # then
    assert {"model.onnx", "weights.bin", "model.yaml", "bundle"} <= set(synced)
    assert synced.index("weights.bin") < synced.index("bundle")
    assert synced[-1] == "made", "and then its name"
