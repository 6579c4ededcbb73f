"""Keeping a gateway's route table in step with the store: hear of a change or poll, swap the table whole, ack the epoch.

A gateway that cannot reach the store serves on by its last table, or starts by the one that its node has kept. Two things still change
it then: a canary's weight, which is a lease that lapses when nobody renews it, and an override by an operator on the node.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from serving.core.errors import StoreUnavailable, StoreWentBack
from serving.core.routing import RouteTable
from serving.core.tables import table_of
from serving.gateway.keeping import SnapshotKeeping
from serving.gateway.leases import CanaryLeases
from serving.gateway.overriding import POLL_S, OverridesInForce
from serving.gateway.standing import StoreStanding
from serving.ports import Acks, Clock, Departed, GatewayAck, Snapshot, StateStore


@dataclass(frozen=True, slots=True)
class RouteTimes:
    """Seconds: between polls at the most, between acks of an unchanged epoch, and how long a canary's weight outlives its last renewal."""

    poll: float = 1.0
    ack: float = 1.0
    lease: float = 15.0
    drain: float = 0.05
    """Between two looks at what versions that have left still have under way."""


@dataclass(frozen=True, slots=True)
class Footing:
    """What a gateway stands on when the store is gone. `kept`: the snapshot that its node has kept, unread where there is none."""

    node: str
    """By which address the others know this node."""
    kept: Snapshot
    keeping: SnapshotKeeping
    overrides: OverridesInForce
    standing: StoreStanding


class RouteKeeper:
    """Holds the newest snapshot that could be read, and gives a new table whenever it, a lease or an override changes what holds."""

    def __init__(  # noqa: PLR0913 - the ports it stands on
        self,
        *,
        store: StateStore,
        acks: Acks,
        clock: Clock,
        gateway: str,
        on_table: Callable[[RouteTable], None],
        times: RouteTimes,
        footing: Footing,
        departures: Callable[[], tuple[Departed, ...]] = tuple,
    ) -> None:
        self._store = store
        self._acks = acks
        self._clock = clock
        self._gateway = gateway
        self._on_table = on_table
        self._times = times
        self._footing = footing
        self._departures = departures
        self._leases = CanaryLeases(clock.monotonic, times.lease)
        self._snapshot = footing.kept
        self._is_due = footing.kept.epoch >= 0
        """Whether a table is to be given that nobody has taken yet."""
        self._acked_at = float("-inf")
        self._since: datetime | None = None
        """When the routes of the newest epoch were taken."""
        self._is_draining = False
        """Whether the last ack told of requests that versions which have left still had under way."""

    @property
    def epoch(self) -> int:
        """The epoch of the newest table; -1 while there is none."""
        return self._snapshot.epoch

    async def begin(self, patience: float) -> None:
        """Give the first table: by the store if it answers within `patience` seconds, else by what the node has kept, if it has."""
        await self._footing.overrides.look()
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self.tick()
        self._give(at_once=False)

    async def run(self) -> None:
        """Keep the table until cancelled."""
        while True:
            await self.tick()
            # By what was acked, not by what is so now: who waits for the last answer of the old routes has read that it is to come.
            await self._store.changed(self._snapshot, self._times.drain if self._is_draining else self._times.poll)

    async def watch_overrides(self) -> None:
        """Carry out overrides as they come and go, and let leases lapse, however long the store keeps others waiting; until cancelled."""
        overrides = self._footing.overrides
        while True:
            self._give(at_once=await overrides.look())
            await overrides.confirm(self._gateway)
            await asyncio.sleep(POLL_S)

    async def tick(self) -> None:
        """Look once."""
        try:
            newer = await self._store.poll(self._snapshot)
            changed = newer is not None and self._take(newer)
            self._give(at_once=changed)
            acked = await self._ack(at_once=changed)
        except StoreUnavailable as error:
            self._footing.standing.failed(error, epoch=self.epoch)
            self._give(at_once=False)
            if isinstance(error, StoreWentBack):  # it does answer, and who is to decide what holds wants to see who serves what
                with suppress(StoreUnavailable):
                    await self._ack(at_once=False)
            return
        except Exception:
            self._give(at_once=False)  # a lease runs out whatever is wrong
            raise
        self._footing.standing.answered(written=acked, epoch=self.epoch)

    def _give(self, *, at_once: bool) -> None:
        """Give a new table if there is one; a table that could not be taken is given again, and not acked before."""
        self._is_due = self._leases.look(self._snapshot) or at_once or self._is_due
        if self._is_due and self.epoch >= 0:
            enforced = self._footing.overrides.carry_out(self._snapshot.families.values(), self._snapshot.mark)
            self._on_table(table_of(self.epoch, enforced.records.values(), self._leases.lapsed, enforced.in_force))
            self._is_due = False
            self._since = self._since or self._clock.now()

    def _take(self, snapshot: Snapshot) -> bool:
        """Hold a newer snapshot; say whether its epoch is new."""
        changed = snapshot.mark != self._snapshot.mark
        self._snapshot = snapshot
        self._leases.see(snapshot)
        self._since = None if changed else self._since
        if changed:
            self._footing.keeping.offer(snapshot)
        return changed

    async def _ack(self, *, at_once: bool) -> bool:
        now, departed = self._clock.monotonic(), self._departures()
        was_draining, self._is_draining = self._is_draining, any(one.in_flight for one in departed)
        is_drained = was_draining and not self._is_draining
        due = at_once or is_drained or now - self._acked_at >= self._times.ack
        if due:
            self._acked_at = now
            seen = self._snapshot
            now_at, node = self._clock.now(), self._footing.node
            ack = GatewayAck(self._gateway, seen.epoch, now_at, seen.fence, node, since=self._since, departed=departed)
            await self._acks.ack(ack)
        return due
