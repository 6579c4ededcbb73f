"""What every state store promises, the fake included: each test runs against all of them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import apsw
import pytest

from registry_client.versions import ModelVersion
from serving.core.audit import BEGINNING, NOTHING_SEEN, RESEED, Mark, verify_chain
from serving.core.errors import InvalidRecord, NotLeader, StaleRevision, StoreWentBack
from serving.core.lifecycle import Canary, Decided, FamilyRecord, Shadow
from serving.core.routing import Target
from serving.core.traffic import End, Slice
from serving.ports import Commit, Departed, GatewayAck, LoadState, LoadStatus, Reseed, Snapshot, Transition
from serving.stores.redis.store import RedisStore
from serving.stores.sqlite import SqliteStore
from tests.fakes.clock import FakeClock
from tests.fakes.registry import digest_of
from tests.fakes.store import FakeState, FakeStore
from tests.fixtures.redis_home import RedisHome
from tests.fixtures.redis_server import RedisServer

V1, V2, V3 = (ModelVersion.parse(text) for text in ("1.0.0", "1.1.0", "2.0.0"))
AT = datetime(2030, 1, 2, 3, 4, 5, 678, tzinfo=UTC)

AnyStore = SqliteStore | RedisStore | FakeStore


@dataclass
class Home:
    """Where stores of one kind are opened, and how a family's document is damaged there."""

    clock: FakeClock
    open: Callable[[], Awaitable[AnyStore]]
    write_document: Callable[[str, bytes], None]
    go_back: Callable[[], Callable[[], Awaitable[None]]]
    """Make a backup; what it gives puts the backup in the place of the store, behind everybody's back."""


@pytest.fixture(params=["sqlite", "redis", "fake"])
async def home(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Home]:
    match request.param:
        case "sqlite":
            made = sqlite_home(FakeClock(), tmp_path / "home" / "state.db")
        case "redis":
            made = redis_home(request.getfixturevalue("redis_server"))
        case _:
            made = fake_home(FakeClock())
    opened = list[AnyStore]()

    async def open_store() -> AnyStore:
        opened.append(await made.open())
        return opened[-1]

    yield replace(made, open=open_store)
    for store in opened:
        await store.close()


def fake_home(clock: FakeClock) -> Home:
    state = FakeState()

    async def open_store() -> AnyStore:
        return FakeStore(clock, state)

    def backup() -> Callable[[], Awaitable[None]]:
        copy = state.copy()

        async def restore() -> None:
            state.go_back_to(copy)

        return restore

    return Home(clock, open_store, state.documents.__setitem__, backup)


def sqlite_home(clock: FakeClock, path: Path) -> Home:
    async def open_store() -> AnyStore:
        return await SqliteStore.open(path, clock)

    def write_document(family: str, document: bytes) -> None:
        apsw.Connection(str(path)).execute("UPDATE families SET document = ? WHERE family = ?", (document, family))

    def backup() -> Callable[[], Awaitable[None]]:
        apsw.Connection(str(path)).execute("VACUUM INTO ?", (str(path.with_name("backup.db")),))

        async def restore() -> None:
            lost = path.parent / "lost"
            lost.mkdir()
            for part in path.parent.glob("state.db*"):
                part.rename(lost / part.name)
            path.with_name("backup.db").rename(path)

        return restore

    return Home(clock, open_store, write_document, backup)


def redis_home(server: RedisServer) -> Home:
    own = RedisHome(server)
    return Home(own.clock, own.open, own.write_document, own.backup)


def record(family: str = "digits", revision: int = 1, production: ModelVersion = V1) -> FamilyRecord:
    digests = {version: digest_of(family, str(version)) for version in (V1, V2, V3)}
    return FamilyRecord(family, revision, digests, production, Decided(AT, "ada", "it is good"))


def transition(of: FamilyRecord, operation_id: str = "op-1", expected: int | None = None, seen: Mark = NOTHING_SEEN) -> Transition:
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
        seen=seen,
    )


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


async def test_an_ack_tells_since_when_and_what_became_of_versions_that_have_left(home: Home) -> None:
    store, now = await home.open(), home.clock.now()
    target = Target("digits", ModelVersion.parse("1.1.0"), "0f" * 32)
    departed = (Departed(target, epoch=4, in_flight=2, strays=1, last_stray=now), Departed(target, epoch=4, in_flight=0, strays=0))

    await store.ack(GatewayAck("one", 4, now, fence=2, node="node-1", since=now, departed=departed))

    (ack,) = await store.acks()
    assert (ack.since, ack.departed, ack.fence, ack.node) == (now, departed, 2, "node-1")


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


# --- the chain


async def fill(store: AnyStore, changes: int, *, start: int = 1) -> Snapshot:
    for revision in range(start, start + changes):
        await store.commit(transition(record(revision=revision, production=(V1, V2, V3)[revision % 3]), f"op-{revision}"))
    return await store.snapshot()


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


# --- a store that went back


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


# --- re-seeding


def reseed(seen: Snapshot, operation_id: str = "reseed-1") -> Reseed:
    return Reseed(families=seen.families, seen=seen.mark, actor="ada", reason="the backup was too old", operation_id=operation_id, at=AT)


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


# --- records that must not be


async def test_a_record_that_would_not_be_read_back_as_it_is_is_refused(home: Home) -> None:
    store = await home.open()
    vast = replace(record(), salt="x" * (1 << 20))

    with pytest.raises(InvalidRecord, match="bytes"):
        await store.commit(transition(vast))
    with pytest.raises(InvalidRecord, match="does not follow"):
        await store.commit(transition(record(revision=3), expected=0))

    assert (await store.snapshot()).mark == BEGINNING
    assert await store.entries(limit=10) == []


# --- time travel


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


# --- hints


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


# --- leadership


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


# --- gateways that drop out


async def test_a_gateway_that_falls_silent_is_listed_as_lapsed_for_ten_minutes(home: Home) -> None:
    store = await home.open()
    await store.ack(GatewayAck("dead", 3, home.clock.now(), fence=2, node="node-1"))
    await store.ack(GatewayAck("left", 3, home.clock.now()))
    await store.leave("left")
    assert await store.lapsed_gateways() == []
    home.clock.advance(10)
    await store.ack(GatewayAck("alive", 3, home.clock.now()))

    (lapsed,) = await store.lapsed_gateways()
    (alive,) = await store.acks()
    home.clock.advance(599)

    assert (lapsed.gateway, lapsed.epoch, lapsed.fence, lapsed.node, lapsed.lapsed) == ("dead", 3, 2, "node-1", True)
    assert (alive.gateway, alive.lapsed) == ("alive", False)
    assert [ack.gateway for ack in await store.lapsed_gateways()] == ["alive"]
