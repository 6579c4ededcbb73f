"""A store that the program before this one wrote: its tables are made here by that program's own statements."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import apsw
import pytest

from registry_client.versions import ModelVersion
from serving.core.audit import verify_chain
from serving.core.errors import StoreUnavailable
from serving.core.lifecycle import FamilyRecord
from serving.ports import Snapshot
from serving.stores.encoding import record_to_document
from serving.stores.sqlite import SqliteStore
from tests.fakes.clock import FakeClock
from tests.unit.stores.sqlite.changes import transition

V1 = ModelVersion.parse("1.0.0")
CLOCK = FakeClock()

OLD_TABLES = """
CREATE TABLE epochs (id INTEGER PRIMARY KEY CHECK (id = 1), epoch INTEGER NOT NULL) STRICT;
INSERT INTO epochs VALUES (1, 0);
CREATE TABLE families (family TEXT PRIMARY KEY, revision INTEGER NOT NULL, document BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE audit (
    epoch INTEGER PRIMARY KEY,
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
    UNIQUE (family, revision)
) STRICT;
CREATE TRIGGER audit_is_never_edited BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_is_never_cut BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TABLE beats (family TEXT PRIMARY KEY, beats INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE gateways (gateway TEXT PRIMARY KEY, epoch INTEGER NOT NULL, seen_at REAL NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE board (id INTEGER PRIMARY KEY CHECK (id = 1), document BLOB NOT NULL) STRICT;
"""
APPLICATION = 0x504F494E
CHANGES = (("digits", 1), ("intent", 1), ("digits", 2))
TIMES = ("2029-05-06T07:08:09+00:00", "2029-05-06T07:08:09.000678+00:00", "2029-05-07T00:00:00+00:00")


def record(family: str, revision: int) -> FamilyRecord:
    return FamilyRecord(family, revision, {V1: "a" * 64}, V1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The old program's file, after three changes of two families."""
    path = tmp_path / "state.db"
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"BEGIN; {OLD_TABLES}; PRAGMA application_id = {APPLICATION}; PRAGMA user_version = 1; COMMIT")
    for epoch, (family, revision) in enumerate(CHANGES, start=1):
        document = record_to_document(record(family, revision))
        connection.execute("UPDATE epochs SET epoch = ?", (epoch,))
        connection.execute("INSERT OR REPLACE INTO families VALUES (?, ?, ?)", (family, revision, document))
        row = (
            epoch,
            family,
            revision,
            TIMES[epoch - 1],
            "ada",
            "promote 1.0.0",
            "it is good",
            b'{"production":null}',
            b"{}",
            f"op-{epoch}",
            "",
        )
        connection.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    connection.execute("INSERT INTO beats VALUES ('digits', 7)")
    connection.execute("INSERT INTO gateways VALUES ('gateway-1', 3, 1.0)")
    connection.close()
    return path


async def test_everything_that_was_decided_is_there_and_chained(path: Path) -> None:
    store = await SqliteStore.open(path, CLOCK)

    snapshot, entries = await store.snapshot(), await store.entries(limit=10)

    assert snapshot.families == {"digits": record("digits", 2), "intent": record("intent", 1)}
    assert snapshot.beats == {"digits": 7}
    assert (snapshot.mark.fence, snapshot.mark.epoch) == (1, 3)
    assert [(entry.family, entry.revision, entry.actor, entry.operation_id) for entry in entries] == [
        ("digits", 1, "ada", "op-1"),
        ("intent", 1, "ada", "op-2"),
        ("digits", 2, "ada", "op-3"),
    ]
    assert [entry.at for entry in entries] == [datetime.fromisoformat(text) for text in TIMES]
    assert verify_chain(entries, heads=[snapshot.mark]).holds
    await store.close()


async def test_changes_go_on_where_they_were_and_operations_are_remembered(path: Path) -> None:
    store = await SqliteStore.open(path, CLOCK)
    seen = await store.poll(Snapshot())
    assert seen is not None

    commit = await store.commit(transition(3))

    entries = await store.entries(limit=10)
    assert (commit.epoch, commit.revision) == (4, 3)
    assert verify_chain(entries, heads=[seen.mark]).holds
    assert (await store.commit(transition(3))).replayed
    assert (await store.committed("op-2")) == entries[1]
    await store.close()


async def test_a_family_is_shown_as_it_was_where_the_old_file_still_held_it_whole(path: Path) -> None:
    store = await SqliteStore.open(path, CLOCK)

    newest, older = [await store.record_at("digits", datetime(2029, 5, day, 12, tzinfo=UTC)) for day in (7, 6)]

    assert newest is not None
    assert newest.record == record("digits", 2)
    assert older is None
    await store.close()


async def test_eight_may_open_an_old_file_at_once(path: Path) -> None:
    stores = await asyncio.gather(*(SqliteStore.open(path, CLOCK) for _ in range(8)))

    assert len({(await store.snapshot()).mark for store in stores}) == 1
    assert verify_chain(await stores[0].entries(limit=10)).holds
    await asyncio.gather(*(store.close() for store in stores))


async def test_a_migration_that_fails_leaves_the_old_file_as_it_was(path: Path) -> None:
    meddler = apsw.Connection(str(path))
    meddler.execute("DROP TRIGGER audit_is_never_edited; UPDATE audit SET before = x'00' WHERE epoch = 2")

    with pytest.raises(StoreUnavailable, match="the audit entry of epoch 2 cannot be read"):
        await SqliteStore.open(path, CLOCK)

    assert meddler.execute("PRAGMA user_version").get == 1
    assert meddler.execute("SELECT count(*) FROM audit").get == 3
    assert meddler.execute("SELECT count(*) FROM gateways").get == 1
