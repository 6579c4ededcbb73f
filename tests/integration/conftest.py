"""What integration tests share: the loop that services run on, a Redis of the test's own, which it may break, and stores on it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import pytest
import uvloop

from registry_client.bundle import Bundle, load_bundle
from serving.stores.redis.plan import RedisPlan
from serving.stores.redis.store import RedisStore
from tests.fakes.bundles import write_files
from tests.fixtures.redis_home import address
from tests.fixtures.redis_server import RedisServer
from tests.fixtures.redis_stores import PATIENCE_S, PREFIX, Open

LoopFactory = Callable[[], asyncio.AbstractEventLoop]
ON_BOTH_LOOPS = "test_tcp_link"
"""Where asyncio's transports and uvloop's differ: in how they hand a connection over to another protocol."""


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, LoopFactory]:
    """Services run on uvloop."""
    own: dict[str, LoopFactory] = {"uvloop": uvloop.new_event_loop}
    return own | {"asyncio": asyncio.new_event_loop} if item.path.stem == ON_BOTH_LOOPS else own


@pytest.fixture
def bundle(tmp_path: Path, request: pytest.FixtureRequest) -> Bundle:
    """A bundle whose weights are the module's `CONTENT`, where it has one."""
    content: bytes = getattr(request.module, "CONTENT", b"weights")
    return load_bundle(write_files(tmp_path / "bundle", weights=content))


@pytest.fixture
def server() -> Iterator[RedisServer]:
    own = RedisServer()
    try:
        yield own.start()
    finally:
        own.remove()


@pytest.fixture
async def open_redis() -> AsyncIterator[Open]:
    opened = list[RedisStore]()

    def open_at(url: str, password_file: Path | None = None, timeout: float = PATIENCE_S) -> RedisStore:
        plan = RedisPlan(address=address(url), prefix=PREFIX, timeout=timeout, password_file=password_file)
        opened.append(RedisStore.open(plan))
        return opened[-1]

    yield open_at
    for store in opened:
        await store.close()
