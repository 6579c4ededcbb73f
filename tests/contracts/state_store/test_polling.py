"""What every state store promises, the fake included: whoever looks again is given what has changed, and soon told to look."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from serving.ports import Snapshot
from tests.contracts.state_store.changes import V1, fill, record, reseed, transition
from tests.fixtures.store_homes import AnyStore, Home


async def test_poll_gives_nothing_until_something_changed(home: Home) -> None:
    store = await home.open()
    seen = await store.snapshot()

    before = await store.poll(seen)
    await store.commit(transition(record()))
    after = await store.poll(seen)

    assert before is None
    assert after is not None
    assert (after.epoch, after.families["digits"].production) == (1, V1)
    assert await store.poll(after) is None


async def test_poll_sees_the_changes_of_another_connection(home: Home) -> None:
    mine, other = await home.open(), await home.open()
    seen = await mine.snapshot()
    assert await mine.poll(seen) is None

    await other.commit(transition(record()))

    newer = await mine.poll(seen)
    assert newer is not None
    assert newer.families == (await other.snapshot()).families


async def test_poll_serves_callers_that_have_seen_different_things(home: Home) -> None:
    store = await home.open()
    nothing = await store.snapshot()
    await store.commit(transition(record()))
    newest = await store.poll(nothing)
    assert newest is not None

    assert await store.poll(newest) is None
    assert await store.poll(nothing) == newest
    assert await store.poll(newest) is None


async def test_a_beat_is_polled_but_changes_no_epoch_and_no_record(home: Home) -> None:
    mine, other = await home.open(), await home.open()
    await mine.commit(transition(record()))
    seen = await mine.snapshot()

    await other.beat("digits")
    await other.beat("digits")

    newer = await mine.poll(seen)
    assert newer is not None
    assert (newer.epoch, newer.families, newer.beats) == (seen.epoch, seen.families, {"digits": 2})


async def test_a_record_that_cannot_be_believed_is_reported_and_never_hides_the_others(home: Home) -> None:
    store = await home.open()
    await store.commit(transition(record("digits"), "a"))
    await store.commit(transition(record("intent"), "b"))

    home.write_document("digits", b'{"schema": 1, "family": "digits", "revision": "one"}')

    snapshot = await store.snapshot()
    assert list(snapshot.families) == ["intent"]
    assert list(snapshot.invalid) == ["digits"]
    assert "revision" in snapshot.invalid["digits"]


async def test_poll_keeps_the_last_good_record_of_a_family_whose_document_went_bad(home: Home) -> None:
    store = await home.open()
    await store.commit(transition(record("digits"), "a"))
    seen = await store.snapshot()
    home.write_document("digits", b"")
    await store.commit(transition(record("intent"), "b"))

    newer = await store.poll(seen)

    assert newer is not None
    assert newer.families["digits"] == seen.families["digits"]
    assert "digits" in newer.invalid


async def seconds_until_changed(home: Home, write: Callable[[AnyStore], Awaitable[Any]], patience: float) -> float:
    store, other = await home.open(), await home.open()
    await fill(store, 1)
    seen = await store.poll(Snapshot())
    assert seen is not None
    started = asyncio.get_running_loop().time()
    waiting = asyncio.create_task(store.changed(seen, patience))
    await asyncio.sleep(0)
    await write(other)
    await waiting
    return asyncio.get_running_loop().time() - started


async def test_a_change_by_another_connection_is_hinted_at_long_before_the_wait_is_over(home: Home) -> None:
    seconds = await seconds_until_changed(home, lambda other: fill(other, 1, start=2), patience=30)

    assert seconds < 5


async def test_a_reseed_is_hinted_at(home: Home) -> None:
    async def write(other: AnyStore) -> None:
        await other.reseed(reseed(await other.snapshot()))

    assert await seconds_until_changed(home, write, patience=30) < 5


async def test_a_change_between_a_poll_and_the_wait_for_the_next_is_not_waited_for(home: Home) -> None:
    store, other = await home.open(), await home.open()
    await store.changed(await store.snapshot(), 0.001)
    seen = await store.poll(Snapshot())
    assert seen is not None
    await fill(other, 1)

    async with asyncio.timeout(5):
        await store.changed(seen, 30)

    assert await store.poll(seen) is not None


async def test_without_a_change_the_wait_is_over_after_its_seconds(home: Home) -> None:
    store = await home.open()
    seen = await store.poll(Snapshot())
    assert seen is not None

    async with asyncio.timeout(5):
        await store.changed(seen, 0.01)
