"""What becomes of the store when its Redis, or the way to it, is at fault. Each fault is done to a real server."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

import pytest
import uvloop

from serving.core.errors import StoreUnavailable, StoreWentBack
from serving.ports import Commit, GatewayAck, Snapshot
from serving.stores.address import parse_store
from serving.stores.redis.plan import RedisPlan
from serving.stores.redis.store import RedisStore
from tests.fixtures.redis_server import DURABLE, RedisServer, free_port
from tests.fixtures.redis_stores import Open, once_reconnected
from tests.fixtures.transitions import reseed_of, transition_of
from tests.tools.fault_proxy import FaultProxy, Faults

TIMEOUT = 0.3
LATE = 0.5
"""What a busy machine may add to a deadline."""


def calls(store: RedisStore) -> dict[str, Callable[[], Awaitable[object]]]:
    """One call of everything that asks the server."""
    return {
        "snapshot": store.snapshot,
        "commit": lambda: store.commit(transition_of("digits")),
        "reseed": lambda: store.reseed(reseed_of("digits")),
        "committed": lambda: store.committed("op-1"),
        "history": lambda: store.history(None, limit=3),
        "history of one": lambda: store.history("digits", limit=3),
        "entries": lambda: store.entries(limit=3),
        "beat": lambda: store.beat("digits"),
        "lead": lambda: store.lead("me", 3),
        "resign": lambda: store.resign("me"),
        "acks": store.acks,
        "leave": lambda: store.leave("one"),
        "post": lambda: store.post([]),
        "read": store.read,
    }


async def test_every_call_to_a_server_that_hangs_is_over_in_time(server: RedisServer, open_redis: Open) -> None:
    # given
    store = open_redis(server.url, timeout=TIMEOUT)
    await store.snapshot()
    server.freeze()

    # when
    took = dict[str, float]()
    for name, call in calls(store).items():
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="no answer came in time"):
            await call()
        took[name] = time.monotonic() - began

    # then
    assert {name: seconds for name, seconds in took.items() if seconds > TIMEOUT + LATE} == {}


@pytest.mark.parametrize("faults", [Faults(blackhole=True), Faults(half_open=True)], ids=["blackhole", "half-open"])
async def test_a_call_into_a_network_that_swallows_everything_is_over_in_time(
    server: RedisServer, open_redis: Open, faults: Faults
) -> None:
    async with FaultProxy(server.socket, Random(1)) as proxy:
        # given
        store = open_redis(f"redis://127.0.0.1:{proxy.port}", timeout=TIMEOUT)
        await store.snapshot()

        # when
        proxy.faults = faults
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="no answer came in time"):
            await store.commit(transition_of("digits"))
        took = time.monotonic() - began

        # then
        assert took < TIMEOUT + LATE
        proxy.faults = Faults()
        assert isinstance(await store.snapshot(), object)


def test_under_uvloop_too_a_store_whose_connections_are_reset_is_one_that_is_away(server: RedisServer) -> None:
    async def escaped() -> list[BaseException]:
        found = list[BaseException]()
        async with FaultProxy(server.socket, Random(1)) as proxy:
            address = parse_store(f"redis://127.0.0.1:{proxy.port}")
            assert address is not None
            store = RedisStore.open(RedisPlan(address=address))
            for _ in range(10):
                await store.snapshot()
                await asyncio.gather(*(store.snapshot() for _ in range(3)))
                proxy.faults = Faults(refuse=True)
                await asyncio.sleep(0.02)  # nothing else tells when the reset has come through the kernel
                answers = await asyncio.gather(*(store.snapshot() for _ in range(4)), return_exceptions=True)
                found += [each for each in answers if isinstance(each, BaseException) and not isinstance(each, StoreUnavailable)]
                await store.changed(Snapshot(), 0.01)
                proxy.faults = Faults()
                await once_reconnected(store.snapshot)
            await store.close()
        return found

    assert uvloop.run(escaped()) == []


async def test_a_change_whose_answer_is_lost_is_sent_once_and_can_be_looked_up(server: RedisServer, open_redis: Open) -> None:
    async with FaultProxy(server.socket, Random(1)) as proxy:
        # given
        store, other = open_redis(f"redis://127.0.0.1:{proxy.port}"), open_redis(server.url)
        await store.commit(transition_of("intent", operation_id="op-0"))
        sent = server.do("INFO", "commandstats")["cmdstat_evalsha"]["calls"]

        # when
        proxy.faults = Faults(drop_reply=1.0)
        with pytest.raises(StoreUnavailable, match="it closed the connection"):
            await store.commit(transition_of("digits"))

        # then
        assert server.do("INFO", "commandstats")["cmdstat_evalsha"]["calls"] == sent + 1
        found = await other.committed("op-1")
        assert found is not None
        proxy.faults = Faults()
        assert await store.commit(transition_of("digits")) == Commit(found.epoch, 1, replayed=True)
        assert len(await other.history("digits", limit=10)) == 1


async def test_without_a_server_the_sentence_says_that_nothing_listens(open_redis: Open, tmp_path: Path) -> None:
    over_tcp, over_a_socket = open_redis(f"redis://127.0.0.1:{free_port()}"), open_redis(f"redis+unix://{tmp_path}/none.sock")

    with pytest.raises(StoreUnavailable, match="nothing listens there"):
        await over_tcp.snapshot()
    with pytest.raises(StoreUnavailable, match="there is no such socket"):
        await over_a_socket.snapshot()


async def test_a_host_without_an_address_is_said_to_be_unknown(open_redis: Open) -> None:
    store = open_redis("redis://no-such-host.invalid")

    with pytest.raises(StoreUnavailable, match=r"its name cannot be resolved|no answer came in time"):
        await store.snapshot()


async def test_a_store_that_was_closed_answers_no_more(server: RedisServer, open_redis: Open) -> None:
    store = open_redis(server.url)
    await store.snapshot()

    await store.close()

    with pytest.raises(StoreUnavailable, match="is closed"):
        await store.snapshot()


async def test_everything_acknowledged_is_there_after_kill_9_and_the_store_finds_the_server_again(
    server: RedisServer, open_redis: Open
) -> None:
    # given
    store = open_redis(server.url)
    await store.commit(transition_of("digits"))
    before = await store.snapshot()

    # when
    server.kill()
    with pytest.raises(StoreUnavailable):
        await store.snapshot()
    server.start()

    # then
    assert await once_reconnected(store.snapshot) == before
    assert await store.poll(before) is None


async def test_a_server_that_lost_the_tail_of_its_log_is_known_to_have_gone_back(server: RedisServer, open_redis: Open) -> None:
    # given
    store = open_redis(server.url)
    await store.commit(transition_of("digits", 1, operation_id="op-1"))
    await store.commit(transition_of("digits", 2, operation_id="op-2"))
    seen = await store.snapshot()

    # when
    server.kill()
    (log,) = server.folder.glob("appendonlydir/*.incr.aof")
    log.write_bytes(log.read_bytes()[:-1])
    server.start()

    # then
    assert (await once_reconnected(store.snapshot)).epoch == 1  # a change is lost whole, not in part
    with pytest.raises(StoreWentBack):
        await store.poll(seen)
    with pytest.raises(StoreWentBack):
        await store.commit(transition_of("digits", 3, operation_id="op-3", seen=seen.mark))


async def test_a_server_that_was_emptied_is_known_to_have_gone_back_until_it_is_reseeded(server: RedisServer, open_redis: Open) -> None:
    # given
    store = open_redis(server.url)
    await store.commit(transition_of("digits"))
    seen = await store.snapshot()
    server.do("FLUSHALL")

    # when
    with pytest.raises(StoreWentBack):
        await store.poll(seen)
    await store.reseed(reseed_of("digits", seen=seen.mark))

    # then
    newer = await store.poll(seen)
    assert newer is not None
    assert (newer.fence, newer.epoch, list(newer.families)) == (2, 2, ["digits"])


async def test_a_server_that_forgot_the_scripts_is_sent_them_again(server: RedisServer, open_redis: Open) -> None:
    store = open_redis(server.url)
    await store.commit(transition_of("digits", 1, operation_id="op-1"))

    server.do("SCRIPT", "FLUSH")

    assert (await store.commit(transition_of("digits", 2, operation_id="op-2"))).epoch == 2


async def test_a_wait_for_news_is_over_in_its_time_whatever_the_server_does(server: RedisServer, open_redis: Open) -> None:
    # given
    store = open_redis(server.url)
    seen = await store.snapshot()

    # when
    took = list[float]()
    for break_it in (server.freeze, server.kill):
        break_it()
        began = time.monotonic()
        await store.changed(seen, 0.2)
        took.append(time.monotonic() - began)

    # then
    assert all(0.19 <= seconds < 0.2 + 1.0 for seconds in took), took


async def test_of_so_many_calls_at_once_none_is_refused_for_want_of_a_connection(server: RedisServer, open_redis: Open) -> None:
    store = open_redis(server.url)

    acked = await asyncio.gather(*(store.ack(GatewayAck(f"gateway-{number}", 3, transition_of("x").at)) for number in range(200)))

    assert acked == [None] * 200
    assert len(await store.acks()) == 200


async def test_all_keys_of_a_store_lie_on_one_node_of_a_cluster(open_redis: Open) -> None:
    # given
    server = RedisServer({**DURABLE, "cluster-enabled": "yes"})
    try:
        server.start()
        server.do("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        while b"cluster_state:ok" not in server.do("CLUSTER", "INFO"):
            pass
        store = open_redis(server.url)

        # when
        refused = list[str]()
        for name, call in calls(store).items():
            try:
                await call()
            except StoreUnavailable as error:
                refused.append(f"{name}: {error}")

        # then
        assert refused == []
    finally:
        server.remove()
