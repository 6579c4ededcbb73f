"""The controller's loops beside each other, and an outage of the store."""

import asyncio
from contextlib import suppress

import pytest
from structlog.testing import capture_logs

from serving.core.routing import Arm
from tests.unit.control.controller.world import CANARY, PRODUCTION, World


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
