"""What every state store promises, the fake included: it is known which gateways live, what they serve, and what left them."""

from dataclasses import replace

from registry_client.versions import ModelVersion
from serving.core.routing import Target
from serving.ports import Departed, GatewayAck, LoadState, LoadStatus
from tests.contracts.state_store.changes import AT, V1, V2
from tests.fakes.registry import digest_of
from tests.fixtures.store_homes import Home


async def test_acks_are_of_the_gateways_heard_of_within_their_lease(home: Home) -> None:
    store, other = await home.open(), await home.open()
    await store.ack(GatewayAck("gone", 3, home.clock.now()))
    home.clock.advance(4)
    await store.ack(GatewayAck("here", 3, home.clock.now()))
    home.clock.advance(2)

    acks = await other.acks()

    assert acks == [GatewayAck("here", 3, acks[0].seen_at)]
    assert acks[0].seen_at.tzinfo is not None


async def test_a_gateway_that_acks_again_is_heard_of_with_its_newest_epoch(home: Home) -> None:
    store = await home.open()
    await store.ack(GatewayAck("one", 3, home.clock.now()))
    home.clock.advance(4)
    await store.ack(GatewayAck("one", 4, home.clock.now()))
    home.clock.advance(4)

    assert [(ack.gateway, ack.epoch) for ack in await store.acks()] == [("one", 4)]


async def test_an_ack_tells_since_when_and_what_became_of_versions_that_have_left(home: Home) -> None:
    store, now = await home.open(), home.clock.now()
    target = Target("digits", ModelVersion.parse("1.1.0"), "0f" * 32)
    departed = (Departed(target, epoch=4, in_flight=2, strays=1, last_stray=now), Departed(target, epoch=4, in_flight=0, strays=0))

    await store.ack(GatewayAck("one", 4, now, fence=2, node="node-1", since=now, departed=departed))

    (ack,) = await store.acks()
    assert (ack.since, ack.departed, ack.fence, ack.node) == (now, departed, 2, "node-1")


async def test_a_gateway_that_leaves_is_waited_for_no_more(home: Home) -> None:
    store = await home.open()
    await store.ack(GatewayAck("one", 3, home.clock.now()))
    await store.ack(GatewayAck("two", 3, home.clock.now()))

    await store.leave("one")
    await store.leave("never seen")

    assert [ack.gateway for ack in await store.acks()] == ["two"]


async def test_an_ack_from_the_future_is_no_sign_of_life(home: Home) -> None:
    store = await home.open()
    await store.ack(GatewayAck("one", 3, home.clock.now()))

    home.clock.set_back(86_400)

    assert await store.acks() == []


async def test_the_board_is_read_as_it_was_last_posted(home: Home) -> None:
    mine, other = await home.open(), await home.open()
    loading = LoadStatus(Target("digits", V1, digest_of("digits", "1.0.0")), LoadState.LOADING)
    failed = LoadStatus(replace(loading.target, version=V2), LoadState.FAILED, "golden 3: expected 7, got 1", 2, AT)

    await mine.post([loading])
    await mine.post([loading, failed])

    assert list(await other.read()) == [loading, failed]


async def test_a_gateway_that_falls_silent_is_listed_as_lapsed_for_ten_minutes(home: Home) -> None:
    store = await home.open()
    await store.ack(GatewayAck("dead", 3, home.clock.now(), fence=2, node="node-1"))
    await store.ack(GatewayAck("left", 3, home.clock.now()))
    await store.leave("left")
    assert await store.lapsed_gateways() == []
    home.clock.advance(10)
    await store.ack(GatewayAck("alive", 3, home.clock.now()))

    (lapsed,) = await store.lapsed_gateways()
    (alive,) = await store.acks()
    home.clock.advance(599)

    assert (lapsed.gateway, lapsed.epoch, lapsed.fence, lapsed.node, lapsed.lapsed) == ("dead", 3, 2, "node-1", True)
    assert (alive.gateway, alive.lapsed) == ("alive", False)
    assert [ack.gateway for ack in await store.lapsed_gateways()] == ["alive"]
