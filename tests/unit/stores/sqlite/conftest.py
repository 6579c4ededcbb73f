"""What the tests of the SQLite store share: one that is open, and where it is."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from serving.stores.sqlite import SqliteStore
from tests.unit.stores.sqlite.changes import CLOCK


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "state.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(path, CLOCK)
    yield store
    await store.close()
