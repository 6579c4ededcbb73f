"""What the SQLite store says, and does, when the file or the disk fails it."""

import asyncio
from pathlib import Path

import apsw
import pytest

from serving.core.errors import StoreUnavailable
from serving.ports import GatewayAck
from serving.stores.sqlite import SqliteStore
from tests.unit.stores.sqlite.changes import CLOCK, transition
from tests.unit.stores.sqlite.files import move, write


async def test_a_full_disk_is_reported_nothing_is_written_and_reading_goes_on(store: SqliteStore) -> None:
    await store.commit(transition())
    await store._changes.run(lambda connection: connection.execute(f"PRAGMA max_page_count = {connection.pragma('page_count')}"))

    async def fill() -> None:
        for number in range(1_000):
            await store.commit(transition(family=f"family-{number}"))

    with pytest.raises(StoreUnavailable, match="the disk is full"):
        await fill()

    snapshot = await store.snapshot()
    assert snapshot.epoch == len(snapshot.families) == len(await store.history(None, limit=1_000))
    await store._changes.run(lambda connection: connection.execute("PRAGMA max_page_count = 1000000"))
    assert (await store.commit(transition(2))).epoch == snapshot.epoch + 1


async def test_a_file_that_cannot_be_written_is_reported(store: SqliteStore) -> None:
    await store._changes.run(lambda connection: connection.execute("PRAGMA query_only = 1"))

    with pytest.raises(StoreUnavailable, match="it cannot be written to"):
        await store.commit(transition())


async def test_while_another_process_writes_reading_goes_on_and_a_change_waits_its_turn(store: SqliteStore, path: Path) -> None:
    other = apsw.Connection(str(path))
    other.execute("BEGIN IMMEDIATE")
    seen = await store.snapshot()

    change = asyncio.create_task(store.commit(transition()))
    assert await store.poll(seen) is None
    assert await store.acks() == []
    assert not change.done()
    other.execute("COMMIT")

    assert (await change).epoch == 1


async def test_a_change_that_waited_too_long_for_a_lock_says_so(store: SqliteStore, path: Path) -> None:
    await store._changes.run(lambda connection: connection.set_busy_timeout(1))
    other = apsw.Connection(str(path))
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreUnavailable, match="locked by another process"):
        await store.commit(transition())

    other.execute("COMMIT")
    assert (await store.commit(transition())).epoch == 1


async def test_a_file_that_is_gone_takes_no_changes_and_serves_again_when_it_is_back(store: SqliteStore, path: Path) -> None:
    await store.commit(transition())
    seen = await store.snapshot()
    away = move(path, path.with_suffix(".away"))

    with pytest.raises(StoreUnavailable, match="is not there any more"):
        await store.commit(transition(2))
    with pytest.raises(StoreUnavailable):
        await store.poll(seen)
    move(away, path)

    assert await store.poll(seen) is None
    assert (await store.commit(transition(2))).epoch == 2


async def test_a_file_that_was_replaced_takes_no_changes(store: SqliteStore, path: Path) -> None:
    move(path, path.with_suffix(".away"))
    write(path, b"")

    with pytest.raises(StoreUnavailable, match="was replaced by another file"):
        await store.ack(GatewayAck("gateway-1", 1, CLOCK.now()))


async def test_documents_that_were_meddled_with_are_reported(store: SqliteStore, path: Path) -> None:
    await store.commit(transition())
    meddler = apsw.Connection(str(path))
    meddler.execute("INSERT INTO board VALUES (1, x'00'); DROP TRIGGER audit_is_never_edited; UPDATE audit SET after = x'00'")
    meddler.execute("UPDATE families SET revision = 7")

    with pytest.raises(StoreUnavailable, match="cannot be read"):
        await store.read()
    with pytest.raises(StoreUnavailable, match="the audit entry of epoch 1 cannot be read"):
        await store.history("digits", limit=1)
    assert (await store.snapshot()).invalid == {"digits": "revision: it says 1, the store 7"}


async def test_a_closed_store_says_so(path: Path) -> None:
    store = await SqliteStore.open(path, CLOCK)
    await store.close()

    with pytest.raises(StoreUnavailable, match="is closed"):
        await store.snapshot()


async def test_gateways_long_gone_are_swept_away(store: SqliteStore) -> None:
    await store.ack(GatewayAck("old", 1, CLOCK.now()))
    CLOCK.advance(601)
    await store.ack(GatewayAck("new", 1, CLOCK.now()))

    names = await store._reads.run(lambda connection: connection.execute("SELECT gateway FROM gateways").fetchall())

    assert names == [("new",)]
