"""What the tests of the controller share: one that has seen a canary begin, and says nothing."""

from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import capture_logs

from tests.unit.control.controller.world import World


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
