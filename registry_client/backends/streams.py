"""Files that travel: what is sent is hashed on its way, and what comes in pieces is read like a file."""

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from registry_client.errors import DigestMismatch
from registry_client.files import CHUNK, chunks
from registry_client.manifest import Artifact


def verified(source: BinaryIO, artifact: Artifact) -> Iterator[bytes]:
    """The pieces of a file, and after them `DigestMismatch` unless they were the right ones: whoever sends them must then give up."""
    hasher = hashlib.sha256()
    for chunk in chunks(source):
        hasher.update(chunk)
        yield chunk
    if hasher.hexdigest() != artifact.sha256:
        what = f"{artifact.path}, a file that changed while it was published"
        raise DigestMismatch(what, expected=artifact.sha256, actual=hasher.hexdigest())


def as_file(pieces: Iterable[bytes | memoryview], close: Callable[[], None]) -> BinaryIO:
    """What comes in pieces, as a file; `close` is called when it is closed."""
    return io.BufferedReader(_Pieces(iter(pieces), close), CHUNK)


class _Pieces(io.RawIOBase):
    def __init__(self, pieces: Iterator[bytes | memoryview], close: Callable[[], None]) -> None:
        self._pieces, self._close = pieces, close
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]  # the Buffer of the base is new in Python 3.12
        into = memoryview(buffer)
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        count = min(len(into), len(self._left))
        into[:count], self._left = self._left[:count], self._left[count:]
        return count

    def close(self) -> None:
        if not self.closed:
            self._close()
        super().close()
