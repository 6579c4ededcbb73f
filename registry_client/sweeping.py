"""Sweeping the cache: takes away the copies of versions that nobody needs here any more. The registry itself is never touched.

What is taken away is fetched again when it is needed after all. A version is taken as a whole, by a rename, so that whoever loads it at the
same moment has either all of it or none.
"""

import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from registry_client.errors import InvalidManifest
from registry_client.files import staging
from registry_client.manifest import Manifest, parse_manifest

FRESH_S: Final = 3600.0
"""What is younger is left: somebody may be about to use it."""


@dataclass(frozen=True, slots=True)
class Swept:
    """One thing that was taken away, or would be. `size`: bytes."""

    kind: str
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class CacheSweep:
    """One pass over a cache. `needed`: the digests of manifests that must be left; `now`: seconds since the epoch."""

    root: Path
    needed: Collection[str]
    now: float
    is_rehearsal: bool = False
    manifests: dict[str, Manifest] = field(default_factory=dict[str, Manifest])
    """Of what is left, for whoever keeps things by what they name."""

    def run(self) -> Iterator[Swept]:
        """Take away what is not needed, and say what it was."""
        for path in _entries(self.root / "manifests"):
            yield from self._manifest(path)
        for path in _entries(self.root / "bundles"):
            if path.name not in self.manifests:
                yield from self.take("bundle", path)
        for path in _entries(self.root / "components"):
            yield from self.take("component", path)  # read only while a bundle is made with it
        blobs = {artifact.sha256 for manifest in self.manifests.values() for artifact in manifest.artifacts}
        for folder in _entries(self.root / "blobs" / "sha256"):
            for path in _entries(folder):
                if path.name not in blobs:
                    yield from self.take("file", path)
        yield from self._unfinished()

    def _unfinished(self) -> Iterator[Swept]:
        """What nobody went on with; a file that still grows is fresh."""
        for path in _entries(self.root / "partial"):
            yield from self.take("partial file", path)
        for path in _entries(self.root / "uploads"):
            yield from self.take("note of an upload", path)
        for path in _entries(self.root / ".staging"):
            yield from self.take("unfinished", path)

    def _manifest(self, path: Path) -> Iterator[Swept]:
        digest = path.stem
        manifest = _read(path)
        if manifest is not None and (digest in self.needed or self._is_fresh(path)):
            self.manifests[digest] = manifest
        else:
            yield from self.take("manifest", path)

    def take(self, kind: str, path: Path) -> Iterator[Swept]:
        """Take one thing away unless it is fresh."""
        if self._is_fresh(path):
            return
        swept = Swept(kind, path.name, size_of(path))
        if not self.is_rehearsal:
            with suppress(FileNotFoundError), staging(self.root / ".staging") as bin_:
                path.rename(bin_ / "swept")
        yield swept

    def _is_fresh(self, path: Path) -> bool:
        try:
            return self.now - _touched(path) < FRESH_S
        except FileNotFoundError:
            return True


def _touched(path: Path) -> float:
    """When something in it was written last; of a link, when it was made. Seconds since the epoch."""
    inside = (Path(place, name) for place, _, names in os.walk(path) for name in names)
    return max(each.lstat().st_mtime for each in (path, *inside))


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    if not path.is_dir():
        return path.lstat().st_size
    return sum(Path(place, name).lstat().st_size for place, _, names in os.walk(path) for name in names)


def remove(path: Path) -> None:
    """Take a folder away by a rename, then its content."""
    gone = path.with_name(f"{path.name}.gone")
    shutil.rmtree(gone, ignore_errors=True)
    path.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _read(path: Path) -> Manifest | None:
    try:
        return parse_manifest(path.read_bytes())
    except (OSError, InvalidManifest):
        return None
