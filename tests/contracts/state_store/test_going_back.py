"""What every state store promises, the fake included: one that went back in time is recognised, and used again when it was re-seeded."""

from dataclasses import replace

import pytest

from serving.core.audit import RESEED, Mark, verify_chain
from serving.core.errors import StoreWentBack
from serving.core.lifecycle import FamilyRecord
from serving.ports import Commit, Snapshot
from tests.contracts.state_store.changes import V3, fill, record, reseed, transition
from tests.fixtures.store_homes import AnyStore, Home


async def test_a_store_that_was_put_back_in_time_is_not_polled_and_takes_no_change_until_it_is_there_again(home: Home) -> None:
    store, other = await home.open(), await home.open()
    await fill(store, 3)
    restore = home.go_back()
    seen = await fill(store, 2, start=4)

    await restore()

    with pytest.raises(StoreWentBack) as refused:
        await store.poll(seen)
    assert (refused.value.seen, refused.value.store.epoch) == (seen.mark, 3)
    with pytest.raises(StoreWentBack):
        await other.commit(transition(record(revision=4), "op-x", seen=seen.mark))
    assert [entry.epoch for entry in await store.entries(limit=100)] == [1, 2, 3]


async def test_a_store_with_another_history_of_the_same_length_or_longer_is_recognised(home: Home) -> None:
    store = await home.open()
    await fill(store, 3)
    restore = home.go_back()
    seen = await fill(store, 1, start=4)
    await restore()

    for revision in (4, 5):
        await store.commit(transition(record(revision=revision, production=V3), f"other-{revision}"))
        with pytest.raises(StoreWentBack):
            await store.poll(seen)
        with pytest.raises(StoreWentBack):
            await store.commit(transition(record(revision=revision + 1), "op-x", seen=seen.mark))


async def test_a_change_decided_on_an_older_snapshot_of_the_same_history_is_taken(home: Home) -> None:
    store = await home.open()
    early = await fill(store, 1)
    await fill(store, 3, start=2)

    commit = await store.commit(transition(record("intent"), "intent", seen=early.mark))

    assert commit.epoch == 5


async def test_an_operation_that_was_committed_is_known_whatever_its_author_has_seen(home: Home) -> None:
    store = await home.open()
    await fill(store, 1)

    again = await store.commit(transition(record(), "op-1", seen=Mark(1, 99, "f" * 64)))

    assert again == Commit(1, 1, replayed=True)


async def test_whoever_has_seen_nothing_yet_is_given_everything(home: Home) -> None:
    store = await home.open()

    assert await store.poll(Snapshot()) == await store.snapshot()
    await fill(store, 2)
    assert await store.poll(Snapshot()) == await store.snapshot()


async def lose_two_changes(home: Home, store: AnyStore) -> Snapshot:
    """Epochs 4 and 5 are lost; gives what was seen of them."""
    await fill(store, 3)
    restore = home.go_back()
    seen = await fill(store, 2, start=4)
    await restore()
    return seen


async def test_a_reseed_makes_the_store_hold_what_was_seen_at_an_epoch_and_fence_nobody_has_seen(home: Home) -> None:
    store = await home.open()
    seen = await lose_two_changes(home, store)

    commit = await store.reseed(reseed(seen))

    newest = await store.poll(seen)
    assert newest is not None
    assert (commit.epoch, newest.mark.fence, newest.mark.epoch) == (6, 2, 6)
    assert newest.families == {"digits": replace(seen.families["digits"], revision=6)}
    assert await store.snapshot() == newest


async def test_a_reseed_empties_the_families_that_it_does_not_name_at_a_revision_they_never_had(home: Home) -> None:
    store = await home.open()
    seen = await fill(store, 1)
    await store.commit(transition(record("intent"), "intent"))

    await store.reseed(reseed(seen))

    assert (await store.snapshot()).families["intent"] == FamilyRecord("intent", revision=3)
    assert (await store.commit(transition(record("intent", revision=4), "anew"))).revision == 4


async def test_the_chain_leads_through_a_reseed_and_says_what_it_replaced(home: Home) -> None:
    store = await home.open()
    seen = await lose_two_changes(home, store)
    await store.reseed(reseed(seen))
    await store.commit(transition(record(revision=7), "after"))

    entries = await store.entries(limit=100)

    verdict = verify_chain(entries, heads=[seen.mark, (await store.snapshot()).mark])
    assert verdict.holds
    assert verdict.reseeds == (6,)
    (entry,) = [entry for entry in entries if entry.action == RESEED]
    assert (entry.family, entry.actor, entry.reason, entry.previous) == ("", "ada", "the backup was too old", seen.head)


async def test_after_a_reseed_only_what_was_decided_on_it_is_taken(home: Home) -> None:
    store = await home.open()
    seen = await lose_two_changes(home, store)
    await store.reseed(reseed(seen))
    now = await store.snapshot()

    with pytest.raises(StoreWentBack):
        await store.commit(transition(record(revision=7), "before", seen=seen.mark))
    assert (await store.commit(transition(record(revision=7), "after", seen=now.mark))).epoch == 7


async def test_a_reseed_is_carried_out_once_whoever_repeats_it(home: Home) -> None:
    store = await home.open()
    seen = await fill(store, 2)

    first = await store.reseed(reseed(seen))
    again = await store.reseed(reseed(seen))

    assert again == replace(first, replayed=True)
    assert (await store.snapshot()).mark.fence == 2


async def test_a_reseed_is_part_of_every_familys_history(home: Home) -> None:
    store = await home.open()
    seen = await fill(store, 1)
    await store.reseed(reseed(seen))

    assert [entry.action for entry in await store.history("digits", limit=10)] == [RESEED, "promote 1.1.0"]
