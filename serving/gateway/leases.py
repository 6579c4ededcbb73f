"""The canaries' weights as leases: each holds for as long as the controller renews it, and lapses to production when nobody does."""

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from serving.core.lifecycle import FamilyRecord
from serving.ports import Snapshot

log = structlog.get_logger()

NEVER = float("-inf")


@dataclass(slots=True)
class Renewal:
    """The last sign of life of a family's canary lease, and when this gateway saw it (monotonic seconds)."""

    sign: tuple[int, int]
    seen: float


class CanaryLeases:
    """What this gateway has seen of every lease. `seconds`: how long a weight outlives its last renewal, where no rollout says it."""

    def __init__(self, monotonic: Callable[[], float], seconds: float) -> None:
        self._monotonic = monotonic
        self._seconds = seconds
        self._renewals: dict[str, Renewal] = {}
        self.lapsed: frozenset[str] = frozenset()
        """The families whose canaries weigh nothing, as of the last look."""

    def see(self, snapshot: Snapshot) -> None:
        """Note what a snapshot that was just read says."""
        now = self._monotonic()
        for family, record in snapshot.families.items():
            sign = (record.revision, snapshot.beats.get(family, 0))
            renewal = self._renewals.get(family)
            if renewal is None or renewal.sign != sign:
                self._renewals[family] = Renewal(sign, now)

    def look(self, snapshot: Snapshot) -> bool:
        """Find the canaries whose lease has run out, or was never seen; say whether they are others than before."""
        now = self._monotonic()
        lapsed = frozenset(
            family for family, record in snapshot.families.items() if record.canaries and now - self._seen(family) > self._length(record)
        )
        changed, self.lapsed = lapsed != self.lapsed, lapsed
        if changed:
            log.warning("canary_leases", lapsed=sorted(lapsed))
        return changed

    def _length(self, record: FamilyRecord) -> float:
        return self._seconds if record.lease is None else record.lease.total_seconds()

    def _seen(self, family: str) -> float:
        renewal = self._renewals.get(family)
        return NEVER if renewal is None else renewal.seen
