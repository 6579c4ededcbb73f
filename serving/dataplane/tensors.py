"""Tensors in and out of bytes and JSON values, checked element by element against a shape that is already known to be admissible.

Raises `ValueError` with a clause (no subject) that says what is wrong; the codecs add which field it is about.
"""

import math
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
import numpy as np

from registry_client.manifest import Datatype
from serving.dataplane.datatypes import Element, Tensor

JsonDecoder = msgspec.json.Decoder[Any]  # Any: a list, nested as deep as the tensor's rank
_NESTED = re.compile(rb"\s*\[\s*\[")
_PREFIX = 4
"""Bytes of the little-endian length before each BYTES element."""


@cache
def list_decoder(scalar: type, depth: int) -> JsonDecoder:
    """A strict decoder of lists nested `depth` deep."""
    return msgspec.json.Decoder(nested_list(scalar, depth))


def nested_list(scalar: type, depth: int) -> Any:  # noqa: ANN401 - a type built at run time
    """`list[list[...[scalar]]]`, `depth` deep; depth 0 is the scalar itself."""
    kind: Any = scalar
    for _ in range(depth):
        kind = list[kind]
    return kind


def from_json(element: Element, raw: msgspec.Raw, shape: Sequence[int]) -> Tensor:
    """Read `data`, flat in row-major order or nested exactly as `shape` says."""
    try:
        values = list_decoder(element.scalar, 1).decode(raw)
    except msgspec.ValidationError:
        if len(shape) > 1 and _NESTED.match(memoryview(raw)) is not None:
            return _from_nested(element, raw, shape)
        raise
    expected = math.prod(shape)
    if len(values) != expected:
        msg = f"holds {len(values)} elements where shape {list(shape)} needs {expected}"
        raise ValueError(msg)
    return from_values(element, values).reshape(shape)


def _from_nested(element: Element, raw: msgspec.Raw, shape: Sequence[int]) -> Tensor:
    tensor = from_values(element, list_decoder(element.scalar, len(shape)).decode(raw))
    if tensor.shape != tuple(shape):
        msg = f"is nested as {list(tensor.shape)} where shape says {list(shape)}"
        raise ValueError(msg)
    return tensor


def from_values(element: Element, values: Sequence[Any]) -> Tensor:
    """Make a tensor of decoded JSON values, refusing numbers that do not fit and rows of different lengths.

    Call it under `np.errstate(over="raise")`: that is how numpy tells of a float beyond the datatype's range.
    """
    try:
        tensor = np.array(values, element.dtype)
    except (OverflowError, FloatingPointError):
        msg = f"holds a number outside the range of {element.datatype}"
        raise ValueError(msg) from None
    except ValueError:
        msg = "is ragged: lists at the same depth must have the same length"
        raise ValueError(msg) from None
    if element.width is None and any(type(value) is list for value in tensor.flat):
        msg = "is ragged: lists at the same depth must have the same length"
        raise ValueError(msg)
    return tensor


def from_wire(element: Element, data: memoryview, shape: Sequence[int]) -> Tensor:
    """Read the binary form: row-major little-endian, BYTES length-prefixed. The result owns its memory."""
    count = math.prod(shape)
    if element.width is None:
        return _bytes_from_wire(data, count).reshape(shape)
    if len(data) != count * element.width:
        msg = f"has {len(data)} bytes where shape {list(shape)} of {element.datatype} needs {count * element.width}"
        raise ValueError(msg)
    if element.datatype is Datatype.BF16:
        wide = np.frombuffer(data, "<u2").astype("<u4") << 16
        return wide.view("<f4").reshape(shape)
    if element.scalar is bool:
        return _bools_from_wire(data).reshape(shape)
    # copied: a request's bytes are neither aligned nor writable, and a component may write into its tensors
    return np.frombuffer(data, element.dtype).copy().reshape(shape)


def _bools_from_wire(data: memoryview) -> Tensor:
    octets = np.frombuffer(data, np.uint8)
    if octets.size and int(octets.max()) > 1:
        msg = "holds a byte other than 0 and 1, which is no BOOL"
        raise ValueError(msg)
    return octets.astype(np.bool_)


def _bytes_from_wire(data: memoryview, count: int) -> Tensor:
    if count * _PREFIX > len(data):  # before anything of that size is allocated
        msg = f"has {len(data)} bytes, too few for {count} BYTES elements of a 4-byte length each"
        raise ValueError(msg)
    elements: list[bytes] = []
    at = 0
    for index in range(count):
        size = int.from_bytes(data[at : at + _PREFIX], "little")
        start, at = at + _PREFIX, at + _PREFIX + size
        if start > len(data) or at > len(data):
            msg = f"ends inside element {index}, whose length prefix says {size} bytes"
            raise ValueError(msg)
        elements.append(bytes(data[start:at]))
    if at != len(data):
        msg = f"has {len(data) - at} bytes after its last element"
        raise ValueError(msg)
    return of_objects(elements)


def of_objects(values: Sequence[object]) -> Tensor:
    """A one-dimensional object array, whatever the values are (numpy would unpack sequences)."""
    tensor = np.empty(len(values), object)
    tensor[:] = values
    return tensor


def as_text_where_possible(tensor: Tensor) -> Tensor:
    """BYTES elements as `str`, those that are no UTF-8 as `bytes`: what a Python component is handed."""
    values = (value if isinstance(value, str) else _text_or_octets(value) for value in tensor.ravel().tolist())
    return of_objects(list(values)).reshape(tensor.shape)


def _text_or_octets(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def as_text(tensor: Tensor) -> Tensor:
    """BYTES elements as `str`. Raises `ValueError` where one is no UTF-8 (or neither text nor bytes)."""
    values = tensor.ravel().tolist()
    if all(type(value) is str for value in values):
        return tensor.astype(object, copy=False)
    return of_objects([_text(value) for value in values]).reshape(tensor.shape)


def _text(value: object) -> str:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            msg = "holds bytes that are not UTF-8, which this version does not take"
            raise ValueError(msg) from None
    if isinstance(value, str):
        return value
    msg = f"holds a {type(value).__name__} where BYTES are due"
    raise ValueError(msg)


def to_wire(element: Element, tensor: Tensor) -> bytes:
    """The binary form of a tensor that has the element's dtype."""
    if element.width is None:
        return b"".join(len(item).to_bytes(_PREFIX, "little") + item for item in map(_octets, tensor.ravel().tolist()))
    if element.datatype is Datatype.BF16:
        return _round_to_bfloat16(tensor).tobytes()
    return tensor.tobytes()


def _octets(value: object) -> bytes:
    return value if isinstance(value, bytes) else _text(value).encode()


def _round_to_bfloat16(tensor: Tensor) -> Tensor:
    bits = np.ascontiguousarray(tensor, "<f4").view("<u4")
    rounded = (bits + (0x7FFF + ((bits >> 16) & 1))) >> 16  # to nearest, ties to even; wraps only where the value is NaN
    quiet = (bits >> 16) | 0x40
    return np.where(np.isnan(tensor), quiet, rounded).astype("<u2")
