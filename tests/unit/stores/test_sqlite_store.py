"""What is the SQLite store's own: its file, its durability, and what it says when the file or the disk fails it."""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import apsw
import pytest

from registry_client.versions import ModelVersion
from serving.core.audit import NOTHING_SEEN
from serving.core.errors import StoreUnavailable
from serving.core.lifecycle import FamilyRecord
from serving.ports import GatewayAck, Reseed, Snapshot, Transition
from serving.stores.sqlite import SqliteStore
from serving.telemetry.clock import SystemClock
from tests.fakes.clock import FakeClock

V1 = ModelVersion.parse("1.0.0")
AT = datetime(2030, 1, 1, tzinfo=UTC)
CLOCK = FakeClock()


def transition(revision: int = 1, family: str = "digits") -> Transition:
    return Transition(
        record=FamilyRecord(family, revision, {V1: "a" * 64}, V1),
        expected_revision=revision - 1,
        actor="ada",
        action="promote 1.0.0",
        reason="",
        before={},
        after={},
        operation_id=f"{family}-{revision}",
        at=AT,
        seen=NOTHING_SEEN,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "state.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(path, CLOCK)
    yield store
    await store.close()


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)


def names_in(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


def content_of(path: Path) -> bytes:
    return path.read_bytes()


def move(path: Path, to: Path) -> Path:
    return path.rename(to)


# --- the file


async def test_the_file_and_its_companions_are_the_owners_alone_in_a_folder_of_the_owners(store: SqliteStore, path: Path) -> None:
    await store.commit(transition())

    assert mode(path.parent) == 0o700
    assert {each.name: oct(mode(each)) for each in path.parent.iterdir()} == dict.fromkeys(
        ("state.db", "state.db-wal", "state.db-shm"), oct(0o600)
    )


async def test_changes_are_on_the_disk_before_they_are_answered_and_signs_of_life_need_not_be(store: SqliteStore) -> None:
    def pragmas(connection: apsw.Connection) -> tuple[object, ...]:
        return tuple(connection.execute(f"PRAGMA {name}").get for name in ("journal_mode", "synchronous"))

    assert await store._changes.run(pragmas) == ("wal", 2)
    assert await store._signs.run(pragmas) == ("wal", 1)


async def test_what_was_written_is_there_when_the_store_is_opened_again(path: Path) -> None:
    first = await SqliteStore.open(path, CLOCK)
    await first.commit(transition())
    await first.beat("digits")
    before = await first.snapshot()
    await first.close()

    second = await SqliteStore.open(path, CLOCK)

    assert await second.snapshot() == before
    await second.close()


async def test_eight_may_open_a_fresh_store_at_once(path: Path) -> None:
    stores = await asyncio.gather(*(SqliteStore.open(path, CLOCK) for _ in range(8)))

    await stores[0].commit(transition())

    assert {(await store.snapshot()).epoch for store in stores} == {1}
    await asyncio.gather(*(store.close() for store in stores))
    assert [each.name for each in path.parent.iterdir()] == ["state.db"]


async def test_an_empty_file_is_not_taken_for_a_store(path: Path) -> None:
    write(path, b"")

    with pytest.raises(StoreUnavailable, match="is not a store of this program"):
        await SqliteStore.open(path, CLOCK)


async def test_a_newer_schema_is_refused(path: Path) -> None:
    await (await SqliteStore.open(path, CLOCK)).close()
    apsw.Connection(str(path)).execute("PRAGMA user_version = 3")

    with pytest.raises(StoreUnavailable, match="has schema 3, this program knows schemas up to 2"):
        await SqliteStore.open(path, CLOCK)


async def test_the_database_of_another_program_is_refused_and_left_alone(path: Path) -> None:
    path.parent.mkdir()
    apsw.Connection(str(path)).execute("CREATE TABLE theirs (x)")

    with pytest.raises(StoreUnavailable, match="is not a store of this program"):
        await SqliteStore.open(path, CLOCK)

    assert apsw.Connection(str(path)).execute("SELECT group_concat(name) FROM sqlite_schema").get == "theirs"


async def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    write(path, b"not a database at all" * 1_000)

    with pytest.raises(StoreUnavailable, match="it is not a database"):
        await SqliteStore.open(path, CLOCK)


async def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file is in the way")

    with pytest.raises(StoreUnavailable, match=r"state\.db did not answer"):
        await SqliteStore.open(tmp_path / "data" / "state.db", CLOCK)


# --- nothing half-written

KILLED = """
import asyncio, os, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.unit.stores.test_sqlite_store import CLOCK, SqliteStore, transition

async def main():
    store = await SqliteStore.open(Path({path!r}), CLOCK)
    await store.commit(transition(1))
    {sabotage}
    await store.commit(transition(2))
    os.kill(os.getpid(), 9)

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("sabotage", "epoch"),
    [("await store._changes.run(lambda connection: connection.set_commit_hook(lambda: os.kill(os.getpid(), 9)))", 1), ("", 2)],
    ids=["before the commit", "after the commit"],
)
async def test_a_process_killed_around_its_commit_leaves_all_of_the_change_or_nothing(path: Path, sabotage: str, epoch: int) -> None:
    program = KILLED.format(root=str(Path(__file__).parents[3]), path=str(path), sabotage=sabotage)

    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stderr=asyncio.subprocess.PIPE)
    _, complaint = await asyncio.wait_for(process.communicate(), 60)

    assert process.returncode == -signal.SIGKILL, complaint.decode()
    store = await SqliteStore.open(path, CLOCK)
    snapshot = await store.snapshot()
    assert (snapshot.epoch, snapshot.families["digits"].revision) == (epoch, epoch)
    assert [entry.epoch for entry in await store.history(None, limit=10)] == list(range(epoch, 0, -1))
    assert (await store.committed("digits-2") is not None) == (epoch == 2)
    assert (await store.commit(transition(2))).replayed == (epoch == 2)
    await store.close()


async def test_a_commit_that_fails_midway_writes_nothing_and_the_next_one_succeeds(store: SqliteStore) -> None:
    refuse = "CREATE TEMP TRIGGER refuse BEFORE INSERT ON main.audit BEGIN SELECT RAISE(ABORT, 'on purpose'); END"
    await store._changes.run(lambda connection: connection.execute(refuse))
    with pytest.raises(StoreUnavailable, match="on purpose"):
        await store.commit(transition())
    await store._changes.run(lambda connection: connection.execute("DROP TRIGGER refuse"))

    assert (await store.snapshot()).families == {}
    assert (await store.commit(transition())).epoch == 1


@pytest.mark.parametrize("tampering", ["UPDATE audit SET actor = 'nobody'", "DELETE FROM audit"])
async def test_the_audit_can_only_be_added_to(store: SqliteStore, tampering: str) -> None:
    await store.commit(transition())

    with pytest.raises(StoreUnavailable, match="append-only"):
        await store._changes.run(lambda connection: connection.execute(tampering))


# --- what fails


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


# --- opening, losing and finding the file


async def test_a_store_that_cannot_be_opened_yet_says_so_in_every_call_and_works_as_soon_as_it_can(tmp_path: Path) -> None:
    in_the_way = tmp_path / "data"
    in_the_way.write_text("a file where the folder should be")
    store = SqliteStore(in_the_way / "state.db", CLOCK)

    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await store.snapshot()
        with pytest.raises(StoreUnavailable):
            await store.commit(transition())
    in_the_way.unlink()

    assert (await store.commit(transition())).epoch == 1
    await store.close()


async def test_no_empty_store_is_made_where_one_was_before(path: Path) -> None:
    kept = path.with_name("routes.snapshot")
    write(kept, b"newest routes")
    store = SqliteStore(path, CLOCK, traces=(kept,))

    with pytest.raises(StoreUnavailable, match=r"routes\.snapshot beside it tells of one"):
        await store.snapshot()

    assert names_in(path.parent) == {"routes.snapshot"}
    await store.close()


async def test_a_lost_file_is_made_anew_by_a_reseed_alone_and_what_is_left_of_it_is_kept(store: SqliteStore, path: Path) -> None:
    await store.commit(transition())
    seen = await store.snapshot()
    move(path, path.parent.with_name("gone.db"))
    with pytest.raises(StoreUnavailable, match="is not there any more"):
        await store.commit(transition(2))

    commit = await store.reseed(
        Reseed(families=seen.families, seen=seen.mark, actor="ada", reason="the disk died", operation_id="reseed", at=AT)
    )

    assert (commit.epoch, (await store.snapshot()).mark.fence) == (2, 2)
    assert await store.poll(seen) == await store.snapshot()
    assert names_in(path.parent) >= {"state.db-wal.left", "state.db-shm.left"}


async def test_another_file_that_continues_the_history_is_used_as_soon_as_it_is_there(store: SqliteStore, path: Path) -> None:
    await store.commit(transition())
    seen = await store.snapshot()
    put_in_place_of(path, copy_of(path))

    assert await store.poll(seen) is None
    assert (await store.commit(transition(2))).epoch == 2
    assert apsw.Connection(str(path)).execute("SELECT epoch FROM epochs").get == 2


async def test_another_file_is_not_touched_while_the_log_of_the_one_before_is_beside_it(store: SqliteStore, path: Path) -> None:
    await store.commit(transition())
    backup = copy_of(path)
    move(path, path.with_suffix(".away"))
    backup.rename(path)
    before = content_of(path)

    for _ in range(2):
        with pytest.raises(StoreUnavailable, match=r"was replaced by another file, but state\.db-wal of the one before is still there"):
            await store.commit(transition(2))
    assert content_of(path) == before

    for left in ("state.db-wal", "state.db-shm"):
        path.with_name(left).rename(path.with_name(f"away-{left}"))
    assert (await store.commit(transition(2))).epoch == 2


async def test_a_file_put_together_from_two_is_refused(path: Path) -> None:
    await (await SqliteStore.open(path, CLOCK)).close()
    apsw.Connection(str(path)).execute("UPDATE epochs SET head = ?", ("f" * 64,))

    with pytest.raises(StoreUnavailable, match="contradicts itself"):
        await SqliteStore.open(path, CLOCK)


def copy_of(path: Path) -> Path:
    """A backup of a store, whole and without a log."""
    backup = path.with_name("backup.db")
    apsw.Connection(str(path)).execute("VACUUM INTO ?", (str(backup),))
    return backup


def put_in_place_of(path: Path, other: Path) -> None:
    lost = path.parent / "lost"
    lost.mkdir()
    for part in path.parent.glob(f"{path.name}*"):
        part.rename(lost / part.name)
    other.rename(path)


# --- hearing of changes


async def heard_after(store: SqliteStore, path: Path, patience: float = 10) -> float:
    """Seconds until a change by another process, which this one is, is heard of."""
    other = await SqliteStore.open(path, CLOCK)
    seen = await store.poll(Snapshot())
    assert seen is not None
    waiting = asyncio.create_task(store.changed(seen, patience))
    await asyncio.sleep(0)
    await other.commit(transition(seen.epoch + 1))
    started = time.monotonic()
    await waiting
    await other.close()
    assert await store.poll(seen) is not None
    return time.monotonic() - started


async def test_a_change_is_heard_of_at_once_also_after_the_folder_was_swapped(store: SqliteStore, path: Path) -> None:
    await store.commit(transition())
    assert await heard_after(store, path) < 1

    away = path.parent.rename(path.parent.with_name("away"))
    path.parent.mkdir()
    copy_of(away / path.name).rename(path)

    assert await heard_after(store, path) < 1


async def test_where_the_kernel_tells_nothing_the_file_is_looked_at(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store._notices, "listen", lambda: False)
    monkeypatch.setattr(store, "_clock", SystemClock())

    assert await heard_after(store, path) < 1


async def test_waiting_for_a_store_that_is_away_takes_the_whole_time_and_raises_nothing(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = await store.snapshot()
    monkeypatch.setattr(store, "_clock", SystemClock())
    move(path.parent, path.parent.with_name("away"))
    started = time.monotonic()

    await store.changed(seen, 0.2)

    assert time.monotonic() - started >= 0.2


async def test_signs_of_life_wake_nobody(store: SqliteStore, path: Path) -> None:
    other = await SqliteStore.open(path, CLOCK)
    seen = await store.poll(Snapshot())
    assert seen is not None
    waiting = asyncio.create_task(store.changed(seen, 0.3))
    await asyncio.sleep(0)
    started = time.monotonic()

    await other.beat("digits")
    await other.ack(GatewayAck("gateway-1", 1, CLOCK.now()))
    await waiting

    assert time.monotonic() - started > 0.2
    await other.close()
