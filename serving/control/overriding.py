"""Writing overrides to the store as soon as it can be written to: once each, under the override's own operation id.

An override whose condemned versions are no longer routed changes nothing, and the audit says so: none is ever dropped in silence.
"""

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog

from serving.core.changes import ChangeFacts, apply
from serving.core.errors import InvalidRecord, PointsmanError, StaleRevision, StoreUnavailable
from serving.core.lifecycle import FamilyRecord, differences
from serving.core.overrides import SIGNAL, Clearing, Ending, Override, Settlement, remedy
from serving.core.refusals import NothingToRollBack
from serving.failpoints import Failpoint, reach
from serving.ports import AuditEntry, Clock, Kept, Overrides, Snapshot, Snapshots, StateStore, Transition

log = structlog.get_logger()

LIES_FOR = timedelta(seconds=1)
"""How long an override lies before it is put away, written or not. Every gateway looks ten times as often, so by then each has read it:
also one whose own connection to the store hangs, and which would not hear of it otherwise."""

ATTEMPTS = 100
"""How often a commit is tried again when others keep changing the family; each of them succeeded in the meantime."""


@dataclass(frozen=True, slots=True)
class _Deed:
    """What becomes of an override: how it ends, the record that says so, and the words for the audit."""

    ending: Ending
    record: FamilyRecord
    action: str


class Reconciliation:
    """One step writes every override that lies on this node.

    An override is a person's decision, so whoever serves on the node may write it, leader or not; several at once do it once.
    """

    def __init__(self, overrides: Overrides, store: StateStore, snapshots: Snapshots, clock: Clock) -> None:
        self._overrides = overrides
        self._store = store
        self._snapshots = snapshots
        self._clock = clock
        self._stamp = -1
        self._trouble: dict[str, str] = {}

    async def step(self) -> None:
        """Look once. Raises `StoreUnavailable`; what could not be written is tried again with the next step."""
        stamp = self._overrides.stamp()
        if stamp == self._stamp:
            return
        placed = await asyncio.to_thread(self._overrides.read)
        left = 0
        for override in sorted(placed.standing, key=lambda each: (each.at, each.operation_id)):
            try:
                left += not await self._reconcile(override, placed.clearings.get(override.operation_id))
            except StoreUnavailable:
                raise
            except PointsmanError as error:
                left += 1
                if self._trouble.get(override.operation_id) != str(error):
                    log.exception("override_not_reconciled", override=override.operation_id, why=str(error))
                self._trouble[override.operation_id] = str(error)
        await self._tidy(set(placed.clearings) - {override.operation_id for override in placed.standing})
        if not left:
            # What was settled here has changed the stamp once more, which costs one look that finds nothing.
            self._stamp = stamp

    async def _tidy(self, orphans: set[str]) -> None:
        """Put away what came too late to take back an override that had ended."""
        for operation_id in sorted(orphans):
            settlement = await asyncio.to_thread(self._overrides.settlement, operation_id)
            if settlement is not None:
                log.warning("override_cleared_too_late", override=operation_id, ending=settlement.ending.value)
                await asyncio.to_thread(self._overrides.settle, operation_id, settlement)

    async def _reconcile(self, override: Override, clearing: Clearing | None) -> bool:
        """Write an override; say whether it was put away too."""
        reach(Failpoint.OVERRIDE_RECONCILING)
        entry = await self._store.committed(override.operation_id)
        if entry is None:
            await self._write(override, clearing)
            entry = await self._store.committed(override.operation_id)
        reach(Failpoint.OVERRIDE_COMMITTED)
        if timedelta() <= self._clock.now() - override.at < LIES_FOR:
            return False
        if entry is None:
            settlement = Settlement(Ending.SUPERSEDED, 1, 0)
            log.error("override_family_gone", override=override.operation_id, does=str(override), by=override.actor, why=override.reason)
        else:
            settlement = Settlement(_ending(entry), entry.fence, entry.epoch)
            # Before the file is put away, what says the same as it is kept on the node: a gateway may start in between.
            await asyncio.to_thread(self._snapshots.keep, Kept(await self._store.snapshot(), await self._endpoints()))
        await asyncio.to_thread(self._overrides.settle, override.operation_id, settlement)
        log.warning("override_reconciled", override=override.operation_id, does=str(override), ending=settlement.ending.value)
        return True

    async def _endpoints(self) -> dict[str, tuple[str, ...]]:
        kept = await asyncio.to_thread(self._snapshots.load)
        return {} if kept is None else dict(kept.endpoints)

    async def _write(self, override: Override, clearing: Clearing | None) -> None:
        attempts = ATTEMPTS
        while True:
            attempts -= 1
            snapshot = await self._store.snapshot()
            record = _record(snapshot, override.family)
            if record is None:
                return
            try:
                await self._store.commit(self._transition(snapshot, record, _deed(record, override, clearing), override, clearing))
            except StaleRevision:
                if not attempts:
                    raise
            else:
                return

    @staticmethod
    def _transition(snapshot: Snapshot, record: FamilyRecord, deed: _Deed, override: Override, clearing: Clearing | None) -> Transition:
        before, after = differences(record, deed.record)
        told = clearing or override
        return Transition(
            record=deed.record,
            expected_revision=record.revision,
            actor=told.actor,
            action=deed.action,
            reason=told.reason,
            before=before,
            after=after,
            operation_id=override.operation_id,
            at=told.at,
            seen=snapshot.mark,
            signal=SIGNAL,
        )


def _record(snapshot: Snapshot, family: str) -> FamilyRecord | None:
    if family in snapshot.invalid:
        raise InvalidRecord(family, snapshot.invalid[family])
    return snapshot.families.get(family)


def _deed(record: FamilyRecord, override: Override, clearing: Clearing | None) -> _Deed:
    if clearing is not None:
        return _noted(record, override, Ending.CLEARED)
    try:
        change = remedy(record, override)
    except NothingToRollBack:
        return _noted(record, override, Ending.IMPOSSIBLE)
    if change is None:
        return _noted(record, override, Ending.SUPERSEDED)
    return _Deed(Ending.RECONCILED, apply(record, change, ChangeFacts(override.decided)), str(change))


def _noted(record: FamilyRecord, override: Override, ending: Ending) -> _Deed:
    """A change of nothing but the revision: the audit is where it is looked for."""
    return _Deed(ending, replace(record, revision=record.revision + 1), f"{SIGNAL} {ending.value}: {override}")


def _ending(entry: AuditEntry) -> Ending:
    return next((ending for ending in Ending if entry.action.startswith(f"{SIGNAL} {ending.value}: ")), Ending.RECONCILED)
