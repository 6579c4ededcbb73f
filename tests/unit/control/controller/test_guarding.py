"""Which canaries the controller rolls back, and which it leaves alone."""

import pytest
from structlog.testing import capture_logs

from serving.core.errors import StoreUnavailable
from serving.core.lifecycle import Canary
from serving.core.routing import Arm
from serving.core.traffic import End, Slice
from serving.ports import Failure
from tests.unit.control.controller.world import V1, V2, World


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
