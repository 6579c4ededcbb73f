"""What every state store promises, the fake included: every change has its place in the audit, and the past is shown as it was."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

from registry_client.versions import ModelVersion
from serving.core.audit import RESEED, verify_chain
from tests.contracts.state_store.changes import AT, V1, V2, V3, fill, record, reseed, transition
from tests.fixtures.store_homes import Home


async def test_history_is_newest_first_bounded_and_of_one_family_or_all(home: Home) -> None:
    store = await home.open()
    await store.commit(transition(record("digits"), "a"))
    await store.commit(transition(record("intent"), "b"))
    await store.commit(transition(record("digits", revision=2, production=V2), "c"))

    everything = await store.history(None, limit=2)
    digits = await store.history("digits", limit=10)

    assert [entry.operation_id for entry in everything] == ["c", "b"]
    assert [entry.operation_id for entry in digits] == ["c", "a"]


async def test_an_audit_entry_says_who_changed_what_when_and_why(home: Home) -> None:
    store = await home.open()
    made = replace(transition(record()), signal="errors in a row: 8")
    await store.commit(made)

    (entry,) = await store.history("digits", limit=1)

    assert (entry.at, entry.actor, entry.action, entry.reason) == (AT, "ada", "promote 1.0.0", "it is good")
    assert (entry.before, entry.after, entry.signal) == (made.before, made.after, "errors in a row: 8")


async def test_every_change_extends_the_chain_and_the_snapshot_names_its_head(home: Home) -> None:
    store = await home.open()
    snapshot = await fill(store, 5)
    await store.commit(transition(record("intent"), "intent"))

    entries = await store.entries(limit=100)

    verdict = verify_chain(entries, heads=[snapshot.mark])
    assert verdict.holds
    assert (verdict.entries, verdict.mark) == (6, (await store.snapshot()).mark)


async def test_the_audit_is_read_oldest_first_in_pages(home: Home) -> None:
    store = await home.open()
    await fill(store, 5)

    first, second, last = [[entry.epoch for entry in await store.entries(after=after, limit=2)] for after in (0, 2, 4)]

    assert (first, second, last) == ([1, 2], [3, 4], [5])
    assert await store.entries(after=5, limit=2) == []


async def test_an_entry_read_in_any_way_is_the_same(home: Home) -> None:
    store = await home.open()
    await fill(store, 1)

    (entry,) = await store.entries(limit=1)

    assert [entry] == await store.history("digits", limit=1)
    assert entry == await store.committed("op-1")
    past = await store.record_at("digits", AT)
    assert past is not None
    assert past.entry == entry


async def test_of_many_writers_every_change_has_its_place_in_the_chain(home: Home) -> None:
    stores = [await home.open() for _ in range(8)]

    async def write(number: int) -> None:
        for revision in range(1, 6):
            await stores[number].commit(transition(record(f"family-{number}", revision), f"{number}-{revision}"))

    await asyncio.gather(*(write(number) for number in range(8)))

    entries = await stores[0].entries(limit=100)
    assert verify_chain(entries, heads=[(await stores[7].snapshot()).mark]).holds
    assert len(entries) == 40


async def test_a_family_is_shown_as_it_was_at_any_time(home: Home) -> None:
    store = await home.open()
    times = [datetime(2030, 1, day, tzinfo=UTC) for day in (1, 2, 3)]
    for revision, (at, production) in enumerate(zip(times, (V1, V2, V3), strict=True), start=1):
        await store.commit(replace(transition(record(revision=revision, production=production), f"op-{revision}"), at=at))
        await store.commit(replace(transition(record("intent", revision=revision), f"intent-{revision}"), at=at))

    async def production_at(at: datetime) -> ModelVersion | None:
        past = await store.record_at("digits", at)
        return None if past is None else past.record.production

    assert [await production_at(at) for at in times] == [V1, V2, V3]
    assert await production_at(times[0].replace(year=2029)) is None
    assert await production_at(times[1].replace(hour=23, microsecond=1)) == V2
    assert await production_at(datetime(2030, 1, 3, 1, tzinfo=timezone(timedelta(hours=2)))) == V2
    assert await production_at(times[2].replace(year=2031)) == V3
    assert await store.record_at("iris", times[2]) is None


async def test_after_a_reseed_a_family_is_shown_as_it_was_declared(home: Home) -> None:
    store = await home.open()
    seen = await fill(store, 2)
    await store.reseed(replace(reseed(seen), at=AT.replace(year=2031)))

    before, after = await store.record_at("digits", AT), await store.record_at("digits", AT.replace(year=2032))

    assert before is not None
    assert after is not None
    assert (before.record, before.entry.epoch) == (seen.families["digits"], 2)
    assert (after.record, after.entry.action) == (replace(seen.families["digits"], revision=3), RESEED)
    assert await store.record_at("intent", AT.replace(year=2032)) is None
