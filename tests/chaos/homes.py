"""Where the stores under attack live: made, opened, hurt and healed in one place, so that a scenario only names them."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import apsw

from serving.stores.address import parse_store
from serving.stores.opening import StorePlan, open_store
from serving.stores.redis.plan import RedisPlan
from serving.telemetry.clock import SystemClock
from tests.tools.flipping import Register


@asynccontextmanager
async def opened(location: str) -> AsyncIterator[Register]:
    """A connection to the store at a location: `sqlite:PATH`, or what `store` is set to for a Redis."""
    store = await open_store(_plan(location), SystemClock())
    try:
        yield store
    finally:
        await store.close()


def _plan(location: str) -> StorePlan:
    if location.startswith("sqlite:"):
        return StorePlan(Path(location.removeprefix("sqlite:")))
    address = parse_store(location)
    if address is None:
        raise ValueError(location)
    return StorePlan(Path(), redis=RedisPlan(address=address))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold SQLite's write lock, as a backup or a stuck process would."""
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(60_000)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()
