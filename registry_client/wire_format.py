"""The protobuf wire format, as far as walking a message needs it: no schema, no library, nothing copied."""

from collections.abc import Iterator
from dataclasses import dataclass

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10
"""Bytes; a longer one is no 64-bit number."""


class NotProtobuf(ValueError):
    """Bytes that are no protobuf message."""

    def __init__(self) -> None:
        super().__init__("the bytes are no protobuf message")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message: its number, its wire type, and its bytes as they stand (without their length)."""

    number: int
    wire: int
    content: memoryview

    @property
    def text(self) -> str:
        """The content as text. Raises `NotProtobuf`."""
        try:
            return bytes(self.content).decode()
        except UnicodeDecodeError as error:
            raise NotProtobuf from error

    @property
    def integer(self) -> int:
        """The value of a varint."""
        return _varint(self.content, 0)[0]


def fields(message: memoryview) -> Iterator[Field]:
    """The fields of a message, in their order. Raises `NotProtobuf`."""
    at, end = 0, len(message)
    while at < end:
        key, at = _varint(message, at)
        start, at = _extent(message, at, key & 7)
        if at > end or key >> 3 == 0:
            raise NotProtobuf
        yield Field(key >> 3, key & 7, message[start:at])


def integers(field: Field) -> Iterator[int]:
    """The numbers of a repeated integer field, packed or not. Raises `NotProtobuf`."""
    at = 0
    while at < len(field.content):
        value, at = _varint(field.content, at)
        yield value


def _extent(message: memoryview, at: int, wire: int) -> tuple[int, int]:
    if wire == BYTES:
        size, at = _varint(message, at)
        return at, at + size
    if wire == VARINT:
        return at, _varint(message, at)[1]
    if wire in {FIXED64, FIXED32}:
        return at, at + (8 if wire == FIXED64 else 4)
    raise NotProtobuf


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for place in range(_LONGEST_VARINT):
        if at + place >= len(message):
            break
        byte = message[at + place]
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:  # noqa: PLR2004 - the continuation bit of a varint
            return value, at + place + 1
    raise NotProtobuf
