"""How audit entries lie in the tables of the SQLite store."""

from datetime import UTC, datetime
from typing import Any

import apsw

from serving.core.audit import AuditEntry, Mark
from serving.core.errors import StoreUnavailable
from serving.stores.encoding import differences_from_document, differences_to_document

COLUMNS = "epoch, fence, family, revision, at, actor, action, reason, before, after, operation_id, signal, record, previous, hash"

_INSERT = f"INSERT INTO audit ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - a constant


def rows(connection: apsw.Connection, statement: str, *values: str | float | bytes | None) -> list[Any]:
    """Carry out a statement; its rows are tuples of what the STRICT tables hold."""
    return connection.execute(statement, values).fetchall()


def entries(connection: apsw.Connection, condition: str, *values: str | float | bytes | None) -> list[AuditEntry]:
    """The audit entries that a condition (WHERE, ORDER BY, LIMIT) picks. Raises `StoreUnavailable` for one that cannot be read."""
    return [_entry(row) for row in rows(connection, f"SELECT {COLUMNS} FROM audit {condition}", *values)]  # noqa: S608 - from this package


def write_entry(connection: apsw.Connection, entry: AuditEntry) -> None:
    """Add an entry, which makes it the head."""
    rows(
        connection,
        _INSERT,
        entry.epoch,
        entry.fence,
        entry.family,
        entry.revision,
        moment(entry.at),
        entry.actor,
        entry.action,
        entry.reason,
        differences_to_document(entry.before),
        differences_to_document(entry.after),
        entry.operation_id,
        entry.signal,
        entry.record,
        entry.previous,
        entry.hash,
    )
    rows(connection, "UPDATE epochs SET fence = ?, epoch = ?, head = ?", entry.fence, entry.epoch, entry.hash)


def stored_mark(connection: apsw.Connection) -> Mark:
    """How far the store has come."""
    fence, epoch, head = rows(connection, "SELECT fence, epoch, head FROM epochs")[0]
    return Mark(fence, epoch, head)


def stored_hash(connection: apsw.Connection, epoch: int) -> str | None:
    """The hash of the entry of an epoch, if there is one."""
    found = rows(connection, "SELECT hash FROM audit WHERE epoch = ?", epoch)
    return found[0][0] if found else None


def moment(at: datetime) -> str:
    """A time as it is stored: UTC, to the microsecond, so that texts sort as times do."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _entry(row: tuple[Any, ...]) -> AuditEntry:
    epoch, fence, family, revision, at, actor, action, reason, before, after, operation_id, signal, record, previous, digest = row
    try:
        return AuditEntry(
            epoch=epoch,
            fence=fence,
            family=family,
            revision=revision,
            at=datetime.fromisoformat(at),
            actor=actor,
            action=action,
            reason=reason,
            before=differences_from_document(before),
            after=differences_from_document(after),
            operation_id=operation_id,
            signal=signal,
            record=record,
            previous=previous,
            hash=digest,
        )
    except ValueError as error:
        msg = f"the audit entry of epoch {epoch} cannot be read: {error}"
        raise StoreUnavailable(msg) from error
