"""Where a file comes from: as one stream, or in parts of which several are on their way at once, from wherever an earlier try ended."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, Final

from registry_client.errors import AccessRefused, NoParts, RegistryUnavailable
from registry_client.manifest import Artifact
from registry_client.transfers import Piece, Told, blocks, nobody

PART: Final = 2**23
"""Bytes that are asked for at once, where parts are. In memory are as many of them as are on their way, and one more."""

AT_ONCE: Final = 4
"""Parts on their way at once, where nothing else is set."""

PAUSES: Final = (0.1, 0.5, 2.0)
"""Seconds before a part that did not come is asked for again."""

OpenFile = Callable[[Artifact], BinaryIO]
"""Opens a file of a published version in the registry."""

ReadSpan = Callable[[Artifact, int, int], bytes]
"""Reads so many bytes of a file, from an offset on. Raises `NoParts`."""


@dataclass(frozen=True, slots=True)
class Parts:
    """How files are had in parts: so many at once, of so many bytes, each asked for again after so many seconds if it did not come."""

    at_once: int = AT_ONCE
    size: int = PART
    pauses: tuple[float, ...] = PAUSES


@dataclass(frozen=True, slots=True)
class Origin:
    """A place that has a version's files, and who is told how far each is. Without `read_span` files come as one stream."""

    open_file: OpenFile
    read_span: ReadSpan | None = None
    parts: Parts = Parts()
    told: Told = nobody

    def pieces(self, artifact: Artifact, start: int) -> Iterator[Piece]:
        """A file from an offset on, for a `Landing`.

        Raises what the registry raises, and `NoParts` when it can only be had from its beginning.
        """
        if self.read_span is not None and (start or (self.parts.at_once > 1 and artifact.size > self.parts.size)):
            came = start
            try:
                for piece in self._in_parts(artifact, partial(self._read, self.read_span), start):
                    yield piece
                    came += len(piece)
            except NoParts:
                if came:
                    raise
            else:
                return
        with self.open_file(artifact) as source:
            if start:
                _skip(source, start)
            yield from blocks(source)

    def _in_parts(self, artifact: Artifact, read: ReadSpan, start: int) -> Iterator[bytes]:
        """In their order, so that whoever writes them has the beginning of the file at any moment, without a gap."""
        coming = deque[Future[bytes]]()
        part, at_once = self.parts.size, self.parts.at_once
        pool = ThreadPoolExecutor(at_once)
        try:
            for offset in range(start, artifact.size, part):
                coming.append(pool.submit(read, artifact, offset, min(part, artifact.size - offset)))
                if len(coming) >= at_once:
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # what is on its way may hang until its time is over

    def _read(self, read: ReadSpan, artifact: Artifact, offset: int, length: int) -> bytes:
        for pause in self.parts.pauses:
            try:
                return read(artifact, offset, length)
            except AccessRefused:
                raise
            except RegistryUnavailable:
                time.sleep(pause)
        return read(artifact, offset, length)


def _skip(source: BinaryIO, start: int) -> None:
    if not source.seekable():
        raise NoParts
    source.seek(start)
