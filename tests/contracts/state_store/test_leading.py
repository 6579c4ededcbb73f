"""What every state store promises, the fake included: one controller leads at a time, and no other changes anything."""

import asyncio
from dataclasses import replace

import pytest

from serving.core.errors import NotLeader
from tests.contracts.state_store.changes import record, transition
from tests.fixtures.store_homes import Home


async def test_one_leads_at_a_time_and_every_new_leader_has_a_larger_token(home: Home) -> None:
    one, two = await home.open(), await home.open()

    first = await one.lead("one", 15)
    refused = await two.lead("two", 15)
    home.clock.advance(15.1)
    second = await two.lead("two", 15)
    back = await one.lead("one", 15)

    assert first is not None
    assert second is not None
    assert (refused, back) == (None, None)
    assert second > first


async def test_everybody_can_see_who_leads_and_until_when(home: Home) -> None:
    store, other = await home.open(), await home.open()
    nobody = await other.leader()

    token = await store.lead("one", 15)
    leader = await other.leader()
    home.clock.advance(5)
    await store.lead("one", 15)
    renewed = await other.leader()
    home.clock.advance(15.1)
    lapsed = await other.leader()
    await store.lead("one", 15)
    await store.resign("one")

    assert leader is not None
    assert renewed is not None
    assert (nobody, lapsed, await other.leader()) == (None, None, None)
    assert (leader.holder, leader.token) == (renewed.holder, renewed.token) == ("one", token)
    assert renewed.until > leader.until


async def test_a_leader_that_renews_in_time_keeps_the_lease_and_its_token(home: Home) -> None:
    store = await home.open()
    tokens = set()
    for _ in range(4):
        tokens.add(await store.lead("one", 15))
        home.clock.advance(10)
        assert await store.lead("two", 15) is None

    assert len(tokens) == 1


async def test_a_leader_that_resigns_is_followed_at_once_and_nobody_else_can_resign_for_it(home: Home) -> None:
    store = await home.open()
    first = await store.lead("one", 15)

    await store.resign("two")
    assert await store.lead("two", 15) is None
    await store.resign("one")
    second = await store.lead("two", 15)

    assert first is not None
    assert second is not None
    assert second > first


async def test_a_lease_does_not_end_early_or_late_because_a_clock_was_set_back(home: Home) -> None:
    store = await home.open()
    await store.lead("one", 15)

    home.clock.set_back(86_400)
    assert await store.lead("two", 15) is None
    home.clock.advance(15.1)

    assert await store.lead("two", 15) is not None


async def test_what_a_former_leader_decided_is_refused_and_what_people_decide_is_not(home: Home) -> None:
    store = await home.open()
    former = await store.lead("one", 15)
    assert (await store.commit(replace(transition(record(), "op-1"), leader=former))).epoch == 1
    home.clock.advance(15.1)
    token = await store.lead("two", 15)

    with pytest.raises(NotLeader):
        await store.commit(replace(transition(record(revision=2), "op-2"), leader=former))
    assert (await store.commit(replace(transition(record(revision=2), "op-2"), leader=token))).epoch == 2
    assert (await store.commit(transition(record(revision=3), "op-3"))).epoch == 3
    assert (await store.commit(replace(transition(record(), "op-1"), leader=former))).replayed


async def test_of_eight_candidates_one_leads(home: Home) -> None:
    stores = [await home.open() for _ in range(8)]

    tokens = await asyncio.gather(*(store.lead(f"controller-{number}", 15) for number, store in enumerate(stores)))

    assert sum(token is not None for token in tokens) == 1
