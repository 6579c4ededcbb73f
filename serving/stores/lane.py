"""One SQLite connection with the one thread that uses it, so that no event loop ever waits for a disk or a lock."""

import asyncio
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import apsw

from serving.core.errors import StoreUnavailable

Answer = TypeVar("Answer")

_SENTENCES = (
    (apsw.BusyError, "it is locked by another process"),
    (apsw.LockedError, "it is locked by another process"),
    (apsw.FullError, "the disk is full"),
    (apsw.ReadOnlyError, "it cannot be written to"),
    (apsw.PermissionsError, "it may not be accessed"),
    (apsw.CantOpenError, "it cannot be opened"),
    (apsw.IOError, "the disk fails to read or write it"),
    (apsw.CorruptError, "it is damaged"),
    (apsw.NotADBError, "it is not a database"),
)


class Lane:
    """Runs functions of a connection one after the other, each in the lane's own thread."""

    def __init__(self, name: str, path: Path, opened: os.stat_result, connection: apsw.Connection) -> None:
        self.connection = connection
        self._path = path
        self._opened = opened
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"store-{name}")

    async def run(self, work: Callable[[apsw.Connection], Answer]) -> Answer:
        """Do it, and wait for its answer. Raises `StoreUnavailable` for whatever SQLite could not do."""
        try:
            answer = asyncio.get_running_loop().run_in_executor(self._thread, self._checked, work)
        except RuntimeError as error:
            msg = f"the store {self._path} is closed"
            raise StoreUnavailable(msg) from error
        return await answer

    def close(self) -> None:
        """Wait for the work in progress and close the connection."""
        self._thread.shutdown(wait=True)
        self.connection.close()

    def _checked(self, work: Callable[[apsw.Connection], Answer]) -> Answer:
        with named_failures(self._path):
            self._refuse_another_file()
            return work(self.connection)

    def _refuse_another_file(self) -> None:
        # SQLite goes on writing to a file that was renamed or replaced: changes would be acknowledged and lost.
        try:
            now = self._path.stat()
        except OSError as error:
            msg = f"the store {self._path} is not there any more"
            raise StoreUnavailable(msg) from error
        if (now.st_dev, now.st_ino) != (self._opened.st_dev, self._opened.st_ino):
            msg = f"the store {self._path} was replaced by another file; restart to use it"
            raise StoreUnavailable(msg)


@contextmanager
def named_failures(path: Path) -> Iterator[None]:
    """Give every failure of SQLite or the file system its sentence."""
    try:
        yield
    except (apsw.Error, OSError) as error:
        why = next((sentence for kind, sentence in _SENTENCES if isinstance(error, kind)), "it does not work")
        msg = f"the store {path} did not answer: {why} ({error})"
        raise StoreUnavailable(msg) from error


@contextmanager
def transaction(connection: apsw.Connection, mode: str) -> Iterator[None]:
    """All of the block or nothing of it; `mode` is DEFERRED for reading, IMMEDIATE for writing."""
    connection.execute(f"BEGIN {mode}")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
