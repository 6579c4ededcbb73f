"""The files of a cache, by digest: small ones as copies of their own, large ones once, in the bundle that has them.

ROOT/blobs/sha256/ab/<digest>     a file, or a link to a large one in some bundle, which other bundles are given copies of
ROOT/partial/<digest>             the beginning of a large file that is being fetched
ROOT/partial.turns                who fetches which of them
"""

import os
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

from registry_client.errors import DigestMismatch
from registry_client.files import make_directory, staging, sync_directory, write_verified
from registry_client.manifest import Artifact
from registry_client.origins import Origin
from registry_client.partials import PATIENCE_S, Partials, Whole, refuse_another_size
from registry_client.transfers import FreeSpace, Moved, free_space

LARGE: Final = 2**24
"""Bytes from which on a file is kept once, and its fetching goes on where it ended."""


@dataclass(frozen=True, slots=True)
class Housekeeping:
    """How a cache keeps files. `large`: bytes; `patience_s`: how long a file that another process fetches may stand still."""

    large: int = LARGE
    patience_s: float = PATIENCE_S
    free: FreeSpace = free_space


class Blobs:
    """The files below a cache's root; `repaired` is told of what is not what its name says."""

    def __init__(self, root: Path, repaired: Callable[[str], None], keeping: Housekeeping) -> None:
        self._root, self._repaired, self._keeping = root, repaired, keeping
        self._staging = root / ".staging"
        self._partials = Partials(root / "partial", repaired, keeping.patience_s, keeping.free)

    def is_large(self, artifact: Artifact) -> bool:
        """Whether a file is kept once."""
        return artifact.size >= self._keeping.large

    def needed(self, artifacts: Iterable[Artifact]) -> int:
        """Bytes that a bundle of these files takes, less what is here of them."""
        return sum(self._needed(artifact) for artifact in artifacts)

    def _needed(self, artifact: Artifact) -> int:
        if self.is_large(artifact):
            return artifact.size - self._partials.size(artifact)
        return artifact.size if self._path(artifact).exists() else 2 * artifact.size

    def copy(self, artifact: Artifact, target: Path, origin: Origin) -> None:
        """A verified copy of a small file, which is fetched unless it is here.

        Raises `DigestMismatch`, `InvalidManifest` for one of another size, and what the registry raises.
        """
        self._copy(artifact, target, origin)
        refuse_another_size(artifact, target.stat().st_size)

    def _copy(self, artifact: Artifact, target: Path, origin: Origin) -> None:
        path = self._path(artifact)
        try:
            with path.open("rb") as source:
                write_verified(source, target, artifact.sha256, what=artifact.path)
        except FileNotFoundError:
            self._fetch(artifact, path, origin)
        except DigestMismatch:
            self._remove(path)
            self._fetch(artifact, path, origin)
        else:
            return
        with path.open("rb") as source:
            write_verified(source, target, artifact.sha256, what=artifact.path)

    def _fetch(self, artifact: Artifact, path: Path, origin: Origin) -> None:
        make_directory(path.parent)
        with staging(self._staging) as unfinished, origin.open_file(artifact) as source:
            tell = partial(_tell, origin, artifact)
            write_verified(source, unfinished / "blob", artifact.sha256, what=artifact.path, told=tell)
            (unfinished / "blob").replace(path)
        sync_directory(path.parent)

    @contextmanager
    def whole(self, artifact: Artifact, origin: Origin, aside: Path) -> Generator[Whole | None]:
        """A large file, from a bundle that has it or from the registry, to be moved away; as `Partials.whole`."""
        path = self._path(artifact)
        with ExitStack() as held:
            if path.exists():
                try:
                    whole = held.enter_context(self._partials.whole(artifact, _kept(path, origin), aside))
                except (DigestMismatch, FileNotFoundError):
                    self._remove(path)
                else:
                    yield whole
                    return
            yield held.enter_context(self._partials.whole(artifact, origin, aside))

    def point(self, artifact: Artifact, place: Path) -> None:
        """Remember in which bundle a large file is."""
        path = self._path(artifact)
        make_directory(path.parent)
        with staging(self._staging) as unfinished:
            link = unfinished / "link"
            link.symlink_to(os.path.relpath(place, path.parent))
            link.replace(path)

    def _remove(self, path: Path) -> None:
        self._repaired(str(path))
        path.unlink(missing_ok=True)

    def _path(self, artifact: Artifact) -> Path:
        return self._root / "blobs" / "sha256" / artifact.sha256[:2] / artifact.sha256


def _kept(path: Path, origin: Origin) -> Origin:
    def opened(_artifact: Artifact) -> BinaryIO:
        return path.open("rb")

    return replace(origin, open_file=opened, read_span=None)


def _tell(origin: Origin, artifact: Artifact, done: int) -> None:
    origin.told(Moved(artifact.path, done, artifact.size))
