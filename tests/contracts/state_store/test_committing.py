"""What every state store promises, the fake included: a change is made once, whole, and on what it was decided on, or not at all."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from serving.core.audit import BEGINNING
from serving.core.errors import InvalidRecord, StaleRevision
from serving.core.lifecycle import Canary, Shadow
from serving.core.traffic import End, Slice
from serving.ports import Commit
from tests.contracts.state_store.changes import V1, V2, V3, record, transition
from tests.fixtures.store_homes import Home


async def test_a_fresh_store_is_empty_at_epoch_0(home: Home) -> None:
    store = await home.open()

    snapshot = await store.snapshot()

    assert (snapshot.mark, snapshot.families, snapshot.beats, snapshot.invalid) == (BEGINNING, {}, {}, {})
    assert await store.history(None, limit=10) == []
    assert await store.entries(limit=10) == []
    assert await store.read() == ()


async def test_what_was_committed_is_read_back_whole(home: Home) -> None:
    store = await home.open()
    everything = replace(
        record(production=V3),
        previous=(V1,),
        canaries=(Canary(V2, Slice(End.HIGH, 250)),),
        shadows=(Shadow(V2, 10_000),),
        candidate=V2,
        staging=V1,
        deprecated=frozenset({V1}),
        quarantined={V1: "it answered 7 to everything"},
        key_headers=("x-tenant",),
        salt="digits@1.1.0",
    )

    commit = await store.commit(transition(everything))

    snapshot = await store.snapshot()
    assert commit == Commit(epoch=1, revision=1)
    assert (snapshot.epoch, snapshot.families) == (1, {"digits": everything})


async def test_a_change_decided_on_an_older_revision_is_refused_and_writes_nothing(home: Home) -> None:
    store = await home.open()
    await store.commit(transition(record(), "op-1"))
    before = await store.snapshot()

    with pytest.raises(StaleRevision) as refused:
        await store.commit(transition(record(production=V2), "op-2", expected=0))

    assert (refused.value.expected, refused.value.actual) == (0, 1)
    assert await store.snapshot() == before
    assert len(await store.history(None, limit=10)) == 1


async def test_a_change_of_a_family_that_is_not_there_yet_expects_revision_0(home: Home) -> None:
    store = await home.open()

    with pytest.raises(StaleRevision, match="at revision 0, the change expected 4"):
        await store.commit(transition(record(revision=5)))


async def test_an_operation_id_gives_its_first_outcome_again_whatever_happened_since(home: Home) -> None:
    store = await home.open()
    first = await store.commit(transition(record(), "op-1"))
    await store.commit(transition(record(revision=2, production=V2), "op-2"))

    again = await store.commit(transition(record(revision=3, production=V3), "op-1"))

    assert again == replace(first, replayed=True)
    assert (await store.snapshot()).families["digits"].production == V2
    assert len(await store.history(None, limit=10)) == 2


async def test_an_operation_can_be_looked_up(home: Home) -> None:
    store = await home.open()
    await store.commit(transition(record(), "op-1"))

    entry, nothing = await store.committed("op-1"), await store.committed("op-2")

    assert entry is not None
    assert (entry.epoch, entry.family, entry.revision, entry.action) == (1, "digits", 1, "promote 1.0.0")
    assert nothing is None


async def test_the_epoch_rises_by_one_with_every_change_of_any_family(home: Home) -> None:
    store = await home.open()

    epochs = [(await store.commit(transition(record(family), family))).epoch for family in ("digits", "intent", "iris")]

    assert epochs == [1, 2, 3]


async def test_of_eight_concurrent_writers_exactly_one_wins_every_revision(home: Home) -> None:
    stores = [await home.open() for _ in range(8)]

    async def write(writer: int, revision: int) -> bool:
        try:
            await stores[writer].commit(transition(record(revision=revision), f"op-{writer}-{revision}"))
        except StaleRevision:
            return False
        return True

    wins = [await asyncio.gather(*(write(writer, revision) for writer in range(8))) for revision in range(1, 11)]

    assert [sum(of_revision) for of_revision in wins] == [1] * 10
    assert [entry.revision for entry in await stores[0].history("digits", limit=100)] == list(range(10, 0, -1))
    assert (await stores[7].snapshot()).epoch == 10


async def test_of_eight_callers_with_one_operation_id_one_commits_and_all_learn_of_it(home: Home) -> None:
    stores = [await home.open() for _ in range(8)]

    commits = await asyncio.gather(*(store.commit(transition(record(), "op-1")) for store in stores))

    assert sum(not commit.replayed for commit in commits) == 1
    assert {(commit.epoch, commit.revision) for commit in commits} == {(1, 1)}


async def test_one_change_is_seen_whole_or_not_at_all(home: Home) -> None:
    reader, writer = await home.open(), await home.open()
    torn = list[Any]()

    async def look() -> None:
        for _ in range(100):
            snapshot = await reader.snapshot()
            revisions = sum(each.revision for each in snapshot.families.values())
            if revisions != snapshot.epoch:
                torn.append(snapshot)

    async def change() -> None:
        for revision in range(1, 21):
            for family in ("digits", "intent"):
                await writer.commit(transition(record(family, revision=revision), f"{family}-{revision}"))

    await asyncio.gather(look(), change())

    assert torn == []
    assert (await reader.snapshot()).epoch == 40


async def test_a_record_that_would_not_be_read_back_as_it_is_is_refused(home: Home) -> None:
    store = await home.open()
    vast = replace(record(), salt="x" * (1 << 20))

    with pytest.raises(InvalidRecord, match="bytes"):
        await store.commit(transition(vast))
    with pytest.raises(InvalidRecord, match="does not follow"):
        await store.commit(transition(record(revision=3), expected=0))

    assert (await store.snapshot()).mark == BEGINNING
    assert await store.entries(limit=10) == []
