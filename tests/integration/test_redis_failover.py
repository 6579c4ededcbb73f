"""A failover by a real Sentinel: the new primary is found without a word, and one that lacks changes is known to."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from random import Random

import pytest

from serving.core.errors import StoreUnavailable, StoreWentBack
from serving.stores.redis.plan import RedisPlan
from serving.stores.redis.store import RedisStore
from tests.fixtures.redis_home import address
from tests.fixtures.redis_server import DURABLE, RedisServer, free_port
from tests.fixtures.transitions import reseed_of, transition_of
from tests.tools.fault_proxy import FaultProxy, Faults

SERVICE = "state"
PATIENCE_S = 40.0
LOOK_S = 0.05


@dataclass
class Pair:
    """A primary, a replica that follows it through a proxy, and the store behind the Sentinel that watches both."""

    primary: RedisServer
    replica: RedisServer
    between: FaultProxy
    store: RedisStore

    async def fail_over(self) -> None:
        """kill -9 of the primary, until the replica has taken its place."""
        self.primary.kill()
        await until(lambda: self.replica.do("ROLE")[0] == b"master")


async def until(look: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not look():  # noqa: ASYNC110 - another process's doing, which tells nobody
            await asyncio.sleep(LOOK_S)


async def answered(store: RedisStore) -> None:
    """Wait until the store answers again, whatever it answers."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await store.snapshot()
            except StoreUnavailable:
                await asyncio.sleep(LOOK_S)
            else:
                return


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:

        def started(own: RedisServer) -> RedisServer:
            stack.callback(own.remove)
            return own.start()

        port, replica_port, sentinel_port = free_port(), free_port(), free_port()
        primary = started(RedisServer({**DURABLE, "port": str(port), "repl-diskless-sync-delay": "0"}))
        between = await stack.enter_async_context(FaultProxy(("127.0.0.1", port), Random(1)))
        replica = started(RedisServer({**DURABLE, "port": str(replica_port), "replicaof": f"127.0.0.1 {between.port}"}))
        await until(lambda: b"connected" in replica.do("ROLE"))
        watched = {f"sentinel monitor {SERVICE}": f"127.0.0.1 {port} 1", f"sentinel down-after-milliseconds {SERVICE}": "300"}
        started(RedisServer({"port": str(sentinel_port), **watched}, ("--sentinel",)))
        store = RedisStore.open(RedisPlan(address=address(f"redis+sentinel://127.0.0.1:{sentinel_port}/{SERVICE}")))
        stack.push_async_callback(store.close)
        yield Pair(primary, replica, between, store)


async def test_after_a_failover_the_store_goes_on_where_it_was(pair: Pair) -> None:
    # given
    await pair.store.commit(transition_of("digits"))
    seen = await pair.store.snapshot()
    await until(lambda: pair.replica.do("XLEN", "{pointsman}:audit") == 1)

    # when
    await pair.fail_over()
    await answered(pair.store)

    # then
    assert await pair.store.poll(seen) is None
    assert (await pair.store.commit(transition_of("digits", 2, operation_id="op-2", seen=seen.mark))).epoch == 2


async def test_a_promoted_replica_that_lacks_a_change_is_refused_until_it_is_reseeded(pair: Pair) -> None:
    # given
    await pair.store.commit(transition_of("digits"))
    await until(lambda: pair.replica.do("XLEN", "{pointsman}:audit") == 1)
    pair.between.faults = Faults(half_open=True)
    await pair.store.commit(transition_of("digits", 2, operation_id="op-2"))
    seen = await pair.store.snapshot()

    # when
    await pair.fail_over()
    await answered(pair.store)

    # then
    with pytest.raises(StoreWentBack):
        await pair.store.poll(seen)
    with pytest.raises(StoreWentBack):
        await pair.store.commit(transition_of("digits", 3, operation_id="op-3", seen=seen.mark))
    await pair.store.reseed(reseed_of("digits", seen=seen.mark))
    newer = await pair.store.poll(seen)
    assert newer is not None
    assert (newer.fence, newer.epoch) == (2, 3)


async def test_without_a_sentinel_that_answers_the_sentence_says_so() -> None:
    asked = RedisPlan(address=address(f"redis+sentinel://127.0.0.1:{free_port()}/{SERVICE}"))
    store = RedisStore.open(asked)

    with pytest.raises(StoreUnavailable, match="no Sentinel names a primary"):
        await store.snapshot()
    await store.close()
