"""Files that travel: what is sent is hashed on its way, and what comes in pieces is read like a file."""

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from registry_client.errors import DigestMismatch
from registry_client.files import CHUNK, chunks
from registry_client.manifest import Artifact


def verified(source: BinaryIO, artifact: Artifact) -> Iterator[bytes]:
    """The pieces of a file. In place of the last one comes `DigestMismatch` unless they were the right ones: they never arrive whole."""
    hasher, held = hashlib.sha256(), b""
    for chunk in chunks(source):
        if held:
            yield held
        hasher.update(chunk)
        held = chunk
    if hasher.hexdigest() != artifact.sha256:
        what = f"{artifact.path}, a file that changed while it was published"
        raise DigestMismatch(what, expected=artifact.sha256, actual=hasher.hexdigest())
    yield held


def as_file(pieces: Iterable[bytes], artifact: Artifact, close: Callable[[], None]) -> BinaryIO:
    """A download as a file, which `close` ends. Reading raises `DigestMismatch` when there is more of it than the manifest says."""
    return io.BufferedReader(_Pieces(_bounded(pieces, artifact), close), CHUNK)


def _bounded(pieces: Iterable[bytes], artifact: Artifact) -> Iterator[bytes]:
    count = 0
    for piece in pieces:
        count += len(piece)
        if count > artifact.size:
            what = f"{artifact.path}, of which more than {artifact.size} bytes came"
            raise DigestMismatch(what, expected=artifact.sha256, actual="another")
        yield piece


class _Pieces(io.RawIOBase):
    def __init__(self, pieces: Iterator[bytes], close: Callable[[], None]) -> None:
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
