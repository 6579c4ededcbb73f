"""The SQLite store's file lost and found: opened late, made anew, and replaced by another."""

from pathlib import Path

import apsw
import pytest

from serving.core.errors import StoreUnavailable
from serving.ports import Reseed
from serving.stores.sqlite import SqliteStore
from tests.unit.stores.sqlite.changes import AT, CLOCK, transition
from tests.unit.stores.sqlite.files import content_of, copy_of, move, names_in, put_in_place_of, write


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
