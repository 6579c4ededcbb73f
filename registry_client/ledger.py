"""The ledger: what each published version was when it was first seen here, so that a later change does not go unnoticed.

An append-only file of JSON lines, shared by the processes of a machine; `go.sum` for models. A version that is found to be another one
than it was gets a line as well, once for each content that is found.
"""

import fcntl
import os
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

from registry_client.decoding import from_json
from registry_client.errors import DamagedLedger, ImmutabilityViolation
from registry_client.files import make_directory, sync_directory
from registry_client.transfers import filling

_NAME = "first-sights.jsonl"

Key = tuple[str, str, str]
"""Registry, family, version."""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line: the manifest digest of a version of a registry when it was first seen, and when that was.

    With `found` it is the record of a violation: the version has this other digest now.
    """

    registry: str
    family: str
    version: str
    digest: str
    at: str = ""
    found: str = ""

    @property
    def key(self) -> Key:
        """What the entry is about."""
        return self.registry, self.family, self.version


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - command lines have no Clock port; tests pass `now`


class Ledger:
    """First sights, kept for good. Safe among threads and processes, and under kill -9 at any point."""

    def __init__(self, path: Path, now: Callable[[], datetime] = _now) -> None:
        self._path = path
        self._now = now
        self._turn = threading.Lock()
        self._entries: list[Entry] = []
        self._known: dict[Key, str] = {}
        self._violated: set[tuple[Key, str]] = set()
        self._read = 0

    @classmethod
    def of(cls, data: Path) -> "Ledger":
        """The ledger of the installation whose data directory it is."""
        return cls(data / "ledger" / _NAME)

    def check(self, registry: str, family: str, version: str, digest: str) -> None:
        """Record a version that is seen for the first time. Raises `ImmutabilityViolation` if it was another one then."""
        key = (registry, family, version)
        with self._turn:
            recorded = self._known.get(key) or self._first_sight(Entry(*key, digest, self._stamp()))
        self._compare(key, recorded, digest)

    def compare(self, registry: str, family: str, version: str, digest: str) -> None:
        """As `check`, but record nothing of a version that was never seen: these bytes may not even be a manifest."""
        recorded = self.first_seen(registry, family, version)
        if recorded is not None:
            self._compare((registry, family, version), recorded, digest)

    def first_seen(self, registry: str, family: str, version: str) -> str | None:
        """The digest of a version when it was first seen; None of one that never was. Raises `DamagedLedger`."""
        key = (registry, family, version)
        with self._turn:
            if key not in self._known:
                self._look()
            return self._known.get(key)

    def entries(self) -> Sequence[Entry]:
        """All lines, the oldest first. Raises `DamagedLedger`."""
        with self._turn:
            self._look()
            return tuple(self._entries)

    def _compare(self, key: Key, recorded: str, found: str) -> None:
        if recorded == found:
            return
        with self._turn:
            if (key, found) not in self._violated:
                self._write_down(Entry(*key, recorded, self._stamp(), found))
        raise ImmutabilityViolation(*key, recorded=recorded, found=found)

    def _write_down(self, violation: Entry) -> None:
        with self._locked() as file:
            if (violation.key, violation.found) not in self._violated:
                self._append(file, violation)

    def _first_sight(self, sight: Entry) -> str:
        with self._locked() as file:
            if sight.key not in self._known:
                self._append(file, sight)
        return self._known[sight.key]

    def _append(self, file: BinaryIO, entry: Entry) -> None:
        file.write(msgspec.json.encode(entry) + b"\n")
        file.flush()
        os.fsync(file.fileno())
        self._read = file.tell()
        self._take(entry)

    def _take(self, entry: Entry) -> None:
        self._entries.append(entry)
        if entry.found:
            self._violated.add((entry.key, entry.found))
        else:
            self._known.setdefault(entry.key, entry.digest)  # the first line about a version counts

    def _look(self) -> None:
        if self._path.exists():
            with self._locked():
                return

    @contextmanager
    def _locked(self) -> Generator[BinaryIO]:
        """The file with all of it read, while no other process writes."""
        is_new = not self._path.exists()
        with filling(self._path.parent), self._opened() as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # released with the file, by a kill as well
            if is_new:
                sync_directory(self._path.parent)
            self._catch_up(file)
            yield file

    def _opened(self) -> BinaryIO:
        make_directory(self._path.parent)
        return self._path.open("a+b")

    def _catch_up(self, file: BinaryIO) -> None:
        """Read what others have written."""
        file.seek(self._read)
        for line in file.read().splitlines(keepends=True):
            if not line.endswith(b"\n"):
                file.truncate(self._read)  # a writer was killed in the middle: nothing was recorded
                break
            self._read += len(line)
            self._take(self._parse(line))
        file.seek(self._read)

    def _parse(self, line: bytes) -> Entry:
        try:
            return from_json(line, Entry)
        except msgspec.DecodeError as error:
            raise DamagedLedger(str(self._path), str(error)) from error

    def _stamp(self) -> str:
        return self._now().astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
