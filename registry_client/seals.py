"""Seals: what files were when they were hashed, so that whoever loads them by name can tell afterwards that he loaded what was hashed.

Between a digest and a load others can put a file in another's place, and back again. The kernel's record of a file (which one it is, its
size, when its content or its names last changed) is taken before it is hashed and compared when it is loaded. Nobody sets the time of the
last change (ctime) at will, and renaming a file sets it too.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from registry_client.errors import ChangedMeanwhile

TICK_S = 0.02
"""The times of a file system move in steps of up to 10 ms: what is written in the step in which a seal is taken does not show."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """The kernel's record of one file."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, file: BinaryIO) -> "Stamp":
        """Of an open file."""
        return cls._of(os.fstat(file.fileno()))

    @classmethod
    def at(cls, path: Path) -> "Stamp | None":
        """Of what stands under a name now, a link itself and not what it leads to; None where nothing does."""
        try:
            return cls._of(path.lstat())
        except OSError:
            return None

    @classmethod
    def _of(cls, found: os.stat_result) -> "Stamp":
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@dataclass(frozen=True, slots=True)
class Seal:
    """A folder, and the stamps of its files from before each was hashed, by their paths in it."""

    directory: Path
    stamps: Mapping[str, Stamp] = field(default_factory=dict[str, Stamp])

    def refuse_change(self) -> None:
        """Raise `ChangedMeanwhile` unless every file is the one that was hashed, and was let alone since."""
        for path, stamp in self.stamps.items():
            if Stamp.at(self.directory / path) != stamp:
                raise ChangedMeanwhile(path)
