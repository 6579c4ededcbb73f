"""What every state store promises, the fake included: each test runs against all of them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw
import pytest

from registry_client.versions import ModelVersion
from serving.core.errors import StaleRevision
from serving.core.lifecycle import Canary, Decided, FamilyRecord, Shadow
from serving.core.routing import Target
from serving.core.traffic import End, Slice
from serving.ports import Commit, GatewayAck, LoadState, LoadStatus, Transition
from serving.stores.sqlite import SqliteStore
from tests.fakes.clock import FakeClock
from tests.fakes.registry import digest_of
from tests.fakes.store import FakeState, FakeStore

V1, V2, V3 = (ModelVersion.parse(text) for text in ("1.0.0", "1.1.0", "2.0.0"))
AT = datetime(2030, 1, 2, 3, 4, 5, 678, tzinfo=UTC)

AnyStore = SqliteStore | FakeStore


@dataclass
class Home:
    """Where stores of one kind are opened, and how a family's document is damaged there."""

    clock: FakeClock
    open: Callable[[], Awaitable[AnyStore]]
    write_document: Callable[[str, bytes], None]


@pytest.fixture(params=["sqlite", "fake"])
async def home(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Home]:
    clock, state, opened = FakeClock(), FakeState(), list[AnyStore]()
    path = tmp_path / "home" / "state.db"

    async def open_store() -> AnyStore:
        store: AnyStore = FakeStore(clock, state) if request.param == "fake" else await SqliteStore.open(path, clock)
        opened.append(store)
        return store

    def write_document(family: str, document: bytes) -> None:
        if request.param == "fake":
            state.documents[family] = document
        else:
            apsw.Connection(str(path)).execute("UPDATE families SET document = ? WHERE family = ?", (document, family))

    yield Home(clock, open_store, write_document)
    for store in opened:
        await store.close()


def record(family: str = "digits", revision: int = 1, production: ModelVersion = V1) -> FamilyRecord:
    digests = {version: digest_of(family, str(version)) for version in (V1, V2, V3)}
    return FamilyRecord(family, revision, digests, production, Decided(AT, "ada", "it is good"))


def transition(of: FamilyRecord, operation_id: str = "op-1", expected: int | None = None) -> Transition:
    return Transition(
        record=of,
        expected_revision=of.revision - 1 if expected is None else expected,
        actor="ada",
        action=f"promote {of.production}",
        reason="it is good",
        before={"production": None},
        after={"production": str(of.production), "shadows": {"1.1.0": 100}},
        operation_id=operation_id,
        at=AT,
        signal="",
    )


async def test_a_fresh_store_is_empty_at_epoch_0(home: Home) -> None:
    store = await home.open()

    snapshot = await store.snapshot()

    assert (snapshot.epoch, snapshot.families, snapshot.beats, snapshot.invalid) == (0, {}, {}, {})
    assert await store.history(None, limit=10) == []
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


async def test_acks_are_of_the_gateways_heard_of_within_their_lease(home: Home) -> None:
    store, other = await home.open(), await home.open()
    await store.ack(GatewayAck("gone", 3, home.clock.now()))
    home.clock.advance(4)
    await store.ack(GatewayAck("here", 3, home.clock.now()))
    home.clock.advance(2)

    acks = await other.acks()

    assert acks == [GatewayAck("here", 3, acks[0].seen_at)]
    assert acks[0].seen_at.tzinfo is not None


async def test_a_gateway_that_acks_again_is_heard_of_with_its_newest_epoch(home: Home) -> None:
    store = await home.open()
    await store.ack(GatewayAck("one", 3, home.clock.now()))
    home.clock.advance(4)
    await store.ack(GatewayAck("one", 4, home.clock.now()))
    home.clock.advance(4)

    assert [(ack.gateway, ack.epoch) for ack in await store.acks()] == [("one", 4)]


async def test_a_gateway_that_leaves_is_waited_for_no_more(home: Home) -> None:
    store = await home.open()
    await store.ack(GatewayAck("one", 3, home.clock.now()))
    await store.ack(GatewayAck("two", 3, home.clock.now()))

    await store.leave("one")
    await store.leave("never seen")

    assert [ack.gateway for ack in await store.acks()] == ["two"]


async def test_an_ack_from_the_future_is_no_sign_of_life(home: Home) -> None:
    store = await home.open()
    await store.ack(GatewayAck("one", 3, home.clock.now()))

    home.clock.set_back(86_400)

    assert await store.acks() == []


async def test_the_board_is_read_as_it_was_last_posted(home: Home) -> None:
    mine, other = await home.open(), await home.open()
    loading = LoadStatus(Target("digits", V1, digest_of("digits", "1.0.0")), LoadState.LOADING)
    failed = LoadStatus(replace(loading.target, version=V2), LoadState.FAILED, "golden 3: expected 7, got 1", 2, AT)

    await mine.post([loading])
    await mine.post([loading, failed])

    assert list(await other.read()) == [loading, failed]


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
