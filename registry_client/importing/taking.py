"""Taking a model over: its files are copied into a bundle's folder, with a `model.yaml` that says where they come from.

What the folder cannot tell (golden examples, what the task is measured by, what it was trained on) stays for its author to write.
"""

import os
import posixpath
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from registry_client.bundle import Bundle, load_bundle
from registry_client.errors import InvalidBundle
from registry_client.files import move_into_place, open_regular, refuse_foreign, staging, sync_directories, write_synced
from registry_client.graphs import NotAGraph, read_graph
from registry_client.importing.layouts import Found, find_model
from registry_client.importing.signature import Signature, read_signature
from registry_client.manifest import TensorSpec
from registry_client.model_yaml import FILE_NAME
from registry_client.transfers import FreeSpace, Landing, Moved, Tally, Told, free_space, nobody, refuse_without_room


@dataclass(frozen=True, slots=True)
class Imported:
    """A bundle that was made of somebody else's folder."""

    bundle: Bundle
    found: Found
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Order:
    """What an author asks for: the folder to read and, of it, which version, and what it shall be called."""

    source: Path
    family: str
    version: str
    task: str
    number: int | None = None


class _Copying:
    """Files on their way from a folder into a bundle that is not finished: no more than the disk takes, and each put on it."""

    def __init__(self, folder: Path, whole: Path, told: Told, free: FreeSpace) -> None:
        self._folder, self._whole, self._free = folder, whole, free
        self._place = whole.parent.parent  # who reads a refusal finds no unfinished folder any more
        self._tally = Tally(told)

    def copy(self, *paths: str, is_graph: bool) -> None:
        """Copy files, when there is room for all of them. Raises `NotEnoughRoom` and `InvalidBundle`."""
        needed = sum(self._size(path) for path in paths)
        refuse_without_room(self._place, needed, self._free)
        self._tally.expect(needed)
        for path in paths:
            self._copy(path, is_graph=is_graph)

    def _size(self, path: str) -> int:
        with open_regular(self._folder, path) as source:
            return os.fstat(source.fileno()).st_size

    def _copy(self, path: str, *, is_graph: bool) -> None:
        target = self._whole / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with open_regular(self._folder, path) as source, target.open("xb") as file, Landing(file) as landing:
            refuse_foreign(source, path, is_graph=is_graph)
            size = os.fstat(source.fileno()).st_size
            for done in landing.pour(source):
                self._tally(Moved(path, done, size))
            landing.settle()


def import_model(order: Order, target: Path, told: Told = nobody, free: FreeSpace = free_space) -> Imported:
    """Make a bundle of a model in another system's folder, at `target`, which must not hold anything. `told`: how far it is.

    Raises `InvalidBundle` or `NotEnoughRoom`; then there is nothing at `target`. What is there afterwards is on the disk.
    """
    found = find_model(order.source, order.number)
    _refuse_outside(found.model, found.layout)
    folder, model = order.source / posixpath.dirname(found.model), posixpath.basename(found.model)
    with staging(target.absolute().parent) as unfinished:
        whole = unfinished / "bundle"
        whole.mkdir()
        copying = _Copying(folder, whole, told, free)
        copying.copy(model, is_graph=True)
        weights = _weights(whole / model)
        copying.copy(*weights, is_graph=False)
        signature = read_signature(whole / model)
        _refuse_another(found, signature)
        write_synced(whole / FILE_NAME, _authored(order, found, signature, weights).encode())
        bundle = load_bundle(whole)
        sync_directories(whole)
        if not move_into_place(whole, target.absolute()):
            raise InvalidBundle(str(target), "there is something already", "name a folder that is not there yet")
    return Imported(load_bundle(target), found, _warnings(found, signature, bundle))


def _weights(graph: Path) -> list[str]:
    try:
        external = sorted(read_graph(graph).external)
    except NotAGraph as error:
        raise InvalidBundle(graph.name, str(error), "export the model to ONNX") from error
    for path in external:
        _refuse_outside(path, graph.name)
    return external


def _refuse_outside(path: str, where: str) -> None:
    """No path that a folder names may lead out of it."""
    if posixpath.isabs(path) or posixpath.normpath(path) != path or path.startswith(".."):
        raise InvalidBundle(field=where, reason=f"it names {path[:80]!r}, which is no plain path inside the folder")


def _refuse_another(found: Found, signature: Signature) -> None:
    """The graph is believed; a folder that names other tensors describes another model."""
    own = {tensor.name for tensor in (*signature.inputs, *signature.outputs)}
    strange = sorted(found.names - own)
    if strange:
        reason = f"the folder names {', '.join(strange)}, and the graph has {', '.join(sorted(own))}"
        raise InvalidBundle(found.model, reason, "the description belongs to another model")


def _authored(order: Order, found: Found, signature: Signature, weights: list[str]) -> str:
    interface: dict[str, Any] = {
        "inputs": [_tensor(each) for each in signature.inputs],
        "outputs": [_tensor(each) for each in signature.outputs],
    }
    if found.labels:
        interface["labels"] = {"names": list(found.labels)}
    document: dict[str, Any] = {
        "family": order.family,
        "version": order.version,
        "task": {"type": order.task},
        "model": posixpath.basename(found.model),
        "weights": weights,
        "interface": interface,
        "provenance": {"training_run": found.run} if found.run else None,
        "serving": {"max_batch": found.largest_batch} if found.largest_batch else None,
        "docs": f"Imported from {found.layout}{f' ({found.origin})' if found.origin else ''}.",
    }
    return yaml.safe_dump({key: value for key, value in document.items() if value}, sort_keys=False, allow_unicode=True)


def _tensor(tensor: TensorSpec) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype.value, "shape": list(tensor.shape)}


def _warnings(found: Found, signature: Signature, bundle: Bundle) -> tuple[str, ...]:
    told = list(bundle.warnings)
    fixed = [tensor.name for tensor in signature.inputs if tensor.shape[0] != -1]
    if fixed:
        told.append(f"interface.inputs: the first dimension of {', '.join(fixed)} is fixed, so requests are not batched")
    if found.labels:
        told.append("interface.labels: taken from the label file; mark the output that they name with by_label: true")
    return tuple(told)
