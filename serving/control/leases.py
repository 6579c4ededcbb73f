"""Keeps canaries in traffic: their weight lapses to production unless it is renewed, and only a controller that sees may renew it."""

from collections.abc import Collection

from serving.control.leading import Standing
from serving.control.records import Records
from serving.core.lifecycle import FamilyRecord
from serving.core.policy import GuardPolicy
from serving.core.renewals import RENEWALS
from serving.failpoints import Failpoint, reach
from serving.ports import Clock, Observations, StateStore


class Leases:
    """Renews the lease of every family with a canary in force. Run it after a look at store and reports that succeeded."""

    def __init__(
        self, records: Records, store: StateStore, observations: Observations, lead: Standing, clock: Clock, policy: GuardPolicy
    ) -> None:
        self._records = records
        self._store = store
        self._observations = observations
        self._clock = clock
        self._lead = lead
        self._by_hand = policy.lease_seconds
        self._renewed: dict[str, float] = {}

    async def step(self, harmful: Collection[str]) -> None:
        """Renew what is due, except for harmful canaries and while no gateway reports. Raises `StoreUnavailable`."""
        wanted = {record.family: self._every(record) for record in self._records.snapshot.families.values() if record.canaries}
        self._renewed = {family: at for family, at in self._renewed.items() if family in wanted}
        if not self._observations.latest():
            return
        now = self._clock.monotonic()
        for family in sorted(wanted.keys() - set(harmful)):
            if self._lead.is_held and now - self._renewed.get(family, float("-inf")) >= wanted[family]:
                reach(Failpoint.LEASE_RENEWING)
                await self._store.beat(family)
                reach(Failpoint.LEASE_RENEWED)
                self._renewed[family] = now

    def _every(self, record: FamilyRecord) -> float:
        lease = self._by_hand if record.lease is None else record.lease.total_seconds()
        return lease / RENEWALS
