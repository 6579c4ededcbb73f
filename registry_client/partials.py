"""Files that are not all here yet, each under its digest: whoever fetches one goes on where an earlier try ended, also after kill -9.

FOLDER/<digest>     the beginning of a file; what it is worth is known only when the whole of it has that digest

One process at a time writes one, and the others wait for it: they want the same bytes. It is locked by flock, which ends with its holder.
"""

import fcntl
import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Final

from registry_client.errors import DigestMismatch, InvalidManifest, NoParts
from registry_client.files import make_directory
from registry_client.manifest import Artifact
from registry_client.origins import Origin
from registry_client.transfers import FreeSpace, Landing, Moved, filling, free_space

PATIENCE_S: Final = 30.0
"""How long a file that another process fetches may stay as it is before this one fetches it itself."""

_LOOKS_S: Final = 0.05


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
    def whole(self, artifact: Artifact, origin: Origin, aside: Path) -> Generator[Path | None]:
        """The whole file, verified and on the disk, for the caller to move away before anybody else can have it.

        None when another process had it meanwhile and moved it away: look again. From one that stands still nothing is waited for; then
        the file is fetched to `aside`. Raises `DigestMismatch`, `NotEnoughRoom` and what the registry raises; what came stays, then.
        """
        make_directory(self._folder)
        path = self._folder / artifact.sha256
        with _opened(path) as shared:
            if not self._locked(shared, artifact, origin):
                with _opened(aside) as own:
                    self._fill(own, aside, artifact, origin)
                yield aside
            elif _is_at(shared, path):
                self._fill(shared, path, artifact, origin)
                yield path
            else:
                yield None

    def _locked(self, file: BinaryIO, artifact: Artifact, origin: Origin) -> bool:
        """Whether this process has it now, after whoever else had it."""
        seen, since = -1, time.monotonic()
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                size = os.fstat(file.fileno()).st_size
                if size != seen:
                    seen, since = size, time.monotonic()
                    origin.told(Moved(artifact.path, min(size, artifact.size), artifact.size))
                elif time.monotonic() - since > self._patience:
                    return False
                time.sleep(_LOOKS_S)
            else:
                return True

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


def _is_at(file: BinaryIO, path: Path) -> bool:
    try:
        there = path.lstat()
    except FileNotFoundError:
        return False
    mine = os.fstat(file.fileno())
    return (there.st_ino, there.st_dev) == (mine.st_ino, mine.st_dev)
