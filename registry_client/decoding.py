"""Documents into typed objects, safely among threads.

msgspec (0.22, CPython 3.11) keeps a record of every type that it decodes, makes it at the first use, and takes no lock while it does:
threads that were the first to decode a manifest crashed the process. Here the first use of a type is one thread's at a time.
"""

from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

DecHook = Callable[[type, Any], Any]

_first = Lock()
_known = set[object]()


def make_known(kind: object) -> None:
    """Have msgspec make its record of a type, and of all that are in it, unless it has."""
    if kind not in _known:
        with _first:
            msgspec.json.Decoder(kind)
            _known.add(kind)


def from_json(document: bytes | str, kind: type[T], *, strict: bool = True) -> T:
    """Decode JSON. Raises `msgspec.DecodeError`, `RecursionError` and, of text that is none, `ValueError`."""
    make_known(kind)
    return msgspec.json.decode(document, type=kind, strict=strict)


def from_msgpack(document: bytes, kind: type[T]) -> T:
    """Decode MessagePack. Raises `msgspec.MsgspecError` and `ValueError`."""
    make_known(kind)
    return msgspec.msgpack.decode(document, type=kind)


def from_plain(value: object, kind: type[T], *, strict: bool = True, dec_hook: DecHook | None = None) -> T:
    """Convert what a parser has made of a document; the rest as of `msgspec.convert`. Raises `msgspec.ValidationError`."""
    make_known(kind)
    return msgspec.convert(value, kind, strict=strict, dec_hook=dec_hook)
