import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from registry_client.versions import ModelVersion
from serving.control import practising
from serving.control.operations import Author, Operations
from serving.control.practising import Drills, Means
from serving.control.seen import SeenStore
from serving.control.verification import Verification
from serving.core.drills import DrillResult
from serving.core.errors import StoreUnavailable
from serving.core.lifecycle import FamilyRecord
from serving.core.refusals import CannotDrill, NothingToRollBack
from serving.ports import PublicAnswer
from tests.fakes.admin import AdminWorld

ADA = Author("ada", "practice", "op-1")
V1, V1_1 = ModelVersion.parse("1.0.0"), ModelVersion.parse("1.1.0")


class Hall:
    """Where drills are held: 1.1.0 is in production, 1.0.0 was before it, and a gateway follows every change."""

    def __init__(self) -> None:
        self.world = AdminWorld()
        world = self.world
        world.runs("1.0.0", "1.1.0")
        self.store = world.store
        self.operations = Operations(SeenStore(world.store, world.kept), world.store, world.store, world.registry, world.clock)
        proves = Verification(world.store, world.store, world.registry, world.public, world.clock)
        self.heard: list[DrillResult] = []
        self.drills = Drills(Means(self.operations, proves, world.clock, self._hear))
        self.follows = True

    async def _hear(self, family: str, result: DrillResult) -> None:
        assert family == "digits"
        self.heard.append(result)

    async def set_up(self) -> None:
        for number, version in enumerate((V1, V1_1)):
            await self.operations.promote("digits", version, replace(ADA, operation_id=f"promote-{number}"))

    async def follow(self) -> None:
        """A gateway that serves what the store says, unless it is stuck."""
        while True:
            if self.follows:
                await self.world.gateway_serves((await self.store.snapshot()).epoch)
            await asyncio.sleep(0)

    async def until(self, holds: Callable[[FamilyRecord], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds(await self.record()):  # noqa: ASYNC110 - what is waited for is in the store
                await asyncio.sleep(0)

    async def record(self) -> FamilyRecord:
        return (await self.store.snapshot()).families["digits"]


@pytest.fixture
async def hall() -> AsyncIterator[Hall]:
    hall = Hall()
    await hall.set_up()
    following = asyncio.create_task(hall.follow())
    yield hall
    following.cancel()
    with suppress(asyncio.CancelledError):
        await following


async def test_a_drill_rolls_back_for_real_proves_it_and_restores(hall: Hall) -> None:
    result = await hall.drills.hold("digits", ADA)

    assert result.passed, result.failure
    receipt = result.receipt
    assert receipt.flipped is not None
    assert receipt.verified is not None
    assert result.restored is not None
    assert receipt.detected <= receipt.decided <= receipt.flipped <= receipt.verified <= result.restored
    assert [entry.action for entry in hall.world.state.audit][-2:] == ["drill", "drill over"]
    record = await hall.record()
    assert (record.production, record.previous, record.quarantined) == (V1_1, (V1,), {})
    assert record.drills == (result,)
    assert hall.heard == [result]
    assert hall.world.public.asked >= 40, "golden examples were asked of both"


async def test_a_gateway_that_does_not_follow_fails_the_drill_and_production_comes_back(hall: Hall) -> None:
    hall.follows = False

    result = await hall.drills.hold("digits", ADA)

    assert "not verified" in result.failure
    assert (await hall.record()).production == V1_1
    assert result.restored is not None


async def test_a_version_that_answers_badly_fails_the_drill(hall: Hall) -> None:
    hall.world.public.instead = [PublicAnswer(500, trouble="broken")]

    result = await hall.drills.hold("digits", ADA)

    assert "went wrong" in result.failure
    assert (await hall.record()).production == V1_1


async def test_a_restoration_that_is_not_proven_fails_the_drill_after_all(hall: Hall) -> None:
    class Once(Drills):
        async def _restored(self, *args: object, **extra: object) -> tuple[FamilyRecord, int | None]:
            hall.world.public.instead = [PublicAnswer(500, trouble="broken")] * 20
            return await super()._restored(*args, **extra)  # type: ignore[arg-type]

    proves = Verification(hall.store, hall.store, hall.world.registry, hall.world.public, hall.world.clock)

    result = await Once(Means(hall.operations, proves, hall.world.clock)).hold("digits", ADA)

    assert "restoration is not verified" in result.failure
    assert (await hall.record()).drills[0] == result


async def test_the_same_request_again_gives_the_first_result(hall: Hall) -> None:
    first = await hall.drills.hold("digits", ADA)

    assert await hall.drills.hold("digits", ADA) == first
    assert len((await hall.record()).drills) == 1


async def test_a_rollback_during_the_drill_wins(hall: Hall) -> None:
    hall.follows = False
    drilling = asyncio.create_task(hall.drills.hold("digits", ADA))
    await hall.until(lambda record: record.drill is not None)

    await hall.operations.rollback("digits", Author("ben", "it is bad", "rollback-1"))
    result = await drilling

    record = await hall.record()
    assert "broken off by a rollback of ben's" in result.failure
    assert result.restored is None
    assert (record.production, set(record.quarantined)) == (V1, {V1_1})


async def test_what_somebody_left_behind_is_restored_by_whoever_leads(hall: Hall) -> None:
    hall.follows = False
    drilling = asyncio.create_task(hall.drills.hold("digits", ADA))
    await hall.until(lambda record: record.drill is not None)
    drill = (await hall.record()).drill
    assert drill is not None

    result = await hall.drills.restore("digits", drill, Author("auto", "nobody else did", "restore-1"))
    await drilling

    assert "interrupted" in result.failure
    record = await hall.record()
    assert (record.production, record.drill, len(record.drills)) == (V1_1, None, 1)


async def test_a_caller_that_goes_away_stops_no_drill_half_way(hall: Hall) -> None:
    asking = asyncio.create_task(hall.drills.hold("digits", ADA))
    await hall.until(lambda record: record.drill is not None)

    asking.cancel()
    await hall.until(lambda record: bool(record.drills))

    assert (await hall.record()).production == V1_1


async def test_a_store_that_is_away_when_it_is_to_be_restored_is_asked_again(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.control.practising.AGAIN_SECONDS", 0.0)
    commit, failures = hall.store.commit, [StoreUnavailable("away")] * 3

    async def failing(transition: object) -> object:
        if getattr(transition, "action", "") == "drill over" and failures:
            raise failures.pop()
        return await commit(transition)  # type: ignore[arg-type]

    monkeypatch.setattr(hall.store, "commit", failing)

    result = await hall.drills.hold("digits", ADA)

    assert result.passed, result.failure
    assert not failures


async def test_a_drill_that_cannot_be_held_changes_nothing(hall: Hall) -> None:
    record = await hall.record()
    await hall.operations.rollback("digits", Author("ben", "", "rollback-1"))
    before = await hall.record()

    with pytest.raises((NothingToRollBack, CannotDrill)):
        await hall.drills.hold("digits", ADA)

    assert await hall.record() == before != record


def test_patience_is_longer_than_what_a_drill_may_take() -> None:
    assert timedelta(seconds=2 * practising.PROOF_SECONDS) < practising.PATIENCE
