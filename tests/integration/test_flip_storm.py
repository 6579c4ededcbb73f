"""A short storm over each store; `make chaos` has the long ones. What writers see and what the store holds fit one order of events."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.chaos.mishaps import KILLED_WRITER, busy_lock
from tests.chaos.redis_storms import mishaps_of
from tests.chaos.storm import Storm, StormReport, weather
from tests.e2e.load import Record
from tests.fixtures.redis_server import RedisServer
from tests.tools.fault_proxy import FaultProxy

FLIPS = 1_500
WRITERS = 4


@pytest.fixture
def private_redis() -> Iterator[RedisServer]:
    server = RedisServer()
    try:
        yield server.start()
    finally:
        server.remove()


@pytest.fixture
def seed(record_property: Record) -> int:
    seed = Random().getrandbits(32)
    record_property("seed", seed)
    return seed


def is_lawful(report: StormReport) -> bool:
    """Whether no law was broken, by writers that were in each other's way while things went wrong."""
    assert report.violations == []
    assert report.flips + report.unknown >= FLIPS
    assert report.refused > 0
    return bool(report.mishaps)


async def test_sqlite_keeps_its_promises_while_writers_die_and_the_file_is_locked(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "state.db"
    mishaps = [KILLED_WRITER, busy_lock(path)]

    report = await weather(
        Storm(f"sqlite:{path}", f"sqlite:{path}", FLIPS, mishaps, writers=WRITERS, families=4, calm_s=0.2), tmp_path, seed
    )

    assert is_lawful(report)


async def test_redis_keeps_its_promises_while_writers_the_network_and_the_server_die(
    private_redis: RedisServer, tmp_path: Path, seed: int
) -> None:
    async with FaultProxy(private_redis.socket, Random(seed)) as proxy:
        mishaps = mishaps_of(private_redis, proxy, longest_s=0.3)
        storm = Storm(
            f"redis://127.0.0.1:{proxy.port}", private_redis.url, FLIPS, mishaps, writers=WRITERS, families=4, lost=0.0, calm_s=0.3
        )

        report = await weather(storm, tmp_path, seed)

    assert is_lawful(report)
