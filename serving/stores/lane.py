"""One SQLite connection with the one thread that uses it, so that no event loop ever waits for a disk or a lock."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

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


class Found(Protocol):
    """The file as it is found, and connections to it."""

    path: Path

    def identity(self) -> tuple[int, int]:
        """What is there now. Raises `StoreUnavailable`."""
        ...

    def connect(self, identity: tuple[int, int], *, durable: bool) -> apsw.Connection:
        """Open a connection to it. Raises `StoreUnavailable`."""
        ...


class Lane:
    """Runs functions of a connection one after the other, each in the lane's own thread.

    It connects when it is first asked to, and anew when another file has taken the place of the one it was connected to.
    """

    def __init__(self, name: str, file: Found, *, durable: bool) -> None:
        self._file = file
        self._durable = durable
        self._connection: apsw.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"store-{name}")

    async def run(self, work: Callable[[apsw.Connection], Answer]) -> Answer:
        """Do it, and wait for its answer. Raises `StoreUnavailable` for whatever SQLite could not do."""
        return await self._in_thread(lambda: work(self._current()))

    async def prepare(self, work: Callable[[], Answer]) -> Answer:
        """Do something with the file before there is a connection. Raises `StoreUnavailable`."""
        return await self._in_thread(work)

    def close(self) -> None:
        """Wait for the work in progress and close the connection."""
        self._thread.shutdown(wait=True)
        self._disconnect()

    async def _in_thread(self, work: Callable[[], Answer]) -> Answer:
        try:
            answer = asyncio.get_running_loop().run_in_executor(self._thread, self._named, work)
        except RuntimeError as error:
            msg = f"the store {self._file.path} is closed"
            raise StoreUnavailable(msg) from error
        return await answer

    def _named(self, work: Callable[[], Answer]) -> Answer:
        with named_failures(self._file.path):
            return work()

    def _current(self) -> apsw.Connection:
        # SQLite goes on writing to a file that was renamed or replaced: changes would be acknowledged and lost.
        identity = self._file.identity()
        if self._connection is not None and identity == self._identity:
            return self._connection
        connection = self._file.connect(identity, durable=self._durable)
        # Closed only now: the file's checks tell the companions of the one before by what they are while it is open.
        self._disconnect()
        self._connection, self._identity = connection, identity
        return connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


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
