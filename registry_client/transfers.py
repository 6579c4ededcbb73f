"""Bytes on their way to a disk: hashed as they go, in blocks, while somebody is told how far they are.

What is written is what is hashed: nothing is read twice, and nothing is believed that was not hashed.
"""

import errno
import hashlib
import io
import itertools
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from registry_client.errors import FileTooLarge, NotEnoughRoom

BLOCK = 2**19
"""Bytes that are read and hashed at once."""

_WRITTEN = 2**17
"""Bytes that are written at once, as cp does. Linux keeps them in memory that lies together, and large stretches may be slow to be had."""

_SMALL = 2**22
"""Bytes up to which threads cost more than they save."""
_WAITING = 8
"""Blocks that may be written and not yet hashed."""
_SETTLED = 2**26
"""Bytes after which the disk is asked to begin: at the end less is left to wait for."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

Piece = bytes | memoryview

FreeSpace = Callable[[Path], int]
"""Bytes that may still be written where a folder is, or will be."""


@dataclass(frozen=True, slots=True)
class Moved:
    """How far a file is: `done` of `size` bytes; `what` is its name in the bundle. A `Tally` tells it of all, with the one in hand."""

    what: str
    done: int
    size: int


Told = Callable[[Moved], None]
"""Told often, from the thread that moves the bytes, and must be quick."""


def nobody(_moved: Moved) -> None:
    """Where nobody wants to know."""


class Tally:
    """Is told how far each of several files is, and tells how far all of them are. `size`: bytes of those that are known of."""

    def __init__(self, told: Told, size: int = 0) -> None:
        self._told, self._size = told, size
        self._each = dict[str, int]()
        self._done = 0

    def expect(self, size: int) -> None:
        """So many bytes more will come."""
        self._size += size

    def __call__(self, moved: Moved) -> None:
        """Take note, and tell; a file may also go back."""
        self._done += moved.done - self._each.get(moved.what, 0)
        self._each[moved.what] = moved.done
        self._told(Moved(moved.what, self._done, self._size))


def free_space(folder: Path) -> int:
    """Bytes that this user may still write where a folder is, or will be."""
    found = _file_system(folder)
    return found.f_bavail * found.f_frsize


def _file_system(folder: Path) -> os.statvfs_result:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.statvfs(folder)


def _limit(folder: Path, error: OSError) -> str:
    """What there is no more of, though there may be bytes."""
    if error.errno == errno.EDQUOT:
        return "this user has a quota there"
    found = _file_system(folder)
    return "" if found.f_favail or not found.f_files else "the file system has no room for more files"


def refuse_without_room(folder: Path, needed: int, free: FreeSpace = free_space) -> None:
    """Raise `NotEnoughRoom` unless so many bytes can be written where a folder is, or will be."""
    if needed and (left := free(folder)) < needed:
        raise NotEnoughRoom(str(folder), needed, left)


@contextmanager
def filling(folder: Path, free: FreeSpace = free_space) -> Generator[None]:
    """Say in our words that the disk filled up after all, or that a file may not become that large there."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise NotEnoughRoom(str(folder), None, free(folder), _limit(folder, error)) from error
        if error.errno == errno.EFBIG:
            raise FileTooLarge(str(folder)) from error
        raise


class Watched(io.BufferedReader):
    """A file that tells how far it was read."""

    def __init__(self, file: io.BufferedReader, what: str, size: int, told: Told) -> None:
        super().__init__(file.detach())
        self._what, self._size, self._told = what, size, told
        self._done = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Read, and tell."""
        piece = super().read(size)
        self._moved(self._done + len(piece))
        return piece

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]  # the Buffer of the base is new in Python 3.12
        """Read, and tell."""
        count = super().readinto(buffer)
        self._moved(self._done + count)
        return count

    def seek(self, target: int, whence: int = io.SEEK_SET, /) -> int:
        """Go elsewhere, and tell."""
        self._moved(super().seek(target, whence))
        return self._done

    def _moved(self, done: int) -> None:
        self._done = done
        self._told(Moved(self._what, done, self._size))


class Landing:
    """A file that is being written: one thread hashes it and another puts it on the disk while more of it comes.

    Use it as a context, from one thread. `file` is open for writing, where the next byte belongs.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hasher = hashlib.sha256()
        self._pools = ThreadPoolExecutor(1), ThreadPoolExecutor(1)  # their threads start when there is something to do
        self._hashed = deque[Future[None]]()
        self._settling: Future[None] | None = None
        self._unsettled = 0
        self.done = 0
        """Bytes that were taken."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pool in self._pools:
            pool.shutdown(cancel_futures=True)

    def recall(self, stands: BinaryIO) -> None:
        """Take what is left to read of the file itself: it need not be written again."""
        for piece in blocks(stands):
            self._hash(piece)
            self.done += len(piece)

    def pour(self, source: BinaryIO) -> Iterator[int]:
        """Take what is left to read of a file; after each block, how many bytes there are. Raises `OSError`."""
        for piece in blocks(source):
            self.write(piece)
            yield self.done

    def write(self, piece: Piece) -> None:
        """Take the next piece, which must stay as it is for as many more as may wait. Raises `OSError`."""
        self._hash(piece)
        for start in range(0, len(piece), _WRITTEN):
            self._file.write(memoryview(piece)[start : start + _WRITTEN])
        self.done += len(piece)
        self._unsettled += len(piece)
        if self._unsettled >= _SETTLED and (self._settling is None or self._settling.done()):
            self._unsettled = 0
            self._settling = self._pools[1].submit(os.fdatasync, self._file.fileno())

    def settle(self) -> str:
        """Wait until all of it is on the disk; the sha256 of all that was taken. Raises `OSError`."""
        self._file.flush()
        if self._settling is not None:
            self._settling.result()
        os.fsync(self._file.fileno())
        while self._hashed:
            self._hashed.popleft().result()
        return self._hasher.hexdigest()

    def _hash(self, piece: Piece) -> None:
        if self.done < _SMALL:
            self._hasher.update(piece)
            return
        self._hashed.append(self._pools[0].submit(self._hasher.update, piece))
        if len(self._hashed) > _WAITING:
            self._hashed.popleft().result()


def blocks(file: BinaryIO) -> Iterator[Piece]:
    """What is left to read of a file, for a `Landing`: a buffer is used again once it is through with it; fresh ones cost a fifth more."""
    if not isinstance(file, io.BufferedIOBase | io.RawIOBase):
        while piece := file.read(BLOCK):
            yield piece
        return
    buffers = list[bytearray]()
    for number in itertools.count():
        if len(buffers) < _WAITING + 2:
            buffers.append(bytearray(BLOCK))
        buffer = buffers[number % (_WAITING + 2)]
        if not (count := file.readinto(buffer)):
            return
        yield memoryview(buffer)[:count]
