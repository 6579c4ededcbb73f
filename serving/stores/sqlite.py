"""The embedded state store: one SQLite file that every process of the node opens for itself.

Three connections, each with its own thread: `changes` has every commit on the disk before it answers, `signs` (beats, acks, leases, the
board) need not survive a power cut, and `reads` never waits for a writer. It is the reading connection that polls, for SQLite tells a
connection only of the others' writes.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Self

import apsw

from serving.core.audit import RESEED, AuditEntry, Mark
from serving.core.errors import InvalidRecord, NotLeader, StaleRevision, StoreUnavailable
from serving.core.lifecycle import FamilyRecord
from serving.failpoints import Failpoint, reach
from serving.ports import Clock, Commit, GatewayAck, Leader, LoadStatus, PastRecord, Reseed, Snapshot, Transition
from serving.stores import signs
from serving.stores.chain import entry_of, past_record, refuse_other_history, reseeded
from serving.stores.encoding import board_from_document, board_to_document, record_from_document, record_to_document
from serving.stores.lane import Lane, transaction
from serving.stores.notices import Notices
from serving.stores.rows import entries, moment, rows, stored_hash, stored_mark, write_entry
from serving.stores.store_file import StoreFile

LOOK_SECONDS = 0.04
"""Between two looks at the file where the kernel tells nobody of its changes."""

_BEAT = "INSERT INTO beats VALUES (?, 1) ON CONFLICT (family) DO UPDATE SET beats = beats + 1"
_FAMILY = "INSERT OR REPLACE INTO families (family, revision, document) VALUES (?, ?, ?)"
_HISTORY = "WHERE ?1 IS NULL OR family IN (?1, '') ORDER BY epoch DESC LIMIT ?2"
_AT = "WHERE at <= ?2 AND (family = ?1 OR action = ?3) ORDER BY epoch DESC LIMIT 1"


@dataclass(frozen=True, slots=True)
class _Standing:
    """Where the store stood when the reading connection last saw its file change."""

    connection: apsw.Connection
    data_version: int
    mark: Mark
    beats: Mapping[str, int]


class SqliteStore:
    """The `StateStore`, `Acks`, `Leadership` and `FleetBoard` of a single node. It opens its file when first asked; close it in the end."""

    def __init__(self, path: Path, clock: Clock, *, traces: Collection[Path] = ()) -> None:
        """Of a file that may not be there yet: where one of the `traces` is, no empty one is made in its place."""
        self._file = StoreFile(path, traces=traces)
        self._changes = Lane("changes", self._file, durable=True)
        self._signs = Lane("signs", self._file, durable=False)
        self._reads = Lane("reads", self._file, durable=False)
        self._notices = Notices(path)
        self._clock = clock
        self._standing: _Standing | None = None
        self._newest = Mark(0, -1, "")
        """The newest that a poll of this process gave."""

    @classmethod
    async def open(cls, path: Path, clock: Clock, *, traces: Collection[Path] = ()) -> Self:
        """Open the store now, creating it where there is none. Raises `StoreUnavailable`."""
        store = cls(path, clock, traces=traces)
        try:
            await store.snapshot()
        except StoreUnavailable:
            await store.close()
            raise
        return store

    async def close(self) -> None:
        """Finish what is in progress and let go of the file."""
        self._notices.close()
        for lane in (self._reads, self._signs, self._changes):
            await asyncio.to_thread(lane.close)

    # --- StateStore

    async def snapshot(self) -> Snapshot:
        """All families, read in one transaction."""
        return await self._reads.run(_snapshot)

    async def poll(self, seen: Snapshot) -> Snapshot | None:
        """The newer snapshot if epoch or beats moved on since `seen`, else None. Raises `StoreWentBack`."""
        self._notices.unread = False
        newer = await self._reads.run(lambda connection: self._newer(connection, seen))
        self._newest = (newer or seen).mark
        return newer

    async def changed(self, seen: Snapshot, seconds: float) -> None:
        """Return when another process said that it wrote, at the latest after `seconds`."""
        if not self._notices.listen():
            await self._look_out(seconds)
        elif self._newest > seen.mark:
            # Somebody else in this process heard of it and polled. It may be what raised `StoreWentBack` for this caller: no haste.
            await asyncio.sleep(min(seconds, LOOK_SECONDS))
        elif not self._notices.unread:
            await self._notices.wait(seconds)

    async def commit(self, transition: Transition) -> Commit:
        """Write record, audit entry and epoch + 1 in one transaction. Raises what the port says."""
        commit = await self._changes.run(lambda connection: _commit(connection, transition))
        self._notices.tell()
        return commit

    async def committed(self, operation_id: str) -> AuditEntry | None:
        """The entry that an operation id left, if it was committed."""
        return await self._reads.run(lambda connection: _first_outcome(connection, operation_id))

    async def reseed(self, reseed: Reseed) -> Commit:
        """Make the store hold exactly these families, in a new file where it is gone. Raises `InvalidRecord`."""
        await self._changes.prepare(self._file.allow_anew)
        commit = await self._changes.run(lambda connection: _reseed(connection, reseed))
        self._notices.tell()
        return commit

    async def history(self, family: str | None, *, limit: int) -> Sequence[AuditEntry]:
        """The newest entries first, of one family or of all."""
        return await self._reads.run(lambda connection: entries(connection, _HISTORY, family, limit))

    async def entries(self, *, after: int = 0, limit: int) -> Sequence[AuditEntry]:
        """The audit from beyond an epoch on, oldest first."""
        return await self._reads.run(lambda connection: entries(connection, "WHERE epoch > ? ORDER BY epoch LIMIT ?", after, limit))

    async def record_at(self, family: str, at: datetime) -> PastRecord | None:
        """The family as its newest change not younger than `at` left it. Raises `InvalidRecord`."""
        found = await self._reads.run(lambda connection: entries(connection, _AT, family, moment(at), RESEED))
        return past_record(family, found[0]) if found else None

    async def beat(self, family: str) -> None:
        """Renew the family's canary lease."""
        await self._signs.run(lambda connection: rows(connection, _BEAT, family))

    # --- Leadership

    async def lead(self, holder: str, seconds: float) -> int | None:
        """Take or renew the lease; gives its fencing token, or None while another holds it."""
        now = self._clock.monotonic()
        return await self._signs.run(lambda connection: signs.lead(connection, holder, now, seconds))

    async def resign(self, holder: str) -> None:
        """Let another lead at once, if this holder does."""
        await self._signs.run(lambda connection: signs.resign(connection, holder))

    async def leader(self) -> Leader | None:
        """Who holds the lease now."""
        return await self._reads.run(lambda connection: signs.leader(connection, self._clock))

    # --- Acks

    async def ack(self, ack: GatewayAck) -> None:
        """Note which epoch a gateway serves."""
        await self._signs.run(lambda connection: signs.note_ack(connection, ack))

    async def acks(self) -> Sequence[GatewayAck]:
        """The gateways heard of within their lease, by name."""
        now = self._clock.now().timestamp()
        return await self._reads.run(lambda connection: signs.acks(connection, now, lapsed=False))

    async def lapsed_gateways(self) -> Sequence[GatewayAck]:
        """The gateways whose lease ran out within the last ten minutes, by name."""
        now = self._clock.now().timestamp()
        return await self._reads.run(lambda connection: signs.acks(connection, now, lapsed=True))

    async def leave(self, gateway: str) -> None:
        """Forget a gateway that stops."""
        await self._signs.run(lambda connection: signs.forget(connection, gateway))

    # --- FleetBoard

    async def post(self, states: Sequence[LoadStatus]) -> None:
        """Say what runs."""
        document = board_to_document(states)
        await self._signs.run(lambda connection: rows(connection, "INSERT OR REPLACE INTO board VALUES (1, ?)", document))

    async def read(self) -> Sequence[LoadStatus]:
        """What was last posted."""
        found = await self._reads.run(lambda connection: rows(connection, "SELECT document FROM board"))
        try:
            return board_from_document(found[0][0]) if found else ()
        except ValueError as error:
            msg = f"what was posted of the running versions cannot be read: {error}"
            raise StoreUnavailable(msg) from error

    def _newer(self, connection: apsw.Connection, seen: Snapshot) -> Snapshot | None:
        standing = self._standing_of(connection)
        if standing.mark == seen.mark:
            # Beats are frequent: they must not make every gateway read every record again.
            return None if standing.beats == seen.beats else replace(seen, beats=standing.beats)
        if standing.mark.fence <= seen.fence:
            refuse_other_history(seen.mark, standing.mark, lambda epoch: stored_hash(connection, epoch))
        newer = _snapshot(connection)
        kept = {family: seen.families[family] for family in newer.invalid if family in seen.families}
        return replace(newer, families={**newer.families, **kept})

    def _standing_of(self, connection: apsw.Connection) -> _Standing:
        known, data_version = self._standing, _data_version(connection)
        if known is None or known.connection is not connection or known.data_version != data_version:
            with transaction(connection, "DEFERRED"):
                known = self._standing = _Standing(connection, data_version, stored_mark(connection), _beats(connection))
        return known

    async def _look_out(self, seconds: float) -> None:
        """Ask the file itself every so often whether it was written to."""
        until = self._clock.monotonic() + seconds
        first: int | None = None
        while (left := until - self._clock.monotonic()) > 0:
            try:
                now = await self._reads.run(_data_version)
            except StoreUnavailable:
                await asyncio.sleep(left)
                return
            if first is not None and now != first:
                return
            first = now
            await asyncio.sleep(min(left, LOOK_SECONDS))


def _snapshot(connection: apsw.Connection) -> Snapshot:
    with transaction(connection, "DEFERRED"):
        found = rows(connection, "SELECT family, revision, document FROM families ORDER BY family")
        mark, beats = stored_mark(connection), _beats(connection)
    families: dict[str, FamilyRecord] = {}
    invalid: dict[str, str] = {}
    for family, revision, document in found:
        try:
            families[family] = _believed(family, revision, document)
        except InvalidRecord as error:
            invalid[family] = error.reason
    return Snapshot(fence=mark.fence, epoch=mark.epoch, head=mark.head, families=families, beats=beats, invalid=invalid)


def _believed(family: str, revision: int, document: bytes) -> FamilyRecord:
    record = record_from_document(family, document)
    if record.revision != revision:
        raise InvalidRecord(family, f"revision: it says {record.revision}, the store {revision}")
    return record


def _commit(connection: apsw.Connection, transition: Transition) -> Commit:
    record = transition.record
    reach(Failpoint.COMMIT_BEGUN)
    with transaction(connection, "IMMEDIATE"):
        first = _first_outcome(connection, transition.operation_id)
        if first is not None:
            return Commit(first.epoch, first.revision, replayed=True)
        store = stored_mark(connection)
        refuse_other_history(transition.seen, store, lambda epoch: stored_hash(connection, epoch))
        if transition.leader is not None and transition.leader != signs.newest_token(connection):
            raise NotLeader(transition.leader)
        held = rows(connection, "SELECT revision FROM families WHERE family = ?", record.family)
        actual = held[0][0] if held else 0
        if actual != transition.expected_revision:
            raise StaleRevision(record.family, expected=transition.expected_revision, actual=actual)
        entry = entry_of(transition, store)
        rows(connection, _FAMILY, record.family, record.revision, entry.record)
        write_entry(connection, entry)
        reach(Failpoint.COMMIT_WRITTEN)
    reach(Failpoint.COMMIT_DONE)
    return Commit(entry.epoch, record.revision)


def _reseed(connection: apsw.Connection, reseed: Reseed) -> Commit:
    with transaction(connection, "IMMEDIATE"):
        first = _first_outcome(connection, reseed.operation_id)
        if first is not None:
            return Commit(first.epoch, first.revision, replayed=True)
        held = [family for (family,) in rows(connection, "SELECT family FROM families")]
        entry, records = reseeded(reseed, stored_mark(connection), held)
        for family, record in records.items():
            rows(connection, _FAMILY, family, record.revision, record_to_document(record))
        write_entry(connection, entry)
    return Commit(entry.epoch, entry.revision)


def _first_outcome(connection: apsw.Connection, operation_id: str) -> AuditEntry | None:
    found = entries(connection, "WHERE operation_id = ?", operation_id)
    return found[0] if found else None


def _beats(connection: apsw.Connection) -> Mapping[str, int]:
    return dict(rows(connection, "SELECT family, beats FROM beats"))


def _data_version(connection: apsw.Connection) -> int:
    return int(rows(connection, "PRAGMA data_version")[0][0])
