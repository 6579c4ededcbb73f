"""Bringing the file of an earlier program to the schema of this one, in one transaction: afterwards all of it is new, or none."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import apsw

from serving.core.audit import BEGINNING, AuditEntry, entry_hash
from serving.core.errors import StoreUnavailable
from serving.stores.encoding import differences_from_document
from serving.stores.lane import transaction
from serving.stores.rows import rows, write_entry
from serving.stores.schema import FIRST, LEDGER, SIGNS, VERSION

_OLD = "SELECT epoch, family, revision, at, actor, action, reason, before, after, operation_id, signal FROM audit ORDER BY epoch"
_DROP = "DROP TABLE audit; DROP TABLE epochs; DROP TABLE gateways;"


def migrate(connection: apsw.Connection) -> None:
    """Bring the store to this schema, unless somebody else did so in the meantime."""
    with transaction(connection, "IMMEDIATE"):
        if int(connection.pragma("user_version")) == 1:
            _chain(connection)
        connection.execute(f"PRAGMA user_version = {VERSION}")


def _chain(connection: apsw.Connection) -> None:
    """From 1 to 2: the audit becomes a chain, and keeps whole records from now on.

    The old program kept of each change what differed. A record is whole only where it is still the family's present one.
    """
    epoch = rows(connection, "SELECT epoch FROM epochs")[0][0]
    present = {(family, revision): document for family, revision, document in rows(connection, "SELECT * FROM families")}
    old = rows(connection, _OLD)
    connection.execute(f"{_DROP} {LEDGER} {SIGNS}")
    rows(connection, FIRST, BEGINNING.fence, epoch, BEGINNING.head)
    head = BEGINNING.head
    for row in old:
        entry = _entry(row, present.get((row[1], row[2]), b""), head)
        write_entry(connection, entry)
        head = entry.hash


def _entry(row: tuple[Any, ...], record: bytes, previous: str) -> AuditEntry:
    epoch, family, revision, at, actor, action, reason, before, after, operation_id, signal = row
    try:
        differences = differences_from_document(before), differences_from_document(after)
    except ValueError as error:
        msg = f"the audit entry of epoch {epoch} cannot be read: {error}"
        raise StoreUnavailable(msg) from error
    entry = AuditEntry(
        epoch=epoch,
        family=family,
        revision=revision,
        at=datetime.fromisoformat(at),
        actor=actor,
        action=action,
        reason=reason,
        before=differences[0],
        after=differences[1],
        operation_id=operation_id,
        signal=signal,
        record=record,
        previous=previous,
    )
    return replace(entry, hash=entry_hash(entry))
