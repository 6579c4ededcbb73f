"""When the controller renews the lease by which a canary takes traffic."""

from serving.core.routing import Arm
from tests.unit.control.controller.world import V1, World


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
