"""The store as a node has seen it: a past is never taken for the present."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from registry_client.versions import ModelVersion
from serving.control.cold import ColdLoads
from serving.control.operations import Author, Operations
from serving.control.reseeding import NothingToReseed, NothingToReseedFrom, Reseeding, Source
from serving.control.seen import SeenStore
from serving.core.audit import NOTHING_SEEN, verify_chain
from serving.core.errors import StoreUnavailable, StoreWentBack
from serving.core.lifecycle import FamilyRecord
from serving.core.routing import Target
from serving.ports import GatewayAck, Kept, Snapshot, Transition
from serving.stores.sqlite import SqliteStore
from tests.fakes.clock import FakeClock
from tests.fakes.fleet import FakeFleet
from tests.fakes.node import NodeFiles
from tests.fakes.registry import FakeRegistry
from tests.fakes.store import FakeStore

V1, V2 = ModelVersion.parse("1.0.0"), ModelVersion.parse("1.1.0")
AT = datetime(2030, 1, 1, tzinfo=UTC)
AUTHOR = Author("ada", "restored last night's backup", "reseed-1")


class World:
    """A node whose gateways have kept what they saw, and the store, which may go back."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.store = FakeStore(self.clock)
        self.node = NodeFiles(folder)
        self.seen = SeenStore(self.store, self.node.snapshots)
        self.reseeding = Reseeding(self.seen, self.store, self.clock, kind="fake")

    async def write(self, production: ModelVersion, revision: int) -> None:
        previous = () if production == V1 else (V1,)
        record = FamilyRecord("digits", revision, {V1: "a" * 64, V2: "b" * 64}, production, None, previous)
        await self.store.commit(
            Transition(
                record=record,
                expected_revision=revision - 1,
                actor="ada",
                action="promote",
                reason="",
                before={},
                after={},
                operation_id=f"op-{production}-{revision}",
                at=AT,
                seen=NOTHING_SEEN,
            )
        )

    async def keep(self) -> None:
        """Do as a gateway that has read the store."""
        self.node.snapshots.keep(Kept(await self.store.snapshot()))

    async def go_back(self) -> None:
        """1.0.0, then 1.1.0, which the gateways have seen; then a backup from before is restored."""
        await self.write(V1, 1)
        backup = self.store.state.copy()
        await self.write(V2, 2)
        await self.keep()
        self.store.state.go_back_to(backup)

    async def production(self) -> ModelVersion | None:
        return (await self.store.snapshot()).families["digits"].production


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


# --- seeing ---


async def test_a_store_that_goes_on_is_read_as_it_is(world: World) -> None:
    await world.write(V1, 1)
    first = await world.seen.snapshot()
    await world.write(V2, 2)

    assert (first.epoch, (await world.seen.snapshot()).epoch) == (1, 2)


async def test_a_store_older_than_what_gateways_kept_is_refused_by_a_process_that_only_just_started(world: World) -> None:
    await world.go_back()

    with pytest.raises(StoreWentBack):
        await world.seen.snapshot()
    with pytest.raises(StoreWentBack):
        await world.seen.poll(Snapshot())


async def test_a_store_older_than_what_this_process_saw_is_refused_though_nothing_was_kept(world: World) -> None:
    await world.write(V1, 1)
    backup = world.store.state.copy()
    await world.write(V2, 2)
    await world.seen.snapshot()
    world.store.state.go_back_to(backup)

    with pytest.raises(StoreWentBack):
        await world.seen.snapshot()


async def test_what_others_kept_meanwhile_counts_as_seen(world: World) -> None:
    await world.write(V1, 1)
    await world.seen.snapshot()
    backup = world.store.state.copy()
    await world.write(V2, 2)
    await world.keep()
    world.store.state.go_back_to(backup)

    with pytest.raises(StoreWentBack):
        await world.seen.snapshot()


async def test_polling_gives_what_is_newer_than_the_caller_saw(world: World) -> None:
    await world.write(V1, 1)
    await world.keep()

    first = await world.seen.poll(Snapshot())
    assert first is not None
    again = await world.seen.poll(first)
    await world.write(V2, 2)
    newer = await world.seen.poll(first)

    assert (first.epoch, again) == (1, None)
    assert newer is not None
    assert newer.epoch == 2


async def test_no_change_is_committed_to_a_store_that_went_back(world: World) -> None:
    await world.go_back()
    operations = Operations(world.seen, world.store, world.store, FakeRegistry(digits=("1.0.0", "1.1.0")), world.clock)

    with pytest.raises(StoreWentBack):
        await operations.rollback("digits", AUTHOR)

    assert len(world.store.state.audit) == 1


# --- the status ---


async def test_the_status_of_a_store_that_is_well(world: World) -> None:
    await world.write(V1, 1)
    await world.keep()
    await world.store.ack(GatewayAck("g1", 1, world.clock.now()))

    status = await world.reseeding.status()

    assert (status.kind, status.reachable, status.went_back, status.problem) == ("fake", True, False, "")
    assert status.store == status.seen == world.store.state.mark
    assert [ack.gateway for ack in status.gateways] == ["g1"]


async def test_the_status_of_a_store_that_is_away(world: World) -> None:
    await world.write(V1, 1)
    await world.keep()
    mark = world.store.state.mark
    world.store.state.down = "it is locked"

    status = await world.reseeding.status()

    assert (status.reachable, status.went_back, status.problem) == (False, False, "it is locked")
    assert (status.store, status.seen) == (None, mark)


async def test_the_status_of_a_store_that_went_back_shows_both_marks(world: World) -> None:
    await world.go_back()

    status = await world.reseeding.status()

    assert (status.reachable, status.went_back) == (True, True)
    assert status.store is not None
    assert status.seen is not None
    assert (status.store.epoch, status.seen.epoch) == (1, 2)


async def test_nothing_is_known_of_a_store_that_never_answered(world: World) -> None:
    world.store.state.down = "gone"

    status = await world.reseeding.status()

    assert (status.store, status.seen) == (None, None)


# --- re-seeding ---


async def test_a_reseed_from_the_snapshot_restores_what_was_seen_under_a_higher_fence(world: World) -> None:
    await world.go_back()

    commit = await world.reseeding.reseed(Source.SNAPSHOT, AUTHOR)

    assert await world.production() == V2
    assert (world.store.state.mark.fence, commit.epoch) == (2, 3)
    entry = world.store.state.audit[-1]
    assert (entry.action, entry.actor, entry.reason) == ("reseed", "ada", "restored last night's backup")
    assert (await world.seen.snapshot()).epoch == 3
    assert verify_chain(world.store.state.audit).holds


async def test_a_reseed_from_the_store_gives_up_what_was_seen(world: World) -> None:
    await world.go_back()

    await world.reseeding.reseed(Source.STORE, AUTHOR)

    assert await world.production() == V1
    assert (world.store.state.mark.fence, world.store.state.mark.epoch) == (2, 3)
    assert not (await world.reseeding.status()).went_back


async def test_asked_again_under_the_same_id_it_is_done_once(world: World) -> None:
    await world.go_back()

    first = await world.reseeding.reseed(Source.SNAPSHOT, AUTHOR)
    again = await world.reseeding.reseed(Source.SNAPSHOT, AUTHOR)

    assert (again.epoch, again.replayed) == (first.epoch, True)
    assert world.store.state.mark.fence == 2


async def test_a_store_that_is_well_is_not_reseeded(world: World) -> None:
    await world.write(V1, 1)
    await world.keep()

    with pytest.raises(NothingToReseed) as refused:
        await world.reseeding.reseed(Source.SNAPSHOT, AUTHOR)

    assert refused.value.hint
    assert world.store.state.mark.fence == 1


async def test_a_store_that_is_away_cannot_be_reseeded(world: World) -> None:
    await world.go_back()
    world.store.state.down = "gone"

    with pytest.raises(StoreUnavailable):
        await world.reseeding.reseed(Source.SNAPSHOT, AUTHOR)


async def test_a_store_whose_file_is_lost_is_made_anew_from_the_snapshot(world: World, tmp_path: Path) -> None:
    # given
    await world.go_back()
    kept = tmp_path / "routes.snapshot"
    lost = SqliteStore(tmp_path / "lost.db", world.clock, traces=(kept,))
    reseeding = Reseeding(SeenStore(lost, world.node.snapshots), lost, world.clock, kind="sqlite")
    assert kept.exists()
    with pytest.raises(StoreUnavailable):
        await lost.snapshot()

    # when
    with pytest.raises(StoreUnavailable):
        await reseeding.reseed(Source.STORE, AUTHOR)
    commit = await reseeding.reseed(Source.SNAPSHOT, AUTHOR)

    # then
    snapshot = await lost.snapshot()
    assert (snapshot.fence, snapshot.epoch, commit.epoch) == (2, 3, 3)
    assert snapshot.families["digits"].production == V2
    assert not (await reseeding.status()).went_back
    await lost.close()


# --- loading without the store ---


async def test_without_the_store_what_was_served_is_loaded(world: World) -> None:
    await world.write(V1, 1)
    await world.write(V2, 2)
    await world.keep()
    world.store.state.down = "gone"
    fleet = FakeFleet()
    cold = ColdLoads(world.seen, fleet)

    await cold.step()
    await cold.step()

    assert fleet.loads == [Target("digits", V2, "b" * 64), Target("digits", V1, "a" * 64)]
    assert fleet.unloads == []


async def test_with_a_store_that_went_back_what_was_served_is_loaded_too(world: World) -> None:
    await world.go_back()
    fleet = FakeFleet()

    await ColdLoads(world.seen, fleet).step()

    assert Target("digits", V2, "b" * 64) in fleet.loads


async def test_with_the_store_there_nothing_is_loaded_behind_the_reconcilers_back(world: World) -> None:
    await world.write(V1, 1)
    await world.keep()
    fleet = FakeFleet()

    await ColdLoads(world.seen, fleet).step()

    assert fleet.loads == []


async def test_what_failed_to_load_is_not_started_again(world: World) -> None:
    await world.write(V1, 1)
    await world.keep()
    world.store.state.down = "gone"
    fleet = FakeFleet(fails={Target("digits", V1, "a" * 64)})
    cold = ColdLoads(world.seen, fleet)

    await cold.step()
    await cold.step()

    assert len(fleet.loads) == 1


async def test_where_nothing_was_kept_nothing_is_loaded(world: World) -> None:
    world.store.state.down = "gone"
    fleet = FakeFleet()

    await ColdLoads(world.seen, fleet).step()

    assert fleet.loads == []


async def test_there_must_be_a_snapshot_to_reseed_from(world: World) -> None:
    await world.write(V1, 1)
    await world.seen.snapshot()
    world.store.state.go_back_to(type(world.store.state)())

    class Unseen(SeenStore):
        async def last_seen(self) -> Snapshot:
            return Snapshot()

        async def snapshot(self) -> Snapshot:
            raise StoreWentBack(seen=NOTHING_SEEN, store=NOTHING_SEEN)

    with pytest.raises(NothingToReseedFrom):
        await Reseeding(Unseen(world.store, world.node.snapshots), world.store, world.clock, kind="fake").reseed(Source.SNAPSHOT, AUTHOR)
