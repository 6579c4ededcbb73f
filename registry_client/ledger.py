"""The ledger: what each published version was when it was first seen here, so that a later change does not go unnoticed.

An append-only file of JSON lines, shared by the processes of a machine; `go.sum` for models.
"""

import fcntl
import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec

from registry_client.errors import DamagedLedger, ImmutabilityViolation


class Sight(msgspec.Struct, frozen=True):
    """One line: the manifest digest of a version of a registry when it was first seen."""

    registry: str
    family: str
    version: str
    digest: str


class Ledger:
    """First sights, kept for good. Safe among threads and processes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = threading.Lock()
        self._known: dict[tuple[str, str, str], str] = {}
        self._read = 0

    def check(self, registry: str, family: str, version: str, digest: str) -> None:
        """Record a version that is seen for the first time. Raises `ImmutabilityViolation` if it was another one then."""
        key = (registry, family, version)
        with self._turn:
            recorded = self._known.get(key) or self._first_sight(Sight(*key, digest))
        if recorded != digest:
            raise ImmutabilityViolation(*key, recorded=recorded, found=digest)

    def _first_sight(self, sight: Sight) -> str:
        key = (sight.registry, sight.family, sight.version)
        with self._locked() as file:
            self._catch_up(file)
            if key not in self._known:
                file.write(msgspec.json.encode(sight) + b"\n")
                file.flush()
                os.fsync(file.fileno())
                self._read = file.tell()
                self._known[key] = sight.digest
        return self._known[key]

    @contextmanager
    def _locked(self) -> Generator[BinaryIO]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # released with the file, by a kill as well
            yield file

    def _catch_up(self, file: BinaryIO) -> None:
        """Read what others have written; the first line about a version counts."""
        file.seek(self._read)
        for line in file.read().splitlines(keepends=True):
            if not line.endswith(b"\n"):
                file.truncate(self._read)  # a writer was killed in the middle: nothing was recorded
                break
            self._read += len(line)
            sight = self._parse(line)
            self._known.setdefault((sight.registry, sight.family, sight.version), sight.digest)
        file.seek(self._read)

    def _parse(self, line: bytes) -> Sight:
        try:
            return msgspec.json.decode(line, type=Sight)
        except msgspec.DecodeError as error:
            raise DamagedLedger(str(self._path), str(error)) from error
