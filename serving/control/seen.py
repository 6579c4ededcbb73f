"""The state store as this node has seen it: one that comes back older, or another, is never taken for the same.

Whoever decides on what the store says must first know that the store goes on from what anybody on this node has seen. The node's kept
snapshot says how far that is, also for a process that has only just started.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from serving.core.errors import StoreWentBack
from serving.ports import AuditEntry, Commit, Kept, PastRecord, Reseed, Snapshot, Snapshots, StateStore, Transition


class SeenStore:
    """A `StateStore` that raises `StoreWentBack` rather than show a past. Raises `StoreUnavailable` as the store does."""

    def __init__(self, store: StateStore, snapshots: Snapshots) -> None:
        self._store = store
        self._snapshots = snapshots
        self._seen = Snapshot()

    async def last_seen(self) -> Snapshot:
        """The newest snapshot that this process or its node has seen, whether or not the store answers; unread where there is none."""
        kept = await asyncio.to_thread(self._snapshots.mark)
        if kept is not None and self._seen.mark < kept:
            loaded = await asyncio.to_thread(self._snapshots.load)
            if loaded is not None and self._seen.mark < loaded.snapshot.mark:
                self._seen = loaded.snapshot
        return self._seen

    async def last_kept(self) -> Kept:
        """The same, with where the replicas were when the node last kept it."""
        kept = await asyncio.to_thread(self._snapshots.load)
        return Kept(await self.last_seen(), {} if kept is None else kept.endpoints)

    async def snapshot(self) -> Snapshot:
        """All families as the store has them now. Raises `StoreWentBack`."""
        seen = await self.last_seen()
        await self._store.poll(seen)
        fresh = await self._store.snapshot()
        if fresh.mark < seen.mark:  # it was replaced between the two
            raise StoreWentBack(seen=seen.mark, store=fresh.mark)
        self._seen = max(self._seen, fresh, key=_how_far)
        return fresh

    async def as_it_is(self) -> Snapshot:
        """What the store holds, whatever was seen of it before: for whoever has to say which of the two is right."""
        return await self._store.snapshot()

    async def poll(self, seen: Snapshot) -> Snapshot | None:
        """The newer snapshot, else None. Raises `StoreWentBack` also for what others on this node have seen."""
        newest = await self.last_seen()
        if not seen.mark < newest.mark:
            newer = await self._store.poll(seen)
        else:
            newer = await self._store.poll(newest) or newest
        if newer is not None:
            self._seen = max(self._seen, newer, key=_how_far)
        return newer

    async def changed(self, seen: Snapshot, seconds: float) -> None:
        """Wait for a hint."""
        await self._store.changed(seen, seconds)

    async def commit(self, transition: Transition) -> Commit:
        """Commit what was decided on a snapshot of ours."""
        return await self._store.commit(transition)

    async def committed(self, operation_id: str) -> AuditEntry | None:
        """The entry that an operation id left."""
        return await self._store.committed(operation_id)

    async def reseed(self, reseed: Reseed) -> Commit:
        """Have the store go on from what an operator says."""
        return await self._store.reseed(reseed)

    async def history(self, family: str | None, *, limit: int) -> Sequence[AuditEntry]:
        """The newest entries first."""
        return await self._store.history(family, limit=limit)

    async def entries(self, *, after: int = 0, limit: int) -> Sequence[AuditEntry]:
        """The audit, oldest first."""
        return await self._store.entries(after=after, limit=limit)

    async def record_at(self, family: str, at: datetime) -> PastRecord | None:
        """A family as it was."""
        return await self._store.record_at(family, at)

    async def beat(self, family: str) -> None:
        """Renew a canary's lease."""
        await self._store.beat(family)


def _how_far(snapshot: Snapshot) -> tuple[int, int]:
    return snapshot.fence, snapshot.epoch
