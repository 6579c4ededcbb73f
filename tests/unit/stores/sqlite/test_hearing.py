"""How soon a change by another process is heard of."""

import asyncio
import time
from pathlib import Path

import pytest

from serving.ports import GatewayAck, Snapshot
from serving.stores.sqlite import SqliteStore
from serving.telemetry.clock import SystemClock
from tests.unit.stores.sqlite.changes import CLOCK, transition
from tests.unit.stores.sqlite.files import copy_of, move


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
