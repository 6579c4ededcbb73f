"""Every state store in turn, the fake included, for whichever test of the contract asks for one."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes.clock import FakeClock
from tests.fixtures.store_homes import AnyStore, Home, fake_home, redis_home, sqlite_home


@pytest.fixture(params=["sqlite", "redis", "fake"])
async def home(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Home]:
    match request.param:
        case "sqlite":
            made = sqlite_home(FakeClock(), tmp_path / "home" / "state.db")
        case "redis":
            made = redis_home(request.getfixturevalue("redis_server"))
        case _:
            made = fake_home(FakeClock())
    opened = list[AnyStore]()

    async def open_store() -> AnyStore:
        opened.append(await made.open())
        return opened[-1]

    yield replace(made, open=open_store)
    for store in opened:
        await store.close()
