"""The tables of the SQLite store, and how its file comes to be: whole at once, owner-only, in WAL mode, of a schema this program knows."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

import apsw

from serving.core.audit import BEGINNING
from serving.core.errors import StoreUnavailable

APPLICATION = 0x504F494E
"""`POIN` in ASCII, in the file's header: another program's database is refused."""

VERSION = 2

BUSY_MS = 5_000
"""How long a statement waits for another process's write."""

LEDGER = """
CREATE TABLE epochs (id INTEGER PRIMARY KEY CHECK (id = 1), fence INTEGER NOT NULL, epoch INTEGER NOT NULL, head TEXT NOT NULL) STRICT;
CREATE TABLE audit (
    epoch INTEGER PRIMARY KEY,
    fence INTEGER NOT NULL,
    family TEXT NOT NULL,
    revision INTEGER NOT NULL,
    at TEXT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    reason TEXT NOT NULL,
    before BLOB NOT NULL,
    after BLOB NOT NULL,
    operation_id TEXT NOT NULL UNIQUE,
    signal TEXT NOT NULL,
    record BLOB NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL,
    UNIQUE (family, revision)
) STRICT;
CREATE TRIGGER audit_is_never_edited BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_is_never_cut BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
"""
"""What was decided, when, by whom: `at` is UTC to the microsecond, so that it sorts as text."""

FIRST = "INSERT INTO epochs (id, fence, epoch, head) VALUES (1, ?, ?, ?)"

SIGNS = """
CREATE TABLE gateways (gateway TEXT PRIMARY KEY, seen_at REAL NOT NULL, document BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE leader (id INTEGER PRIMARY KEY CHECK (id = 1), holder TEXT NOT NULL, token INTEGER NOT NULL, until REAL NOT NULL,
    seconds REAL NOT NULL) STRICT;
"""
"""Signs of life. `until` is on the machine's monotonic clock, which no administrator sets back."""

TABLES = f"""
{LEDGER}
{SIGNS}
CREATE TABLE families (family TEXT PRIMARY KEY, revision INTEGER NOT NULL, document BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE beats (family TEXT PRIMARY KEY, beats INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE board (id INTEGER PRIMARY KEY CHECK (id = 1), document BLOB NOT NULL) STRICT;
"""


def create_file(path: Path) -> None:
    """Make an empty store where there is no file yet.

    It is made aside and linked into place, so that nobody ever sees half of one or makes a second: switching a shared file to WAL
    mode does not wait for locks. No descriptor of the file itself is opened, for closing it would drop the locks that SQLite
    holds on the file for this process.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    os.close(descriptor)
    aside = Path(name)
    try:
        connection = connect(aside, durable=True)
        connection.execute(f"BEGIN; {TABLES}; PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}")
        connection.execute(FIRST, (BEGINNING.fence, BEGINNING.epoch, BEGINNING.head))
        connection.execute("COMMIT")
        connection.close()
        with suppress(FileExistsError):
            os.link(aside, path)
    finally:
        for left in path.parent.glob(f"{aside.name}*"):
            left.unlink()
    _sync_folder(path.parent)


def connect(path: Path, *, durable: bool) -> apsw.Connection:
    """Open a connection. A durable one has every commit on the disk before it returns; the other may lose the last ones with the power."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.set_busy_timeout(BUSY_MS)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
    return connection


def known_version(path: Path) -> int:
    """The schema of a file, before anything in it is touched. Raises `StoreUnavailable` for another program's, or a newer one."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.set_busy_timeout(BUSY_MS)
    try:
        application, version = int(connection.pragma("application_id")), int(connection.pragma("user_version"))
    finally:
        connection.close()
    if application != APPLICATION:
        msg = f"{path} is not a store of this program"
        raise StoreUnavailable(msg)
    if version > VERSION:
        msg = f"{path} has schema {version}, this program knows schemas up to {VERSION}"
        raise StoreUnavailable(msg)
    return version


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
