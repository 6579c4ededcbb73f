"""Reading files that nobody vouches for: regular ones only, inside their directory, hashed as they are read."""

import errno
import hashlib
import io
import os
import re
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from registry_client.errors import DigestMismatch, InvalidBundle
from registry_client.formats import HEAD, foreign_format
from registry_client.transfers import Landing, filling

CHUNK = 2**20

_TAKEN = frozenset({errno.ENOTEMPTY, errno.EEXIST})
_NO_FILE = frozenset({errno.ELOOP, errno.ENXIO, errno.ENODEV})
"""A link, a socket, a device without a driver."""

_BINARY_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_TEXT_PICKLE = re.compile(rb"\(*c[A-Za-z_][\w.]*\n[A-Za-z_][\w.]*\n[(p-q)]")
_PICKLE_END = b"."
_ONNX_HINT = "export the model to ONNX: unpickling runs whatever code the file holds"
_PICKLED = frozenset({".pkl", ".pickle", ".joblib", ".dill"})


@dataclass(frozen=True, slots=True)
class Measured:
    """What a file is, as far as a manifest says it."""

    size: int
    sha256: str


def open_regular(directory: Path, path: str) -> io.BufferedReader:
    """Open a file of a directory for reading. Raises `InvalidBundle` for whatever is not a plain file inside it."""
    inside = Path(os.path.realpath(directory)) / path
    try:
        if Path(os.path.realpath(inside)) != inside:
            raise InvalidBundle(path, "is, or lies behind, a symbolic link", "put the file itself into the bundle")
        # O_NONBLOCK: opening a FIFO must not wait for somebody to write into it.
        descriptor = os.open(inside, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise InvalidBundle(path, "there is no such file in the bundle") from error
    except OSError as error:
        raise InvalidBundle(path, f"cannot be read: {error.strerror}") from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise InvalidBundle(path, "is not a regular file")
    if found.st_nlink > 1:
        os.close(descriptor)
        raise InvalidBundle(path, "has a second name (a hard link), under which it could be changed", "put a copy into the bundle")
    return os.fdopen(descriptor, "rb")


def open_plain(path: Path) -> BinaryIO:
    """Open a file for reading, without waiting. Raises `FileNotFoundError` where there is none, or a link, a pipe, a folder or a device."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _NO_FILE:
            raise FileNotFoundError(errno.ENOENT, "there is no plain file", str(path)) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileNotFoundError(errno.ENOENT, "it is no plain file", str(path))
    return os.fdopen(descriptor, "rb")


def read_regular(directory: Path, path: str, *, most: int) -> bytes:
    """The content of a file of a directory, of at most `most` bytes and one more that tells there are more."""
    with open_regular(directory, path) as file:
        return file.read(most + 1)


def measure(file: BinaryIO) -> Measured:
    """Size and sha256 of what is left to read of a file."""
    size, hasher = 0, hashlib.sha256()
    for chunk in chunks(file):
        size += len(chunk)
        hasher.update(chunk)
    return Measured(size, hasher.hexdigest())


def chunks(file: BinaryIO) -> Iterator[bytes]:
    """What is left to read of a file, piece by piece."""
    while chunk := file.read(CHUNK):
        yield chunk


def write_verified(source: BinaryIO, path: Path, digest: str, *, what: str, told: Callable[[int], None] | None = None) -> None:
    """Copy into a new file, hashing on the way, and put it on the disk; `told` how many bytes are there.

    Raises `DigestMismatch` when other bytes came than were asked for; then there is no file.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o444)
    with os.fdopen(descriptor, "wb") as target, Landing(target) as landing:
        for done in landing.pour(source):
            if told is not None:
                told(done)
        actual = landing.settle()
    if actual != digest:
        path.unlink()
        raise DigestMismatch(what, expected=digest, actual=actual)


@contextmanager
def staging(parent: Path) -> Generator[Path]:
    """A private directory for what is not finished; what is still in it at the end is removed. Raises `NotEnoughRoom` for a full disk.

    A kill leaves it behind under a name that nothing reads.
    """
    with filling(parent):
        make_directory(parent)
        directory = Path(tempfile.mkdtemp(dir=parent))
    try:
        with filling(parent):  # before anything is removed: what is free then is not what was lacking
            yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def make_directory(directory: Path) -> None:
    """Create a directory and those above it, each put on the disk."""
    if not directory.is_dir():
        make_directory(directory.parent)
        directory.mkdir(exist_ok=True)
        sync_directory(directory.parent)


def move_into_place(whole: Path, target: Path) -> bool:
    """Rename a finished directory to its name, unless one with content has it already; whether it was new."""
    make_directory(target.parent)
    try:
        whole.rename(target)
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        raise
    sync_directory(target.parent)
    return True


def sync_directory(directory: Path) -> None:
    """Put a directory's entries on the disk: a file's own fsync does not."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_directories(top: Path) -> None:
    """Put the entries of a directory and of all below it on the disk."""
    for place, _, _ in os.walk(top):
        sync_directory(Path(place))


def write_synced(path: Path, content: bytes) -> None:
    """Write a new small file, and put it on the disk."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def refuse_foreign(file: BinaryIO, path: str, *, is_graph: bool) -> None:
    """Raise `InvalidBundle` for what would run code when it is loaded, and, where a graph belongs, for any other format.

    By name and by content. Leaves the file at its start.
    """
    head = file.read(CHUNK)
    found = foreign_format(path, head[:HEAD])
    if head.startswith(b"PK") and _holds_pickles(file):
        raise InvalidBundle(path, "it is an archive that holds pickles", _ONNX_HINT)
    if (_BINARY_PICKLE.match(head) or _TEXT_PICKLE.match(head)) and _last_byte(file) == _PICKLE_END:
        raise InvalidBundle(path, "its content is a pickle, whatever its name says", _ONNX_HINT)
    if found is not None and (found.is_code or is_graph):
        raise InvalidBundle(path, f"it is {found.name}, which is never loaded", found.hint)
    file.seek(0)


def _holds_pickles(file: BinaryIO) -> bool:
    try:
        with zipfile.ZipFile(file) as archive:  # reads the table of contents, unpacks nothing
            return any(Path(name).suffix in _PICKLED for name in archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return False


def _last_byte(file: BinaryIO) -> bytes:
    file.seek(-1, io.SEEK_END)
    return file.read(1)
