"""The controller's view of the store: the newest snapshot that could be read."""

import asyncio
from collections.abc import Callable

from serving.ports import Snapshot, StateStore


class Records:
    """Reads the store whole once and then only what is newer."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._reading = asyncio.Lock()
        self._waiting: list[Callable[[], None]] = []
        self.snapshot = Snapshot()
        """As last read; empty before the first time."""

    def subscribe(self, wake: Callable[[], None]) -> None:
        """Have `wake` called whenever a record was found changed."""
        self._waiting.append(wake)

    async def refresh(self) -> Snapshot:
        """Look again. Raises `StoreUnavailable`, `StoreWentBack` among them; `snapshot` is then as it was."""
        async with self._reading:
            before = self.snapshot.epoch
            self.snapshot = await self._store.poll(self.snapshot) or self.snapshot
        if self.snapshot.epoch != before:
            for wake in self._waiting:
                wake()
        return self.snapshot
