"""Finds the files that an ONNX graph stores its weights in, without an ONNX library: a walk over the protobuf wire format.

onnxruntime follows such references on its own, so each must be a file that the manifest lists and digests.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path

# Field numbers of onnx.proto3: for each message, the fields that can lead to a TensorProto, and to which message they do.
_TREE = {
    "Model": {7: "Graph", 20: "Training", 25: "Function"},
    "Training": {1: "Graph", 2: "Graph"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Function": {7: "Node", 11: "Attribute"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "SparseTensor", 23: "SparseTensor"},
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Tensor": {13: "Entry"},
}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_DEEPEST = 64


class NotAGraph(ValueError):
    """Bytes that are no protobuf message of this shape."""


def external_locations(path: Path) -> frozenset[str]:
    """The `location` of every tensor stored outside the file. Raises `NotAGraph`."""
    if path.stat().st_size == 0:
        return frozenset()
    with path.open("rb") as file:
        view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    try:
        return frozenset(_locations(view, "Model", 0))
    except (IndexError, UnicodeDecodeError) as error:
        reason = "the file is no ONNX graph"
        raise NotAGraph(reason) from error


def _locations(view: memoryview, message: str, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        reason = f"the graph is nested deeper than {_DEEPEST}"
        raise NotAGraph(reason)
    if message == "Entry":
        pair = {number: bytes(part) for number, part in _fields(view)}
        if pair.get(1) == b"location":
            yield pair.get(2, b"").decode()
        return
    for number, part in _fields(view):
        child = _TREE[message].get(number)
        if child is not None:
            yield from _locations(part, child, depth + 1)


def _fields(view: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The length-delimited fields of a message; the others are skipped."""
    at = 0
    while at < len(view):
        key, at = _varint(view, at)
        number, wire = key >> 3, key & 7
        if wire == _BYTES:
            size, at = _varint(view, at)
            if at + size > len(view):
                raise IndexError
            yield number, view[at : at + size]
            at += size
        elif wire == _VARINT:
            _, at = _varint(view, at)
        elif wire in {_FIXED64, _FIXED32}:
            at += 8 if wire == _FIXED64 else 4
        else:
            reason = "the file is no ONNX graph"
            raise NotAGraph(reason)


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the continuation bit of a varint
            return value, at
        shift += 7
