"""What the controller loads and unloads, and how it goes about what fails."""

from contextlib import suppress

from serving.core.errors import StoreUnavailable
from serving.core.routing import Arm
from serving.ports import LoadState
from tests.unit.control.controller.world import CANARY, PRODUCTION, World


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


async def test_a_version_that_is_being_started_stays_on_the_board_until_the_fleet_shows_it(world: World) -> None:
    # given
    world.fleet.hangs.add(CANARY)

    # when
    seen = []
    for _ in range(3):
        await world.reconcile()
        seen.append({status.target: status.state for status in await world.store.read()}[CANARY])

    # then
    assert seen == [LoadState.LOADING] * 3
    await world.controller.loads.close()


async def test_a_store_that_is_away_leaves_what_runs_alone(world: World) -> None:
    await world.reconcile()
    world.store.state.down = "locked"

    for _ in range(100):
        with suppress(StoreUnavailable):
            await world.reconcile()
        world.clock.advance(1)

    assert world.fleet.unloads == []
