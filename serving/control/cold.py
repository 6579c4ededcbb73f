"""Loading what was served while the store cannot say what should be: nothing is decided, nothing is stopped, nothing is written."""

import structlog

from serving.control.reconciler import aspired
from serving.control.seen import SeenStore
from serving.core.errors import StoreUnavailable
from serving.ports import Fleet, LoadState, Snapshot

log = structlog.get_logger()

AT_ONCE = 4
"""Versions that load at the same time; more would only slow each other down."""


class ColdLoads:
    """One step starts the versions that the last seen routes name and that nobody has started, as long as the store does not answer."""

    def __init__(self, store: SeenStore, fleet: Fleet) -> None:
        self._store = store
        self._fleet = fleet

    async def step(self) -> None:
        """Look once, and start what is missing."""
        seen = await self._store.last_seen()
        if seen.epoch < 0 or await self._answers(seen):
            return
        states = await self._fleet.states()
        known = {status.target for status in states}
        room = AT_ONCE - sum(status.state is LoadState.LOADING for status in states)
        missing = [target for target in aspired(seen) if target not in known]
        for target in missing[: max(0, room)]:
            log.warning("loading_without_the_store", family=target.family, version=str(target.version), epoch=seen.epoch)
            await self._fleet.load(target)

    async def _answers(self, seen: Snapshot) -> bool:
        try:
            await self._store.poll(seen)
        except StoreUnavailable:
            return False
        return True
