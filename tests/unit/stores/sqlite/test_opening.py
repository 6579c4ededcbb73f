"""The SQLite store's file: whose it is, how safely it is written, and which files are none."""

import asyncio
from pathlib import Path

import apsw
import pytest

from serving.core.errors import StoreUnavailable
from serving.stores.sqlite import SqliteStore
from tests.unit.stores.sqlite.changes import CLOCK, transition
from tests.unit.stores.sqlite.files import mode, write


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
