import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from registry_client.versions import ModelVersion
from serving.control.controller import Controller, Policies, RolloutParts, Surroundings
from serving.control.operations import Author, Changed, Operations
from serving.control.rollouts.verifying import RollbackCheck
from serving.control.verification import Verification
from serving.core.audit import NOTHING_SEEN
from serving.core.errors import InvalidRecord, StoreUnavailable
from serving.core.lifecycle import Canary, FamilyRecord
from serving.core.routing import Arm, Target
from serving.core.traffic import End, Slice
from serving.ports import ArmCounts, Failure, GatewayReport, LoadState, Transition
from tests.fakes.clock import FakeClock
from tests.fakes.fleet import FakeFleet, MemoryControlRecorder
from tests.fakes.observations import FakeObservations
from tests.fakes.public_side import FakePublicSide
from tests.fakes.registry import FakeRegistry, digest_of
from tests.fakes.rollout_plant import Told
from tests.fakes.rollouts import FakeRollouts
from tests.fakes.store import FakeStore

V1, V2 = ModelVersion.parse("1.1.0"), ModelVersion.parse("1.2.0")
PRODUCTION = Target("digits", V1, digest_of("digits", "1.1.0"))
CANARY = Target("digits", V2, digest_of("digits", "1.2.0"))


@dataclass
class Traffic:
    """One gateway's counters, which a test adds to."""

    counts: dict[Arm, ArmCounts] = field(default_factory=dict[Arm, ArmCounts])

    def add(self, arm: Arm, requests: int, failures: int = 0, *, row: int = 0, kind: Failure = Failure.MODEL) -> None:
        old = self.counts.get(arm) or ArmCounts(CANARY if arm is Arm.CANARY else PRODUCTION, arm, 0, {}, 0)
        failed = {**old.failures, kind: old.failures.get(kind, 0) + failures}
        self.counts[arm] = replace(old, requests=old.requests + requests, failures=failed, failures_in_a_row=row)

    def report(self) -> GatewayReport:
        return GatewayReport("g1", 1.0, tuple(self.counts.values()))


@dataclass
class Standing:
    """Whether the controller leads, as a test says."""

    is_held: bool = True


class MoodyOperations(Operations):
    """The real operations, which may be told to refuse."""

    is_refusing = False

    async def rollback(self, family: str, author: Author, *, to: ModelVersion | None = None, expected: int | None = None) -> Changed:
        if self.is_refusing:
            raise InvalidRecord(family, "a test said so")
        return await super().rollback(family, author, to=to, expected=expected)


class World:
    """A controller among fakes, with the real operations."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = FakeStore(self.clock)
        self.fleet = FakeFleet()
        self.observations = FakeObservations(self.clock)
        self.recorder = MemoryControlRecorder()
        self.traffic = Traffic()
        registry = FakeRegistry(digits=["1.1.0", "1.2.0"])
        self.operations = MoodyOperations(self.store, self.store, self.store, registry, self.clock)
        self.lead = Standing()
        verification = Verification(self.store, self.store, registry, FakePublicSide(self.store, registry), self.clock)
        check = RollbackCheck(verification, self.store, self.observations, self.clock)
        parts = RolloutParts(FakeRollouts(), self.store, Told(), check, lambda: 0)
        around = Surroundings(
            self.store, self.fleet, self.store, self.observations, self.operations, self.recorder, self.clock, self.lead, parts
        )
        self.controller = Controller(around, Policies(tick=60.0))
        self._ids = count()

    async def record(self) -> FamilyRecord:
        return (await self.store.snapshot()).families.get("digits", FamilyRecord("digits"))

    async def change(self, **parts: object) -> None:
        """Write the record as it shall be."""
        old = await self.record()
        digests = {V1: PRODUCTION.digest, V2: CANARY.digest}
        new = replace(old, revision=old.revision + 1, digests=digests, **parts)  # type: ignore[arg-type] # fields by name
        about: dict[str, Any] = {"actor": "test", "action": "test", "reason": "", "before": {}, "after": {}}
        operation_id = f"test-{next(self._ids)}"
        about |= {"seen": NOTHING_SEEN, "at": self.clock.now()}
        await self.store.commit(Transition(record=new, expected_revision=old.revision, operation_id=operation_id, **about))

    async def start_canary(self, weight: int = 500) -> None:
        await self.change(production=V1, canaries=(Canary(V2, Slice(End.LOW, weight)),))

    async def look(self) -> None:
        """Let the gateway report, and the controller judge."""
        self.observations.hear(self.traffic.report())
        await self.controller.watch()

    async def reconcile(self) -> None:
        await self.controller.loads.step()
        await asyncio.sleep(0)  # the tasks that it started
        await asyncio.sleep(0)

    async def is_running_canary(self) -> bool:
        return bool((await self.record()).canaries)


@pytest.fixture
async def world() -> World:
    world = World()
    await world.start_canary()
    await world.look()
    return world


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with capture_logs():
        yield
    structlog.reset_defaults()


# --- loading ---


async def test_what_is_aspired_is_loaded_and_its_state_is_posted(world: World) -> None:
    await world.reconcile()
    await world.reconcile()

    assert world.fleet.loads == [PRODUCTION, CANARY]
    assert {status.target: status.state for status in await world.store.read()} == {PRODUCTION: LoadState.READY, CANARY: LoadState.READY}
    assert world.recorder.states == await world.store.read()


async def test_what_nothing_wants_is_unloaded_after_the_grace(world: World) -> None:
    await world.reconcile()
    await world.change(canaries=())

    await world.reconcile()
    world.clock.advance(29)
    await world.reconcile()
    assert world.fleet.unloads == []
    world.clock.advance(1)
    await world.reconcile()

    assert world.fleet.unloads == [CANARY]


async def test_an_unload_that_raises_is_tried_again_after_another_grace(world: World) -> None:
    await world.reconcile()
    await world.change(canaries=())
    world.fleet.raises.add(CANARY)

    for _ in range(100):
        await world.reconcile()
        world.clock.advance(1)

    assert world.fleet.unloads == [CANARY] * 3


async def test_a_version_that_fails_is_tried_again_with_longer_and_longer_waits(world: World) -> None:
    world.fleet.fails.add(CANARY)

    for _ in range(300):
        await world.reconcile()
        world.clock.advance(1)

    assert world.fleet.loads.count(CANARY) == 4
    assert world.fleet.loads.count(PRODUCTION) == 1


async def test_a_load_that_raises_is_a_failed_version_with_its_reason(world: World) -> None:
    world.fleet.raises.add(CANARY)

    await world.reconcile()
    await world.reconcile()

    states = {status.target: status for status in await world.store.read()}
    assert states[CANARY].state is LoadState.FAILED
    assert states[CANARY].detail == "FileNotFoundError: no such bundle"
    for _ in range(300):
        await world.reconcile()
        world.clock.advance(1)
    assert world.fleet.loads.count(CANARY) == 4


async def test_a_load_that_hangs_holds_up_neither_other_loads_nor_the_guards(world: World) -> None:
    world.fleet.hangs.add(PRODUCTION)
    await world.reconcile()
    await world.reconcile()

    world.traffic.add(Arm.CANARY, 8, 8, row=8)
    await world.look()

    assert world.fleet.loads == [PRODUCTION, CANARY]
    assert not await world.is_running_canary()
    await world.controller.loads.close()


async def test_a_store_that_is_away_leaves_what_runs_alone(world: World) -> None:
    await world.reconcile()
    world.store.state.down = "locked"

    for _ in range(100):
        with suppress(StoreUnavailable):
            await world.reconcile()
        world.clock.advance(1)

    assert world.fleet.unloads == []


# --- guards ---


async def test_eight_failures_in_a_row_roll_the_canary_back(world: World) -> None:
    world.traffic.add(Arm.CANARY, 8, 8, row=8)

    await world.look()

    (entry, *_) = await world.store.history("digits", limit=1)
    assert not await world.is_running_canary()
    assert (await world.record()).production == V1
    assert (entry.actor, entry.signal, entry.operation_id) == ("auto", "errors-in-a-row", "auto-digits-r1-errors-in-a-row")
    assert "failed 8 times in a row" in entry.reason
    assert world.recorder.rollbacks == [("digits", "errors-in-a-row")]


async def test_a_rollback_is_logged_with_its_moments(world: World) -> None:
    world.traffic.add(Arm.CANARY, 8, 8, row=8)

    with capture_logs() as logs:
        await world.look()

    (event,) = [event for event in logs if event["event"] == "canary_rolled_back"]
    assert event["detected"] <= event["decided"] <= event["flipped"]
    assert (event["family"], event["version"], event["seconds"]) == ("digits", "1.2.0", 0.0)


async def test_seven_failures_in_a_row_do_not_trip(world: World) -> None:
    world.traffic.add(Arm.PRODUCTION, 100_000, 40_000)
    world.traffic.add(Arm.CANARY, 7, 7, row=7)

    await world.look()

    assert await world.is_running_canary()


async def test_an_error_rate_of_five_percent_against_a_tenth_is_rolled_back(world: World) -> None:
    for _ in range(5):
        world.traffic.add(Arm.PRODUCTION, 1000, 1)
        world.traffic.add(Arm.CANARY, 50, 3, row=1)
        await world.look()

    (entry, *_) = await world.store.history("digits", limit=1)
    assert (entry.signal, await world.is_running_canary()) == ("error-rate", False)


async def test_equal_error_rates_are_left_alone(world: World) -> None:
    for _ in range(50):
        world.traffic.add(Arm.PRODUCTION, 950, 19)
        world.traffic.add(Arm.CANARY, 50, 1, row=1)
        await world.look()

    assert await world.is_running_canary()


async def test_the_callers_own_mistakes_are_not_blamed_on_the_canary(world: World) -> None:
    world.traffic.add(Arm.PRODUCTION, 1000)
    world.traffic.add(Arm.CANARY, 500, 500, row=0, kind=Failure.CLIENT)

    await world.look()

    assert await world.is_running_canary()


async def test_what_happened_before_the_canary_began_is_not_held_against_it() -> None:
    world = World()
    await world.change(production=V1)
    world.traffic.add(Arm.CANARY, 50, 50, row=50)
    await world.look()
    await world.start_canary()

    world.traffic.add(Arm.PRODUCTION, 100)
    world.traffic.add(Arm.CANARY, 1, 1, row=51)
    await world.look()

    assert await world.is_running_canary()


async def test_a_canary_that_is_started_anew_starts_with_a_clean_sheet(world: World) -> None:
    world.traffic.add(Arm.PRODUCTION, 100)
    world.traffic.add(Arm.CANARY, 8, 8, row=8)
    await world.look()
    await world.look()
    await world.change(quarantined={}, canaries=(Canary(V2, Slice(End.LOW, 500)),))

    world.traffic.add(Arm.CANARY, 1, 1, row=9)
    await world.look()

    assert await world.is_running_canary()


async def test_a_rise_of_the_weight_keeps_the_evidence(world: World) -> None:
    world.traffic.add(Arm.CANARY, 4, 4, row=4)
    await world.look()
    await world.change(canaries=(Canary(V2, Slice(End.LOW, 2500)),))

    world.traffic.add(Arm.CANARY, 4, 4, row=8)
    await world.look()

    assert not await world.is_running_canary()


async def test_failures_seen_while_the_store_was_away_count_once_it_is_back(world: World) -> None:
    world.store.state.down = "locked"
    world.traffic.add(Arm.CANARY, 8, 8, row=8)
    with pytest.raises(StoreUnavailable):
        await world.look()

    world.store.state.down = ""
    await world.look()

    assert not await world.is_running_canary()


async def test_a_rollback_whose_answer_was_lost_is_made_once(world: World) -> None:
    world.traffic.add(Arm.CANARY, 8, 8, row=8)
    world.store.state.answers_to_lose = 1
    with pytest.raises(StoreUnavailable):
        await world.look()

    await world.look()

    entries = await world.store.history("digits", limit=10)
    assert [entry.signal for entry in entries].count("errors-in-a-row") == 1
    assert (await world.record()).production == V1


async def test_an_operator_who_was_faster_is_not_rolled_back_one_version_too_far(world: World) -> None:
    async def operator() -> None:
        await world.change(canaries=())

    world.traffic.add(Arm.CANARY, 8, 8, row=8)
    world.store.state.before_commit.append(operator)

    await world.look()
    await world.look()

    assert (await world.record()).production == V1
    assert world.recorder.rollbacks == []


async def test_a_canary_that_changed_while_it_was_judged_is_rolled_back_at_the_next_look(world: World) -> None:
    async def operator() -> None:
        await world.change(canaries=(Canary(V2, Slice(End.LOW, 1000)),))

    world.traffic.add(Arm.CANARY, 8, 8, row=8)
    world.store.state.before_commit.append(operator)

    await world.look()
    assert await world.is_running_canary()
    await world.look()

    assert not await world.is_running_canary()


# --- leases ---


async def test_the_lease_of_a_canary_is_renewed_at_once_and_then_every_third_of_it(world: World) -> None:
    beats = []
    for _ in range(11):
        beats.append(world.store.state.beats["digits"])
        world.clock.advance(1)
        await world.look()

    assert beats == [1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3]


async def test_a_family_without_a_canary_needs_no_lease() -> None:
    world = World()
    await world.change(production=V1)

    await world.look()

    assert world.store.state.beats == {}


async def test_no_lease_is_renewed_while_no_gateway_reports(world: World) -> None:
    world.clock.advance(20)

    await world.controller.watch()

    assert world.store.state.beats == {"digits": 1}


async def test_a_harmful_canary_gets_no_new_lease_even_if_it_cannot_be_rolled_back(world: World) -> None:
    world.operations.is_refusing = True
    world.clock.advance(20)
    world.traffic.add(Arm.CANARY, 8, 8, row=8)

    await world.look()

    assert world.controller.guards.harmful == {"digits"}
    assert world.store.state.beats == {"digits": 1}


async def test_a_refused_rollback_is_asked_for_again_after_a_while_and_not_at_every_look(world: World) -> None:
    world.operations.is_refusing = True
    world.traffic.add(Arm.CANARY, 8, 8, row=8)
    await world.look()
    world.operations.is_refusing = False

    await world.look()
    assert await world.is_running_canary()
    world.clock.advance(10)
    await world.look()

    assert not await world.is_running_canary()


# --- both loops ---


async def test_the_loops_run_side_by_side_and_go_on_after_the_store_was_away() -> None:
    world = World()
    await world.start_canary()
    world.fleet.hangs.add(PRODUCTION)
    world.store.state.down = "locked"
    running = asyncio.create_task(world.controller.run())
    await _turns()
    world.observations.hear(world.traffic.report())
    await _turns()

    world.store.state.down = ""
    world.observations.hear(world.traffic.report())
    await _turns()
    world.traffic.add(Arm.CANARY, 8, 8, row=8)
    world.observations.hear(world.traffic.report())
    await _turns()

    assert not await world.is_running_canary()
    assert CANARY in world.fleet.loads
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_an_outage_is_logged_once_and_so_is_its_end() -> None:
    world = World()
    await world.start_canary()
    world.store.state.down = "locked"

    with capture_logs() as logs:
        running = asyncio.create_task(world.controller.run())
        for _ in range(5):
            world.observations.hear(world.traffic.report())
            await _turns()
        world.store.state.down = ""
        world.observations.hear(world.traffic.report())
        await _turns()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    watched = [event["event"] for event in logs if event.get("loop") == "watch"]
    assert watched == ["controller_step_failed", "controller_step_recovered"]


async def _turns() -> None:
    for _ in range(30):
        await asyncio.sleep(0)
