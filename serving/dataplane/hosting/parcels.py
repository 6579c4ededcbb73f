"""What travels between a version's process and its component host: one JSON header, and the tensors' bytes after it.

Each side reads all of a parcel before it answers, so neither can wait for the other. Runs in the component host too: it may import
the standard library and numpy only.
"""

import json
import math
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Tensor = npt.NDArray[Any]  # Any: the datatype is data here

_SIZES: Final = struct.Struct("<IQ")
"""Bytes of the header, bytes of the tensors."""
_ALIGNMENT: Final = 64
"""Where a tensor may begin: numpy and onnxruntime read aligned memory with their widest instructions."""
_RAW_KINDS: Final = frozenset("biufcSU")
_OBJECTS: Final = "O"
_TEXT: Final = 1
_LENGTH: Final = np.dtype("<u4")


class HungUp(Exception):
    """The other side is gone."""


@dataclass(frozen=True)
class Parcel:
    """A message and the tensors that go with it."""

    message: dict[str, Any]
    tensors: dict[str, Tensor] = field(default_factory=dict)


def send(link: socket.socket, message: Mapping[str, Any], tensors: Mapping[str, object]) -> None:
    """Send a parcel. Raises `TypeError` for what is no tensor of numbers or texts, and `HungUp`."""
    described: list[list[Any]] = []
    pieces: list[bytes] = []
    at = 0
    for name, tensor in tensors.items():
        code, shape, data = _packed(name, tensor)
        padding = -at % _ALIGNMENT
        described.append([name, code, shape, at + padding, len(data)])
        pieces += [bytes(padding), data]
        at += padding + len(data)
    header = json.dumps({"message": message, "tensors": described}).encode()
    try:
        link.sendall(b"".join([_SIZES.pack(len(header), at), header, *pieces]))
    except (BrokenPipeError, ConnectionResetError) as error:
        raise HungUp from error


def receive(link: socket.socket) -> Parcel:
    """Wait for a parcel. Raises `HungUp`."""
    header_size, size = _SIZES.unpack(_exactly(link, _SIZES.size))
    header = json.loads(_exactly(link, header_size))
    body = memoryview(_exactly(link, size))
    tensors = {name: _unpacked(code, shape, body[at : at + length]) for name, code, shape, at, length in header["tensors"]}
    return Parcel(header["message"], tensors)


def _packed(name: str, tensor: object) -> tuple[str, list[int], bytes]:
    if not isinstance(tensor, np.ndarray):
        msg = f"{name!r} is a {type(tensor).__name__}, not an array"
        raise TypeError(msg)
    if tensor.dtype.kind in _RAW_KINDS:
        return tensor.dtype.str, list(tensor.shape), tensor.tobytes()
    if tensor.dtype.kind != _OBJECTS:
        msg = f"{name!r} is an array of {tensor.dtype}, neither numbers nor texts"
        raise TypeError(msg)
    return _OBJECTS, list(tensor.shape), _packed_objects(name, tensor.ravel().tolist())


def _packed_objects(name: str, values: list[object]) -> bytes:
    texts = bytes(_TEXT if isinstance(value, str) else 0 for value in values)
    octets = [_octets(name, value) for value in values]
    return b"".join([np.array([len(each) for each in octets], _LENGTH).tobytes(), texts, *octets])


def _octets(name: str, value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    msg = f"{name!r} holds a {type(value).__name__} where texts are due"
    raise TypeError(msg)


def _unpacked(code: str, shape: list[int], data: memoryview) -> Tensor:
    if code != _OBJECTS:
        return np.frombuffer(data, np.dtype(code)).reshape(shape)
    count = math.prod(shape)
    lengths = np.frombuffer(data[: count * _LENGTH.itemsize], _LENGTH).tolist()
    at = count * _LENGTH.itemsize
    texts, at = data[at : at + count], at + count
    tensor = np.empty(count, object)
    for index, length in enumerate(lengths):
        octets = bytes(data[at : at + length])
        tensor[index] = octets.decode() if texts[index] == _TEXT else octets
        at += length
    return tensor.reshape(shape)


def _exactly(link: socket.socket, size: int) -> bytearray:
    whole = bytearray(size)
    view = memoryview(whole)
    while view:
        try:
            got = link.recv_into(view)
        except ConnectionResetError as error:
            raise HungUp from error
        if not got:
            raise HungUp
        view = view[got:]
    return whole
