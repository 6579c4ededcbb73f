from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from registry_client.versions import ModelVersion
from serving.core.audit import NOTHING_SEEN
from serving.core.lifecycle import Canary, FamilyRecord
from serving.core.routing import RouteTable
from serving.core.traffic import End, Slice
from serving.gateway.routes import RouteKeeper, RouteTimes
from serving.ports import Snapshot, Transition
from tests.fakes.clock import FakeClock
from tests.fakes.store import FakeStore

ONE, TWO = ModelVersion.parse("1.0.0"), ModelVersion.parse("1.1.0")
AT = datetime(2030, 1, 1, tzinfo=UTC)


class BrokenStore(FakeStore):
    """Fails in a way that no store should."""

    is_broken = False

    async def poll(self, seen: Snapshot) -> Snapshot | None:
        if self.is_broken:
            msg = "a row that nobody foresaw"
            raise TypeError(msg)
        return await super().poll(seen)


@dataclass
class Bench:
    """A keeper over a store in memory, and the tables that it gave."""

    clock: FakeClock = field(default_factory=FakeClock)
    tables: list[RouteTable] = field(default_factory=list)
    refuses: bool = False

    def __post_init__(self) -> None:
        self.store = BrokenStore(self.clock)
        self.keeper = RouteKeeper(
            store=self.store, acks=self.store, clock=self.clock, gateway="g1", on_table=self._take, times=RouteTimes(lease=15.0)
        )

    def _take(self, table: RouteTable) -> None:
        if self.refuses:
            msg = "not now"
            raise RuntimeError(msg)
        self.tables.append(table)

    async def canary(self, weight: int, *, revision: int = 1) -> None:
        canaries = (Canary(TWO, Slice(End.LOW, weight)),)
        record = FamilyRecord("digits", revision, {ONE: "a" * 64, TWO: "b" * 64}, production=ONE, canaries=canaries)
        await self.store.commit(
            Transition(
                record=record,
                expected_revision=revision - 1,
                actor="ada",
                action="canary",
                reason="",
                before={},
                after={},
                operation_id=f"op-{revision}",
                at=AT,
                seen=NOTHING_SEEN,
            )
        )

    @property
    def weight(self) -> int:
        return self.tables[-1].families["digits"].canaries[0].slice.weight


@pytest.fixture
async def bench() -> Bench:
    made = Bench()
    await made.canary(500)
    await made.keeper.tick()
    return made


async def test_a_table_is_given_and_acked_once_per_epoch(bench: Bench) -> None:
    await bench.keeper.tick()

    assert [table.epoch for table in bench.tables] == [1]
    assert bench.store.state.gateways["g1"].epoch == 1


async def test_a_table_that_could_not_be_taken_is_given_again_and_not_acked_before(bench: Bench) -> None:
    # given
    await bench.canary(600, revision=2)
    bench.refuses = True

    # when
    with pytest.raises(RuntimeError):
        await bench.keeper.tick()
    acked = bench.store.state.gateways["g1"].epoch
    bench.refuses = False
    bench.clock.advance(1.0)
    await bench.keeper.tick()

    # then
    assert acked == 1
    assert (bench.tables[-1].epoch, bench.weight) == (2, 600)
    assert bench.store.state.gateways["g1"].epoch == 2


async def test_a_canary_lapses_while_the_store_is_away_and_comes_back_with_the_next_beat(bench: Bench) -> None:
    bench.store.state.down = "gone"
    bench.clock.advance(15.1)
    await bench.keeper.tick()
    lapsed = bench.weight
    bench.store.state.down = ""
    await bench.store.beat("digits")
    await bench.keeper.tick()

    assert (lapsed, bench.weight) == (0, 500)


async def test_a_renewed_canary_does_not_lapse(bench: Bench) -> None:
    for _ in range(4):
        bench.clock.advance(10.0)
        await bench.store.beat("digits")
        await bench.keeper.tick()

    assert bench.weight == 500


async def test_a_canary_lapses_whatever_is_wrong_with_the_store(bench: Bench) -> None:
    bench.store.is_broken = True
    bench.clock.advance(15.1)

    with pytest.raises(TypeError):
        await bench.keeper.tick()

    assert bench.weight == 0
