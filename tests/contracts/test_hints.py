"""What whoever takes hints and whoever looks may rely on of what lies between them, real or fake."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from serving.core.errors import StoreUnavailable
from serving.ports import Hints
from serving.stores.hint_files import HintFile
from serving.stores.redis.hints import RedisHints
from tests.fakes.hints import MemoryHints
from tests.fixtures.redis_home import RedisHome

Side = Callable[[], Hints]
"""Opens what one process sees of it."""


@pytest.fixture(params=["file", "redis", "fake"])
async def side(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Side]:
    match request.param:
        case "file":
            yield lambda: HintFile(tmp_path / "registry.hint")
        case "redis":
            home, made = RedisHome(request.getfixturevalue("redis_server")), list[RedisHints]()

            def opened() -> RedisHints:
                made.append(RedisHints.open(home.plan))
                return made[-1]

            yield opened
            for one in made:
                await one.close()
        case _:
            fake = MemoryHints()
            yield lambda: fake


async def test_a_stamp_stays_as_it_is_while_nobody_leaves_a_hint(side: Side) -> None:
    assert await side().stamp() == await side().stamp()


async def test_every_hint_that_one_process_leaves_changes_the_stamp_that_another_sees(side: Side) -> None:
    admin, controller = side(), side()
    stamps = [await controller.stamp()]

    for _ in range(5):
        await admin.leave()
        stamps.append(await controller.stamp())

    assert len(set(stamps)) == len(stamps)


async def test_where_it_cannot_be_left_or_read_that_is_said(tmp_path: Path) -> None:
    beyond, folder = HintFile(tmp_path / "nowhere" / "registry.hint"), HintFile(tmp_path)

    with pytest.raises(StoreUnavailable, match=r"registry\.hint"):
        await beyond.leave()
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        await folder.stamp()
