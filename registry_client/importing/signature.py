"""The tensors that an ONNX graph takes and gives, read without an ONNX library."""

import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from registry_client.errors import InvalidBundle
from registry_client.manifest import Datatype, TensorSpec
from registry_client.wire_format import BYTES, Field, NotProtobuf, fields

# Field numbers of onnx.proto3.
_GRAPH: Final = 7
_INITIALIZER, _INPUT, _OUTPUT = 5, 11, 12
_TENSOR_NAME: Final = 8
_VALUE_NAME, _VALUE_TYPE = 1, 2
_TENSOR_TYPE: Final = 1
_ELEM_TYPE, _SHAPE = 1, 2
_DIM: Final = 1
_DIM_VALUE: Final = 1

_DATATYPES: Final[Mapping[int, Datatype]] = {
    1: Datatype.FP32,
    2: Datatype.UINT8,
    3: Datatype.INT8,
    4: Datatype.UINT16,
    5: Datatype.INT16,
    6: Datatype.INT32,
    7: Datatype.INT64,
    8: Datatype.BYTES,
    9: Datatype.BOOL,
    10: Datatype.FP16,
    11: Datatype.FP64,
    12: Datatype.UINT32,
    13: Datatype.UINT64,
    16: Datatype.BF16,
}


@dataclass(frozen=True, slots=True)
class Signature:
    """What a graph takes and gives. A dimension of -1 is dynamic."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


def read_signature(path: Path) -> Signature:
    """Read a graph's tensors. Raises `InvalidBundle`, for values that are no tensors too."""
    try:
        with path.open("rb") as file:
            # An empty file cannot be mapped.
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if path.stat().st_size else b""
        return _signature(memoryview(content), path.name)
    except NotProtobuf as error:
        raise InvalidBundle(path.name, "the file is no ONNX graph", "export the model to ONNX") from error


def _signature(model: memoryview, name: str) -> Signature:
    graph = [each for wanted in _last(model, _GRAPH) for each in fields(wanted)]
    constants = {_text(each.content, _TENSOR_NAME) for each in graph if each.number == _INITIALIZER}
    if not graph:
        raise NotProtobuf
    inputs = tuple(_tensor(each.content, name) for each in graph if each.number == _INPUT)
    outputs = tuple(_tensor(each.content, name) for each in graph if each.number == _OUTPUT)
    return Signature(tuple(tensor for tensor in inputs if tensor.name not in constants), outputs)


def _tensor(value: memoryview, file: str) -> TensorSpec:
    name = _text(value, _VALUE_NAME)
    place = f"{file}: {name}"
    types = [tensor for kind in _last(value, _VALUE_TYPE) for tensor in _last(kind, _TENSOR_TYPE)]
    if not types:
        hint = "export it again with tensors only; skl2onnx does so with options={'zipmap': False}"
        raise InvalidBundle(field=place, reason="it is no tensor, but a map, a sequence or an optional", hint=hint)
    datatype = _DATATYPES.get(next((each.integer for each in fields(types[0]) if each.number == _ELEM_TYPE), 0))
    if datatype is None:
        raise InvalidBundle(field=place, reason="its datatype has no name in the Open Inference Protocol")
    shape = tuple(_dimension(each) for shape in _last(types[0], _SHAPE) for each in fields(shape) if each.number == _DIM)
    if not shape:
        raise InvalidBundle(field=place, reason="it has no dimension, or does not say how many", hint="the first one is the batch")
    return TensorSpec(name=name, datatype=datatype, shape=shape)


def _dimension(field: Field) -> int:
    return next((each.integer for each in fields(field.content) if each.number == _DIM_VALUE), -1)


def _last(message: memoryview, number: int) -> Iterator[memoryview]:
    """The last message of that number, as protobuf has it; nothing where there is none."""
    yield from [each.content for each in fields(message) if each.number == number and each.wire == BYTES][-1:]


def _text(message: memoryview, number: int) -> str:
    texts = [each.text for each in fields(message) if each.number == number and each.wire == BYTES]
    return texts[-1] if texts else ""
