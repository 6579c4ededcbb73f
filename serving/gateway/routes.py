"""Keeping a gateway's route table in step with the store: hear of a change or poll, swap the table whole, ack the epoch.

A gateway that cannot reach the store serves on by its last table, except that a canary's weight is a lease: when the controller has
not renewed it for too long, the canary's traffic goes back to production.
"""

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from serving.core.errors import StoreUnavailable
from serving.core.routing import RouteTable
from serving.core.tables import table_of
from serving.ports import Acks, Clock, GatewayAck, Snapshot, StateStore

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RouteTimes:
    """Seconds: between polls at the most, between acks of an unchanged epoch, and how long a canary's weight outlives its last renewal."""

    poll: float = 1.0
    ack: float = 1.0
    lease: float = 15.0


@dataclass(slots=True)
class Renewal:
    """The last sign of life of a family's canary lease, and when this gateway saw it (monotonic seconds)."""

    sign: tuple[int, int]
    seen: float


class RouteKeeper:
    """Holds the newest snapshot that could be read, and gives a new table whenever it, or a lease, changes what holds."""

    def __init__(
        self,
        *,
        store: StateStore,
        acks: Acks,
        clock: Clock,
        gateway: str,
        on_table: Callable[[RouteTable], None],
        times: RouteTimes,
    ) -> None:
        self._store = store
        self._acks = acks
        self._clock = clock
        self._gateway = gateway
        self._on_table = on_table
        self._times = times
        self._snapshot = Snapshot()
        self._renewals: dict[str, Renewal] = {}
        self._lapsed: frozenset[str] = frozenset()
        self._is_due = False
        """Whether a table is to be given that nobody has taken yet."""
        self._acked_at = float("-inf")
        self._store_is_down = False

    @property
    def epoch(self) -> int:
        """The epoch of the newest table; -1 before the store could first be read."""
        return self._snapshot.epoch

    async def run(self) -> None:
        """Keep the table until cancelled."""
        while True:
            await self.tick()
            await self._store.changed(self._snapshot, self._times.poll)

    async def tick(self) -> None:
        """Look once; the store's absence is logged when it begins and when it ends."""
        try:
            newer = await self._store.poll(self._snapshot)
            changed = newer is not None and self._take(newer)
            self._give(at_once=changed)
            acked = await self._ack(at_once=changed)
        except StoreUnavailable as error:
            if not self._store_is_down:
                log.warning("store_unreachable", why=str(error), serving_epoch=self.epoch)
            self._store_is_down = True
            self._give(at_once=False)
            return
        except Exception:
            self._give(at_once=False)  # a lease runs out whatever is wrong
            raise
        # Reading may work while writing does not (a full disk): it is back only when an ack went through.
        if self._store_is_down and acked:
            log.info("store_reachable_again", serving_epoch=self.epoch)
            self._store_is_down = False

    def _give(self, *, at_once: bool) -> None:
        """Give a new table if there is one; a table that could not be taken is given again, and not acked before."""
        self._is_due = self._lapse() or at_once or self._is_due
        if self._is_due:
            self._on_table(table_of(self._snapshot.epoch, self._snapshot.families.values(), self._lapsed))
            self._is_due = False

    def _take(self, snapshot: Snapshot) -> bool:
        """Hold a newer snapshot; say whether its epoch is new."""
        changed = snapshot.mark != self._snapshot.mark
        self._snapshot = snapshot
        now = self._clock.monotonic()
        for family, record in snapshot.families.items():
            sign = (record.revision, snapshot.beats.get(family, 0))
            renewal = self._renewals.get(family)
            if renewal is None or renewal.sign != sign:
                self._renewals[family] = Renewal(sign, now)
        return changed

    def _lapse(self) -> bool:
        """Find the canaries whose lease has run out; say whether they are others than before."""
        now = self._clock.monotonic()
        lapsed = frozenset(
            family
            for family, record in self._snapshot.families.items()
            if record.canaries and now - self._renewals[family].seen > self._times.lease
        )
        changed, self._lapsed = lapsed != self._lapsed, lapsed
        if changed:
            log.warning("canary_leases", lapsed=sorted(lapsed))
        return changed

    async def _ack(self, *, at_once: bool) -> bool:
        now = self._clock.monotonic()
        due = at_once or now - self._acked_at >= self._times.ack
        if due:
            self._acked_at = now
            await self._acks.ack(GatewayAck(self._gateway, self._snapshot.epoch, self._clock.now(), self._snapshot.fence))
        return due
