"""What was counted already, told apart by a number: one table for all gateways of a node, in its memory.

Who finds a number in the table was not the first to see it. What was claimed is found without a lock; only a claim takes one, and who does
not get it, or finds no room, goes without: something may go uncounted, nothing is ever counted twice.

file    opened f64 | padding to 64 bytes | BUCKETS of 8 slots
slot    u64: 48 bits of the number and 16 of its window; one of an earlier window is as good as free
"""

import fcntl
import mmap
import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from struct import Struct

import structlog

from serving.ports import Claims

log = structlog.get_logger()

BUCKETS = 2**16
_WAYS = 8
_SLOT = Struct("<Q")
_BUCKET = Struct(f"<{_WAYS}Q")
_OPENED = Struct("<d")
_HEAD_BYTES = 64
_WINDOW_BITS, _TAG_BITS = 16, 48
_WINDOWS, _WHOLE = 2**_WINDOW_BITS, 2**64 - 1


class ClaimTable:
    """One table; `opened`: when its file was made, in the node's monotonic seconds."""

    def __init__(self, file: int, buckets: int) -> None:
        self._file = file
        self._buckets = buckets
        self._memory = mmap.mmap(file, _HEAD_BYTES + buckets * _BUCKET.size)
        (opened,) = _OPENED.unpack_from(self._memory)
        self.opened: float = opened

    def claim(self, number: int, window: int) -> bool:
        """Whether nobody claimed this number (64 bits) in this window before; False also when that cannot be told."""
        # The bits of the number that choose the bucket are those that the slot has no room for. Window 0 is what is free.
        slot = (number << _WINDOW_BITS & _WHOLE) | window % (_WINDOWS - 1) + 1
        at = _HEAD_BYTES + (number >> _TAG_BITS) % self._buckets * _BUCKET.size
        if slot in _BUCKET.unpack_from(self._memory, at):
            return False
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # another gateway claims something; not waited for, an event loop stands still meanwhile
            return False
        try:
            return self._put(slot, at)
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _put(self, slot: int, at: int) -> bool:
        slots = _BUCKET.unpack_from(self._memory, at)
        if slot in slots:
            return False
        windows = [held % _WINDOWS for held in slots]
        oldest = min(windows)
        # What was claimed in a window that is over may be overwritten already: nothing more is claimed in it.
        if oldest >= slot % _WINDOWS or max(windows) > slot % _WINDOWS:
            return False
        _SLOT.pack_into(self._memory, at + windows.index(oldest) * _SLOT.size, slot)
        return True

    def close(self) -> None:
        """Let go of the memory; the table stays for the others."""
        self._memory.close()
        os.close(self._file)


class NoTable:
    """In place of a table that could not be made: nothing is claimed, so nothing is counted."""

    opened = 0.0

    def claim(self, number: int, window: int) -> bool:  # noqa: ARG002 - a table's
        """Never."""
        return False

    def close(self) -> None:
        """Nothing to let go of."""


class ClaimTables:
    """All tables of a node, each by its name."""

    def __init__(self, folder: Path, buckets: int = BUCKETS) -> None:
        self._folder = folder
        self._buckets = buckets

    def open(self, name: str, now: float) -> Claims:
        """The table of that name, made at the first use."""
        path = self._folder / name
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not path.exists():
                self._make(path, now)
            return ClaimTable(os.open(path, os.O_RDWR | os.O_CLOEXEC), self._buckets)
        except (OSError, ValueError) as error:
            log.error("nothing_counted", why=str(error), table=name)  # noqa: TRY400 - the sentence says it all
            return NoTable()

    def keep(self, names: Collection[str]) -> None:
        """Remove all others; who still has one of them goes on with it alone."""
        with suppress(OSError):
            for path in self._folder.iterdir():
                if path.name.partition("~")[0] not in names:
                    path.unlink(missing_ok=True)

    def _make(self, path: Path, now: float) -> None:
        # Made aside, with all its memory, and linked into place: others never see half a table, and whoever writes to it later is not
        # killed because there is no memory left.
        aside = path.with_name(f"{path.name}~{os.getpid()}")
        file = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(file, 0, _HEAD_BYTES + self._buckets * _BUCKET.size)
            os.pwrite(file, _OPENED.pack(now), 0)
            with suppress(FileExistsError):
                os.link(aside, path)
        finally:
            os.close(file)
            aside.unlink(missing_ok=True)
