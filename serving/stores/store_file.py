"""The file of a SQLite store, as the connections of one process find it: made once, checked once, known again."""

import os
import threading
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import apsw

from serving.core.errors import StoreUnavailable
from serving.stores.chain import refuse_torn
from serving.stores.migration import migrate
from serving.stores.rows import rows, stored_mark
from serving.stores.schema import VERSION, connect, create_file, known_version

Identity = tuple[int, int]
"""Device and inode: what a file is, whatever its name."""

_NEWEST = "SELECT hash FROM audit ORDER BY epoch DESC LIMIT 1"


class StoreFile:
    """Where the store is. `traces` are files that tell of an earlier store: where one is, no empty store is made in its place."""

    def __init__(self, path: Path, *, traces: Collection[Path] = ()) -> None:
        self.path = path
        self._companions = (path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm"))
        self._traces = (*traces, *self._companions)
        self._lock = threading.Lock()
        self._was_there = False
        self._checked: Identity | None = None
        self._of_checked: frozenset[Identity] = frozenset()
        """What its companions are."""

    def identity(self) -> Identity:
        """What is there now; an empty store is made where there never was one. Raises `StoreUnavailable`."""
        found = _identity(self.path)
        if found is None:
            with self._lock:
                self._create()
            found = _identity(self.path)
        if found is None:
            msg = f"the store {self.path} is not there any more"
            raise StoreUnavailable(msg)
        self._was_there = True
        return found

    def connect(self, identity: Identity, *, durable: bool) -> apsw.Connection:
        """Open a connection to the file of that identity, checked and of this program's schema. Raises `StoreUnavailable`."""
        with self._lock:
            if self._checked != identity:
                self._refuse_leftovers()
                _check(self.path)
            connection = connect(self.path, durable=durable)
            self._checked = identity
            self._of_checked = frozenset(found for path in self._companions if (found := _identity(path)) is not None)
        return connection

    def allow_anew(self) -> None:
        """Make an empty store if there is none, traces or not, as a re-seed needs it; leftovers of a lost one are kept aside."""
        with self._lock:
            if self.path.exists():
                return
            for left in self._companions:
                with suppress(FileNotFoundError):
                    left.rename(left.with_name(f"{left.name}.left"))
            create_file(self.path)

    def _create(self) -> None:
        trace = next((trace for trace in self._traces if trace.exists()), None)
        if self.path.exists():  # another process was faster; looked at after the traces, for its log comes to be after it
            return
        if self._was_there or trace is not None:
            msg = f"the store {self.path} is not there any more" + ("" if trace is None else f" ({trace.name} beside it tells of one)")
            raise StoreUnavailable(msg)
        create_file(self.path)

    def _refuse_leftovers(self) -> None:
        # SQLite would take the log of the file before for this one's, and mix the two.
        left = next((path for path in self._companions if _identity(path) in self._of_checked), None)
        if left is not None:
            msg = f"the store {self.path} was replaced by another file, but {left.name} of the one before is still there: move it away too"
            raise StoreUnavailable(msg)


def _check(path: Path) -> None:
    """Refuse a file of another program, of a newer schema or put together from two; bring an older one up to date."""
    version = known_version(path)
    connection = connect(path, durable=True)
    try:
        if version < VERSION:
            migrate(connection)
        newest = rows(connection, _NEWEST)
        refuse_torn(path, stored_mark(connection), newest[0][0] if newest else None)
    finally:
        connection.close()


def _identity(path: Path) -> Identity | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - once in every call to the store, so without the detour
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
