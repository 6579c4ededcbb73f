from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
import structlog

from registry_client.versions import ModelVersion
from serving.core.audit import NOTHING_SEEN
from serving.core.lifecycle import Canary, FamilyRecord
from serving.core.routing import RouteTable
from serving.core.standing import Rollout, State
from serving.core.traffic import End, Slice
from serving.core.underway import Terms, Underway
from serving.gateway.routes import RouteKeeper, RouteTimes
from serving.ports import Transition
from tests.fakes.clock import FakeClock
from tests.fakes.node import NODE, NodeFiles
from tests.fakes.store import FakeStore

V1, V2 = ModelVersion.parse("1.0.0"), ModelVersion.parse("1.1.0")
PLAIN = FamilyRecord("digits", digests={V1: "a" * 64, V2: "b" * 64}, production=V1)
SPLIT = replace(PLAIN, canaries=(Canary(V2, Slice(End.LOW, 2_000)),), salt="s")

_numbers = count()


class World:
    """A gateway's keeper beside a store that tests write to."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.store = FakeStore(self.clock)
        self.tables: list[RouteTable] = []
        self.keeper = RouteKeeper(
            store=self.store,
            acks=self.store,
            clock=self.clock,
            gateway="g1",
            on_table=self.tables.append,
            times=RouteTimes(ack=1.0, lease=15.0),
            footing=NodeFiles(folder).footing(),
        )

    async def commit(self, record: FamilyRecord, revision: int) -> None:
        await self.store.commit(
            Transition(
                record=replace(record, revision=revision),
                expected_revision=revision - 1,
                actor="test",
                action="test",
                reason="",
                before={},
                after={},
                operation_id=f"op-{next(_numbers)}",
                at=self.clock.now(),
                seen=NOTHING_SEEN,
            )
        )

    def weight(self) -> int:
        (canary,) = self.tables[-1].families["digits"].canaries
        return canary.slice.weight


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_the_first_look_gives_a_table_even_of_nothing(world: World) -> None:
    await world.keeper.tick()

    assert [table.families for table in world.tables] == [{}]


async def test_a_change_is_one_new_table_and_an_ack_at_once(world: World) -> None:
    await world.keeper.tick()
    await world.commit(PLAIN, 1)

    await world.keeper.tick()
    await world.keeper.tick()

    assert [table.epoch for table in world.tables] == [0, 1]
    assert [(ack.gateway, ack.epoch) for ack in await world.store.acks()] == [("g1", 1)]


async def test_an_ack_names_the_node(world: World) -> None:
    await world.keeper.tick()

    assert [ack.node for ack in await world.store.acks()] == [NODE]


async def test_an_unchanged_epoch_is_acked_again_every_second_as_a_sign_of_life(world: World) -> None:
    await world.keeper.tick()
    first = (await world.store.acks())[0].seen_at

    world.clock.advance(0.5)
    await world.keeper.tick()
    assert (await world.store.acks())[0].seen_at == first

    world.clock.advance(0.6)
    await world.keeper.tick()
    assert (await world.store.acks())[0].seen_at > first


async def test_a_canary_whose_lease_is_renewed_keeps_its_weight(world: World) -> None:
    await world.commit(SPLIT, 1)
    await world.keeper.tick()

    for _ in range(5):
        world.clock.advance(10)
        await world.store.beat("digits")
        await world.keeper.tick()

    assert (world.weight(), len(world.tables)) == (2_000, 1)


async def test_a_canary_whose_lease_is_not_renewed_lapses_to_production_and_comes_back_with_the_next_renewal(world: World) -> None:
    await world.commit(SPLIT, 1)
    await world.keeper.tick()

    world.clock.advance(15.1)
    await world.keeper.tick()
    assert world.weight() == 0

    await world.store.beat("digits")
    await world.keeper.tick()
    assert world.weight() == 2_000


def by_a_rollout(lease: timedelta) -> FamilyRecord:
    """The same split, by a rollout whose policy has a lease of its own."""
    rollout = Rollout("digits", str(V2), "b" * 64, "p" * 64, "ada", state=State.RAMPING, stage=1)
    return replace(SPLIT, rollout=Underway("digits-1.1.0-1", rollout, "{}", datetime(2030, 1, 1, tzinfo=UTC), Terms(lease=lease)))


@pytest.mark.parametrize(("lease", "holds", "lapsed"), [(6, 5.9, 6.1), (40, 39.9, 40.1)])
async def test_a_rollouts_weight_lapses_by_the_lease_of_its_own_policy(world: World, lease: int, holds: float, lapsed: float) -> None:
    await world.commit(by_a_rollout(timedelta(seconds=lease)), 1)
    await world.keeper.tick()

    world.clock.advance(holds)
    await world.keeper.tick()
    held = world.weight()
    world.clock.advance(lapsed - holds)
    await world.keeper.tick()

    assert (held, world.weight()) == (2_000, 0)


async def test_with_the_store_down_the_last_table_stays_and_only_the_canary_lapses(world: World) -> None:
    await world.commit(SPLIT, 1)
    await world.keeper.tick()
    world.store.state.down = "gone"

    world.clock.advance(10)
    await world.keeper.tick()
    assert world.weight() == 2_000

    world.clock.advance(10)
    await world.keeper.tick()
    assert world.weight() == 0
    assert world.tables[-1].families["digits"].production is not None


async def test_the_stores_absence_is_told_once_and_its_return_once(world: World) -> None:
    await world.keeper.tick()

    with structlog.testing.capture_logs() as events:
        world.store.state.down = "gone"
        for _ in range(5):
            world.clock.advance(2)
            await world.keeper.tick()
        world.store.state.down = ""
        world.clock.advance(2)
        await world.keeper.tick()
        await world.keeper.tick()

    assert [event["event"] for event in events] == ["store_unreachable", "store_reachable_again"]


async def test_a_gateway_that_starts_without_a_store_has_no_table_until_there_is_one(world: World) -> None:
    world.store.state.down = "gone"
    await world.keeper.tick()
    assert not world.tables

    world.store.state.down = ""
    world.clock.advance(2)
    await world.keeper.tick()
    assert len(world.tables) == 1
