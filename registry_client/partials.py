"""Files that are not all here yet, each under its digest: whoever fetches one goes on where an earlier try ended, also after kill -9.

FOLDER/<digest>     the beginning of a file; what it is worth is known only when the whole of it has that digest
FOLDER.turns        always empty: of each file that is being fetched one byte of it is locked

One process at a time writes one, and the others wait for it: they want the same bytes. The lock ends with its holder. It is not on the file
itself, which the others would have to open for that: whoever opens it ends the `Lease` of the one who writes it.
"""

import fcntl
import os
import struct
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Final

from registry_client.errors import DigestMismatch, InvalidManifest, NoParts
from registry_client.files import make_directory
from registry_client.leases import Lease
from registry_client.manifest import Artifact
from registry_client.origins import Origin
from registry_client.seals import Stamp
from registry_client.transfers import FreeSpace, Landing, Moved, filling, free_space

PATIENCE_S: Final = 30.0
"""How long a file that another process fetches may stay as it is before this one fetches it itself."""

_LOOKS_S: Final = 0.05


class Turn(StrEnum):
    """When it is this process's turn to write a file."""

    AT_ONCE = "at once"
    AFTERWARDS = "after somebody else"
    NEVER = "never: somebody else has it, and stands still"


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole file, verified and on the disk, at `path` until it is moved away. It must not be opened there: see `Lease`."""

    path: Path
    file: BinaryIO
    lease: Lease

    def stamp(self) -> Stamp | None:
        """What the file is now, if that is known to be what was hashed while it was written; None where it must be hashed again."""
        stamp = Stamp.of(self.file)
        has_one_name = os.fstat(self.file.fileno()).st_nlink == 1
        return stamp if has_one_name and self.lease.is_whole() else None


class Partials:
    """The unfinished files of one cache. `wrong` is told of one whose content was another."""

    def __init__(self, folder: Path, wrong: Callable[[str], None], patience_s: float = PATIENCE_S, free: FreeSpace = free_space) -> None:
        self._folder, self._wrong, self._patience, self._free = folder, wrong, patience_s, free

    def size(self, artifact: Artifact) -> int:
        """How many bytes of a file are there."""
        try:
            return min((self._folder / artifact.sha256).stat().st_size, artifact.size)
        except FileNotFoundError:
            return 0

    @contextmanager
    def whole(self, artifact: Artifact, origin: Origin, aside: Path) -> Generator[Whole | None]:
        """The whole file, for the caller to move away before anybody else can have it.

        None when another process had it meanwhile and moved it away: look again. From one that stands still nothing is waited for; then
        the file is fetched to `aside`. Raises `DigestMismatch`, `NotEnoughRoom` and what the registry raises; what came stays, then.
        """
        make_directory(self._folder)
        path = self._folder / artifact.sha256
        with _opened(self._folder.with_suffix(".turns")) as turns:
            place = _place(self._turn(turns, artifact, origin), path, aside)
            if place is None:
                yield None
                return
            with _opened(place) as file, Lease(file) as lease:
                self._fill(file, place, artifact, origin)
                yield Whole(place, file, lease)

    def _turn(self, turns: BinaryIO, artifact: Artifact, origin: Origin) -> Turn:
        """Wait until it is this process's turn; who has it tells how far it is by the size of the file."""
        if take_turn(turns, artifact.sha256):
            return Turn.AT_ONCE
        seen, since = -1, time.monotonic()
        while not take_turn(turns, artifact.sha256):
            size = self.size(artifact)
            if size != seen:
                seen, since = size, time.monotonic()
                origin.told(Moved(artifact.path, size, artifact.size))
            elif time.monotonic() - since > self._patience:
                return Turn.NEVER
            time.sleep(_LOOKS_S)
        return Turn.AFTERWARDS

    def _fill(self, file: BinaryIO, path: Path, artifact: Artifact, origin: Origin) -> None:
        begun = os.fstat(file.fileno()).st_size
        if begun > artifact.size:
            begun = self._emptied(file, path)
        with filling(path.parent, self._free):
            try:
                actual = _completed(file, artifact, origin)
            except NoParts:
                file.truncate(0)
                actual, begun = _completed(file, artifact, replace(origin, read_span=None)), 0
            if actual != artifact.sha256 and begun:
                self._emptied(file, path)
                actual = _completed(file, artifact, origin)
        if actual != artifact.sha256:
            path.unlink()
            raise DigestMismatch(artifact.path, expected=artifact.sha256, actual=actual)
        refuse_another_size(artifact, os.fstat(file.fileno()).st_size)

    def _emptied(self, file: BinaryIO, path: Path) -> int:
        self._wrong(str(path))
        file.truncate(0)
        return 0


def refuse_another_size(artifact: Artifact, size: int) -> None:
    """Raise `InvalidManifest` unless a file has the size that is stated: how much memory a version may take follows from it."""
    if size != artifact.size:
        raise InvalidManifest(reason=f"{artifact.path} has {artifact.size} bytes by the manifest, and {size} by its digest")


def _completed(file: BinaryIO, artifact: Artifact, origin: Origin) -> str:
    """Hash what stands there, add what is lacking; the digest of all of it."""
    file.seek(0)
    with Landing(file) as landing:
        landing.recall(file)
        if landing.done < artifact.size:
            origin.told(Moved(artifact.path, landing.done, artifact.size))
            for piece in origin.pieces(artifact, landing.done):
                landing.write(piece)
                origin.told(Moved(artifact.path, landing.done, artifact.size))
        return landing.settle()


def _opened(path: Path) -> BinaryIO:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    return os.fdopen(descriptor, "r+b")


def _place(turn: Turn, path: Path, aside: Path) -> Path | None:
    match turn:
        case Turn.AT_ONCE:
            return path
        case Turn.AFTERWARDS:
            return path if path.exists() else None
        case Turn.NEVER:
            return aside


def take_turn(turns: BinaryIO, digest: str) -> bool:
    """Whether it is the turn of whoever opened that file to write the one of this digest, and it stays so until it is closed."""
    start = int(digest[:15], 16)  # no two files of a cache have the same; where two had, they would be fetched one after the other
    lock = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, start, 1, 0)  # struct flock of <fcntl.h>
    try:
        fcntl.fcntl(turns, fcntl.F_OFD_SETLK, lock)  # not of the process, but of who opened it: threads exclude each other too
    except BlockingIOError:
        return False
    return True
