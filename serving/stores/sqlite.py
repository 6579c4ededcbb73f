"""The embedded state store: one SQLite file that every process of the node opens for itself.

Three connections, each with its own thread: `changes` has every commit on the disk before it answers, `signs` (beats, acks, the board)
need not survive a power cut, and `reads` never waits for a writer. It is the reading connection that polls, for SQLite tells a
connection only of the others' writes.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import apsw

from serving.core.errors import InvalidRecord, StaleRevision, StoreUnavailable
from serving.core.lifecycle import FamilyRecord
from serving.ports import AuditEntry, Clock, Commit, GatewayAck, LoadStatus, Snapshot, Transition
from serving.stores.encoding import (
    board_from_document,
    board_to_document,
    differences_from_document,
    differences_to_document,
    record_from_document,
    record_to_document,
)
from serving.stores.lane import Lane, named_failures, transaction
from serving.stores.schema import connect, create_file, refuse_foreign_file

LEASE_SECONDS = 5.0
"""A gateway that was not heard of for so long is gone."""

FORGOTTEN_SECONDS = 600.0
"""Gateways gone for so long are swept away."""

_BY_OPERATION = "SELECT * FROM audit WHERE operation_id = ?"
_NEWEST = "SELECT * FROM audit WHERE ?1 IS NULL OR family = ?1 ORDER BY epoch DESC LIMIT ?2"
_BEAT = "INSERT INTO beats VALUES (?, 1) ON CONFLICT (family) DO UPDATE SET beats = beats + 1"


class SqliteStore:
    """The `StateStore`, `Acks` and `FleetBoard` of a single node. Open it with `open`, close it in the end."""

    def __init__(self, *, changes: Lane, signs: Lane, reads: Lane, clock: Clock) -> None:
        self._changes = changes
        self._signs = signs
        self._reads = reads
        self._clock = clock
        self._polled: tuple[int, int, Mapping[str, int]] | None = None
        """The reading connection's data version, with the epoch and the beats it stands for."""

    @classmethod
    async def open(cls, path: Path, clock: Clock) -> Self:
        """Open the store, creating it where there is none. Raises `StoreUnavailable`."""
        lanes = await asyncio.to_thread(_lanes, path)
        return cls(changes=lanes["changes"], signs=lanes["signs"], reads=lanes["reads"], clock=clock)

    async def close(self) -> None:
        """Finish what is in progress and let go of the file."""
        for lane in (self._reads, self._signs, self._changes):
            await asyncio.to_thread(lane.close)

    # --- StateStore

    async def snapshot(self) -> Snapshot:
        """All families, read in one transaction."""
        return await self._reads.run(_snapshot)

    async def poll(self, seen: Snapshot) -> Snapshot | None:
        """The newer snapshot if epoch or beats moved on since `seen`, else None."""
        return await self._reads.run(lambda connection: self._newer(connection, seen))

    async def commit(self, transition: Transition) -> Commit:
        """Write record, audit entry and epoch + 1 in one transaction. Raises `StaleRevision`."""
        return await self._changes.run(lambda connection: _commit(connection, transition))

    async def committed(self, operation_id: str) -> AuditEntry | None:
        """The entry that an operation id left, if it was committed."""
        rows = await self._reads.run(lambda connection: _rows(connection, _BY_OPERATION, operation_id))
        return _entry(rows[0]) if rows else None

    async def history(self, family: str | None, *, limit: int) -> Sequence[AuditEntry]:
        """The newest entries first, of one family or of all."""
        rows = await self._reads.run(lambda connection: _rows(connection, _NEWEST, family, limit))
        return [_entry(row) for row in rows]

    async def beat(self, family: str) -> None:
        """Renew the family's canary lease."""
        await self._signs.run(lambda connection: _rows(connection, _BEAT, family))

    # --- Acks

    async def ack(self, ack: GatewayAck) -> None:
        """Note which epoch a gateway serves."""
        seen_at = ack.seen_at.timestamp()

        def note(connection: apsw.Connection) -> None:
            with transaction(connection, "IMMEDIATE"):
                _rows(connection, "INSERT OR REPLACE INTO gateways VALUES (?, ?, ?)", ack.gateway, ack.epoch, seen_at)
                _rows(connection, "DELETE FROM gateways WHERE seen_at < ?", seen_at - FORGOTTEN_SECONDS)

        await self._signs.run(note)

    async def acks(self) -> Sequence[GatewayAck]:
        """The gateways heard of within their lease, by name."""
        rows = await self._reads.run(lambda connection: _rows(connection, "SELECT * FROM gateways ORDER BY gateway"))
        now = self._clock.now().timestamp()
        # A clock that was set back leaves acks from the future: those are no sign of life either.
        live = (row for row in rows if abs(now - row[2]) <= LEASE_SECONDS)
        return [GatewayAck(gateway, epoch, datetime.fromtimestamp(seen_at, UTC)) for gateway, epoch, seen_at in live]

    async def leave(self, gateway: str) -> None:
        """Forget a gateway that stops."""
        await self._signs.run(lambda connection: _rows(connection, "DELETE FROM gateways WHERE gateway = ?", gateway))

    # --- FleetBoard

    async def post(self, states: Sequence[LoadStatus]) -> None:
        """Say what runs."""
        document = board_to_document(states)
        await self._signs.run(lambda connection: _rows(connection, "INSERT OR REPLACE INTO board VALUES (1, ?)", document))

    async def read(self) -> Sequence[LoadStatus]:
        """What was last posted."""
        rows = await self._reads.run(lambda connection: _rows(connection, "SELECT document FROM board"))
        try:
            return board_from_document(rows[0][0]) if rows else ()
        except ValueError as error:
            msg = f"what was posted of the running versions cannot be read: {error}"
            raise StoreUnavailable(msg) from error

    def _newer(self, connection: apsw.Connection, seen: Snapshot) -> Snapshot | None:
        data_version = _rows(connection, "PRAGMA data_version")[0][0]
        if self._polled is None or self._polled[0] != data_version:
            with transaction(connection, "DEFERRED"):
                self._polled = (data_version, _epoch(connection), _beats(connection))
        _, epoch, beats = self._polled
        if epoch == seen.epoch:
            # Beats are frequent: they must not make every gateway read every record again.
            return None if beats == seen.beats else replace(seen, beats=beats)
        newer = _snapshot(connection)
        kept = {family: seen.families[family] for family in newer.invalid if family in seen.families}
        return replace(newer, families={**newer.families, **kept})


def _lanes(path: Path) -> Mapping[str, Lane]:
    with named_failures(path):
        create_file(path)
        refuse_foreign_file(path)
        opened = path.stat()
        is_durable = {"changes": True, "signs": False, "reads": False}
        return {name: Lane(name, path, opened, connect(path, durable=durable)) for name, durable in is_durable.items()}


def _snapshot(connection: apsw.Connection) -> Snapshot:
    with transaction(connection, "DEFERRED"):
        rows = _rows(connection, "SELECT * FROM families ORDER BY family")
        epoch, beats = _epoch(connection), _beats(connection)
    families: dict[str, FamilyRecord] = {}
    invalid: dict[str, str] = {}
    for family, revision, document in rows:
        try:
            families[family] = _believed(family, revision, document)
        except InvalidRecord as error:
            invalid[family] = error.reason
    return Snapshot(epoch, families, beats, invalid)


def _believed(family: str, revision: int, document: bytes) -> FamilyRecord:
    record = record_from_document(family, document)
    if record.revision != revision:
        raise InvalidRecord(family, f"revision: it says {record.revision}, the store {revision}")
    return record


def _commit(connection: apsw.Connection, transition: Transition) -> Commit:
    record = transition.record
    with transaction(connection, "IMMEDIATE"):
        first = _rows(connection, _BY_OPERATION, transition.operation_id)
        if first:
            entry = _entry(first[0])
            return Commit(entry.epoch, entry.revision, replayed=True)
        held = _rows(connection, "SELECT revision FROM families WHERE family = ?", record.family)
        actual = held[0][0] if held else 0
        if actual != transition.expected_revision:
            raise StaleRevision(record.family, expected=transition.expected_revision, actual=actual)
        epoch = _epoch(connection) + 1
        _rows(connection, "UPDATE epochs SET epoch = ?", epoch)
        _rows(connection, "INSERT OR REPLACE INTO families VALUES (?, ?, ?)", record.family, record.revision, record_to_document(record))
        _rows(connection, "INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", *_audit(epoch, transition))
    return Commit(epoch, record.revision)


def _epoch(connection: apsw.Connection) -> int:
    return int(_rows(connection, "SELECT epoch FROM epochs")[0][0])


def _beats(connection: apsw.Connection) -> Mapping[str, int]:
    return dict(_rows(connection, "SELECT family, beats FROM beats"))


def _rows(connection: apsw.Connection, statement: str, *values: str | float | bytes | None) -> list[Any]:
    """Carry out a statement; its rows are tuples of what the STRICT tables hold."""
    return connection.execute(statement, values).fetchall()


def _audit(epoch: int, transition: Transition) -> tuple[Any, ...]:
    return (
        epoch,
        transition.record.family,
        transition.record.revision,
        transition.at.isoformat(),
        transition.actor,
        transition.action,
        transition.reason,
        differences_to_document(transition.before),
        differences_to_document(transition.after),
        transition.operation_id,
        transition.signal,
    )


def _entry(row: tuple[Any, ...]) -> AuditEntry:
    epoch, family, revision, at, actor, action, reason, before, after, operation_id, signal = row
    try:
        return AuditEntry(
            epoch=epoch,
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
        )
    except ValueError as error:
        msg = f"the audit entry of epoch {epoch} cannot be read: {error}"
        raise StoreUnavailable(msg) from error
