"""One client that flips routes as fast as it can and writes down everything it does and sees, for the checker to judge."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Protocol

from registry_client.versions import ModelVersion
from serving.core.errors import StaleRevision, StoreUnavailable, StoreWentBack
from serving.core.lifecycle import Decided, FamilyRecord
from serving.ports import AuditEntry, Commit, Snapshot, Transition
from tests.tools.register import Content, Entry, Flip, Lookup, Outcome, Read

VERSIONS = tuple(ModelVersion.parse(text) for text in ("1.0.0", "1.1.0", "2.0.0"))
DIGESTS = {version: f"{index:064x}" for index, version in enumerate(VERSIONS, start=1)}
GIVEN_UP_S = 60.0
"""A change that has had no answer for so long is left with an unknown outcome."""

POLLED = 0.5
"""The share of reads that poll, as gateways do; the others read everything."""

PAGE = 1000
PAUSE_S = 0.01
"""Between two tries to reach a store that does not answer."""


class Register(Protocol):
    """What a flipping client needs of a `StateStore`."""

    async def snapshot(self) -> Snapshot: ...
    async def poll(self, seen: Snapshot) -> Snapshot | None: ...
    async def commit(self, transition: Transition) -> Commit: ...
    async def committed(self, operation_id: str) -> AuditEntry | None: ...
    async def entries(self, *, after: int = 0, limit: int) -> Sequence[AuditEntry]: ...


Event = Flip | Read | Lookup
"""A flip is noted when it begins, its outcome unknown, and again when it is settled: the later note counts."""


@dataclass(slots=True)
class Flipper:
    """Reads, decides, commits; asks again with the same operation id while it has no answer. `note` takes every event.

    Raises `StoreWentBack`: no mishap of a storm loses what was acknowledged, so no store may say that it did.
    """

    name: str
    store: Register
    families: Sequence[str]
    dice: Random
    note: Callable[[Event], None]
    flips: int = field(default=0, init=False)
    """Changes made, the replayed ones included."""
    tries: int = field(default=0, init=False)
    seen: Snapshot = field(default_factory=Snapshot, init=False)

    async def flip(self) -> None:
        """Make one change, or find out that it cannot be made."""
        snapshot = await self._look()
        if snapshot is None:
            await asyncio.sleep(PAUSE_S)
            return
        self.tries += 1
        operation = f"{self.name}-{self.tries}"
        transition = transition_of(snapshot, self.dice.choice(self.families), self.dice.choice(VERSIONS), operation)
        began = Flip(operation, transition.record.family, transition.expected_revision, value_of(transition.record), time.monotonic())
        self.note(began)
        await self._settle(transition, began)

    async def _look(self) -> Snapshot | None:
        began = time.monotonic()
        try:
            # What nobody has changed since, a poll does not give again: that too is a read, of what was seen.
            read = await (self.store.poll(self.seen) if self.dice.random() < POLLED else self.store.snapshot())
        except StoreWentBack:
            raise
        except StoreUnavailable:
            return None
        self.seen = snapshot = read or self.seen
        self.note(Read(began, time.monotonic(), snapshot.epoch, content_of(snapshot), snapshot.fence, snapshot.head))
        return snapshot

    async def _settle(self, transition: Transition, began: Flip) -> None:
        while time.monotonic() - began.began < GIVEN_UP_S:
            try:
                commit = await self.store.commit(transition)
            except StaleRevision as stale:
                self._end(began, Outcome.REFUSED, 0, stale.actual)
                return
            except StoreWentBack:
                raise
            except StoreUnavailable:
                await asyncio.sleep(PAUSE_S)
                await self._ask_what_became_of(transition.operation_id)
                continue
            self.flips += 1
            self._end(began, Outcome.COMMITTED, commit.epoch, commit.revision)
            return

    async def _ask_what_became_of(self, operation: str) -> None:
        """Look the operation up, and ask again all the same: both answers must tell the same story."""
        began = time.monotonic()
        try:
            entry = await self.store.committed(operation)
        except StoreUnavailable:
            return
        self.note(Lookup(operation, began, time.monotonic(), None if entry is None else entry.epoch))

    def _end(self, began: Flip, outcome: Outcome, epoch: int, revision: int) -> None:
        ended = time.monotonic()
        self.note(Flip(began.operation, began.family, began.expected, began.value, began.began, ended, outcome, epoch, revision))


def transition_of(snapshot: Snapshot, family: str, production: ModelVersion, operation: str) -> Transition:
    """Put a version into production, decided on what the snapshot says. The record itself names the operation that made it."""
    now = datetime.now(UTC)
    held = snapshot.families.get(family)
    revision = 0 if held is None else held.revision
    record = FamilyRecord(family, revision + 1, DIGESTS, production, Decided(now, "chaos", operation))
    return Transition(
        record=record,
        expected_revision=revision,
        actor="chaos",
        action=f"promote {production}",
        reason=operation,
        before={"value": None if held is None else value_of(held)},
        after={"value": value_of(record)},
        operation_id=operation,
        at=now,
        seen=snapshot.mark,
    )


def value_of(record: FamilyRecord) -> str:
    """What a flip writes: unlike any other flip's."""
    return f"{record.production} by {'nobody' if record.production_decided is None else record.production_decided.reason}"


def content_of(snapshot: Snapshot) -> Content:
    """What a read has seen."""
    return {family: (record.revision, value_of(record)) for family, record in snapshot.families.items()}


def entry_of(entry: AuditEntry) -> Entry:
    """An entry of the audit as the checker wants it."""
    return Entry(entry.epoch, entry.family, entry.revision, entry.operation_id, str(entry.after["value"]))


async def audit_of(store: Register) -> list[AuditEntry]:
    """The whole audit, oldest entry first."""
    audit: list[AuditEntry] = []
    while page := await store.entries(after=audit[-1].epoch if audit else 0, limit=PAGE):
        audit.extend(page)
    return audit
