import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from registry_client.versions import ModelVersion
from serving.core.audit import NOTHING_SEEN
from serving.core.lifecycle import Canary, FamilyRecord
from serving.core.overrides import Override
from serving.core.routing import RouteTable, Target
from serving.core.traffic import End, Slice
from serving.gateway.routes import RouteKeeper, RouteTimes
from serving.ports import Departed, Reseed, Snapshot, Transition
from tests.fakes.clock import FakeClock
from tests.fakes.node import NodeFiles
from tests.fakes.store import FakeStore

ONE, TWO = ModelVersion.parse("1.0.0"), ModelVersion.parse("1.1.0")
AT = datetime(2030, 1, 1, tzinfo=UTC)


class BrokenStore(FakeStore):
    """Fails in a way that no store should."""

    is_broken = False
    is_stuck = False

    async def poll(self, seen: Snapshot) -> Snapshot | None:
        if self.is_stuck:
            await asyncio.Event().wait()
        if self.is_broken:
            msg = "a row that nobody foresaw"
            raise TypeError(msg)
        return await super().poll(seen)


@dataclass
class Bench:
    """A keeper over a store in memory, and the tables that it gave."""

    folder: Path
    clock: FakeClock = field(default_factory=FakeClock)
    tables: list[RouteTable] = field(default_factory=list)
    refuses: bool = False
    overridden: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.node = NodeFiles(self.folder)
        self.store = BrokenStore(self.clock)
        self.restart()

    def restart(self) -> None:
        """Have another gateway process in place of the one before, with what the node has kept."""
        self.tables.clear()
        self.footing = self.node.footing()
        self.keeper = RouteKeeper(
            store=self.store,
            acks=self.store,
            clock=self.clock,
            gateway="g1",
            on_table=self._take,
            times=RouteTimes(lease=15.0),
            footing=self.footing,
        )

    async def look(self) -> None:
        await self.keeper.tick()
        await self.footing.keeping.step()

    def _take(self, table: RouteTable) -> None:
        if self.refuses:
            msg = "not now"
            raise RuntimeError(msg)
        self.tables.append(table)
        if table.families["digits"].override:
            self.overridden.set()

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
async def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    await made.canary(500)
    await made.look()
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


# --- with the store gone, or gone back ---


async def test_without_the_store_and_without_a_snapshot_there_is_no_table(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.store.state.down = "gone"

    await bench.keeper.begin(1.0)
    await bench.keeper.tick()

    assert bench.tables == []
    assert bench.keeper.epoch == -1


async def test_without_the_store_it_starts_by_what_the_node_has_kept(bench: Bench) -> None:
    bench.store.state.down = "gone"
    bench.restart()

    await bench.keeper.begin(1.0)

    assert [table.epoch for table in bench.tables] == [1]
    assert set(bench.tables[-1].families) == {"digits"}


async def test_a_store_that_keeps_it_waiting_does_not_keep_it_from_starting(bench: Bench) -> None:
    bench.restart()
    bench.store.is_stuck = True

    await bench.keeper.begin(0.02)

    assert [table.epoch for table in bench.tables] == [1]


async def test_a_canary_that_was_kept_weighs_nothing_until_somebody_renews_it(bench: Bench) -> None:
    bench.store.state.down = "gone"
    bench.restart()
    await bench.keeper.begin(1.0)
    kept = bench.weight
    bench.store.state.down = ""
    await bench.store.beat("digits")
    await bench.keeper.tick()

    assert (kept, bench.weight) == (0, 500)


async def test_a_store_with_news_is_read_before_the_first_table(bench: Bench) -> None:
    await bench.canary(700, revision=2)
    bench.restart()

    await bench.keeper.begin(1.0)

    assert [table.epoch for table in bench.tables] == [2]
    assert bench.weight == 700


async def test_a_newer_epoch_is_kept_and_a_beat_is_not(bench: Bench) -> None:
    kept = bench.node.snapshots.mark()
    await bench.store.beat("digits")
    await bench.look()
    beaten = bench.node.snapshots.mark()
    await bench.canary(600, revision=2)
    await bench.look()
    newer = bench.node.snapshots.mark()

    assert kept == beaten
    assert newer == bench.store.state.mark


async def test_the_stores_absence_is_told_when_it_begins_and_when_it_ends(bench: Bench) -> None:
    with capture_logs() as logs:
        bench.store.state.down = "gone"
        for _ in range(3):
            await bench.keeper.tick()
        bench.store.state.down = ""
        for _ in range(3):
            bench.clock.advance(1.0)
            await bench.keeper.tick()

    assert [entry["event"] for entry in logs] == ["store_unreachable", "store_reachable_again"]
    assert bench.node.recorder.stands == [(True, False), (False, False), (True, False)]


async def test_a_store_that_can_be_read_but_not_written_to_is_not_back(bench: Bench) -> None:
    bench.store.state.down = "gone"
    await bench.keeper.tick()
    bench.store.state.down = ""

    await bench.keeper.tick()  # too soon for another ack

    assert bench.node.recorder.stands[-1] == (False, False)


async def test_a_store_that_went_back_is_told_of_once_and_the_newer_table_stays(bench: Bench) -> None:
    # given
    backup = bench.store.state.copy()
    await bench.canary(600, revision=2)
    await bench.look()

    # when
    bench.store.state.go_back_to(backup)
    with capture_logs() as logs:
        for _ in range(3):
            bench.clock.advance(1.0)
            await bench.keeper.tick()

    # then
    assert [entry["event"] for entry in logs] == ["store_went_back"]
    assert "reseed" in logs[0]["hint"]
    assert (bench.tables[-1].epoch, bench.weight) == (2, 600)
    assert bench.node.recorder.stands[-1] == (True, True)
    assert bench.store.state.gateways["g1"].epoch == 2, "it still says what it serves"


async def test_a_store_that_is_older_at_the_start_is_recognised(bench: Bench) -> None:
    backup = bench.store.state.copy()
    await bench.canary(600, revision=2)
    await bench.look()
    bench.store.state.go_back_to(backup)
    bench.restart()

    await bench.keeper.begin(1.0)

    assert [table.epoch for table in bench.tables] == [2]
    assert bench.node.recorder.stands[-1] == (True, True)


async def test_a_reseeded_store_is_taken_up(bench: Bench) -> None:
    # given
    backup = bench.store.state.copy()
    await bench.canary(600, revision=2)
    await bench.look()
    seen = (await bench.store.snapshot()).mark
    bench.store.state.go_back_to(backup)
    await bench.keeper.tick()

    # when
    families = (await bench.store.snapshot()).families
    await bench.store.reseed(Reseed(families=families, seen=seen, actor="ada", reason="restored", operation_id="reseed-1", at=AT))
    bench.clock.advance(1.0)
    await bench.look()

    # then
    assert (bench.tables[-1].epoch, bench.weight) == (3, 500)
    assert bench.node.recorder.stands[-1] == (True, False)
    assert bench.node.snapshots.mark() == bench.store.state.mark


async def test_whatever_the_store_does_an_override_is_carried_out(bench: Bench) -> None:
    # given
    bench.store.state.down = "gone"
    await bench.keeper.tick()
    override = Override("override-1", "digits", ONE, (TWO,), "ada", "errors", AT, 1)

    # when
    bench.node.overrides.place(override, bench.node.credential)
    watching = asyncio.create_task(bench.keeper.watch_overrides())
    async with asyncio.timeout(5):
        await bench.overridden.wait()
    watching.cancel()

    # then
    route = bench.tables[-1].families["digits"]
    assert (route.override, route.canaries) == ("override-1", ())
    assert bench.node.recorder.families == [frozenset({"digits"})]


async def test_an_override_is_in_the_first_table(bench: Bench) -> None:
    bench.node.overrides.place(Override("override-1", "digits", ONE, (TWO,), "ada", "errors", AT, 1), bench.node.credential)
    bench.restart()

    await bench.keeper.begin(1.0)

    assert [table.families["digits"].override for table in bench.tables] == ["override-1"]


class WaitingStore(FakeStore):
    """Tells how long it was asked to wait, and hears of nothing."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.waits = asyncio.Queue[float]()

    async def changed(self, seen: Snapshot, seconds: float) -> None:
        del seen
        await self.waits.put(seconds)
        await asyncio.Event().wait()


async def test_whoever_read_that_an_answer_is_to_come_is_soon_told_that_it_came(tmp_path: Path) -> None:
    # given one request by the old routes, which is answered as soon as that was acked
    clock, times, left = FakeClock(), RouteTimes(lease=15.0), iter([1])
    store = WaitingStore(clock)
    one = Target("digits", ONE, "ab" * 32)
    keeper = RouteKeeper(
        store=store,
        acks=store,
        clock=clock,
        gateway="g1",
        on_table=list[RouteTable]().append,
        times=times,
        footing=NodeFiles(tmp_path).footing(),
        departures=lambda: (Departed(one, epoch=2, in_flight=next(left, 0), strays=0, last_stray=None),),
    )

    # when
    running = asyncio.create_task(keeper.run())
    waited = await asyncio.wait_for(store.waits.get(), 5)
    running.cancel()

    # then
    [ack] = await store.acks()
    assert [each.in_flight for each in ack.departed] == [1]
    assert waited == times.drain < times.poll
