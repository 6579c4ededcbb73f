"""Keeping the routes on the node's disk: after every newer epoch, off the event loop, and the newest only."""

import asyncio
from collections.abc import Callable, Mapping

import structlog

from serving.ports import Kept, Snapshot, Snapshots

log = structlog.get_logger()

Endpoints = Mapping[str, tuple[str, ...]]

LOOK_S = 2.0
"""Between two looks at whether replicas have moved, which no epoch tells; also how soon a keep that failed is tried again."""


class SnapshotKeeping:
    """Keeps what it was last offered, at first what was `kept`. `endpoints`: the addresses of each version's replicas, by digest."""

    def __init__(self, snapshots: Snapshots, kept: Snapshot, endpoints: Callable[[], Endpoints]) -> None:
        self._snapshots = snapshots
        self._endpoints = endpoints
        self._offered = asyncio.Event()
        self._newest = kept
        self._kept: tuple[object, Endpoints] | None = None
        self._trouble = ""

    def offer(self, snapshot: Snapshot) -> None:
        """Take a snapshot to keep; returns at once."""
        self._newest = snapshot
        self._offered.set()

    async def run(self) -> None:
        """Keep until cancelled."""
        while True:
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._offered.wait()
            except TimeoutError:
                pass
            self._offered.clear()
            await self.step()

    async def step(self) -> None:
        """Keep the newest, if it is not kept already; that the disk will not have it is told when it begins and when it ends."""
        snapshot, endpoints = self._newest, dict(self._endpoints())
        now = (snapshot.mark, endpoints)
        if snapshot.epoch < 0 or now == self._kept:
            return
        try:
            await asyncio.to_thread(self._snapshots.keep, Kept(snapshot, endpoints))
        except OSError as error:
            if not self._trouble:
                log.error("snapshot_not_kept", why=str(error), epoch=snapshot.epoch)  # noqa: TRY400 - the sentence says it all
            self._trouble = str(error)
            return
        if self._trouble:
            log.info("snapshot_kept_again", epoch=snapshot.epoch)
        self._kept, self._trouble = now, ""
