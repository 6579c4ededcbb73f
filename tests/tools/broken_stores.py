"""State stores with one seeded bug each. They exist to be caught: a checker that lets one of them pass checks nothing.

Each wraps a sound store and betrays one promise of the port, now and then, the way a real store was seen to do it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random

from serving.core.errors import StaleRevision, StoreUnavailable
from serving.ports import AuditEntry, Commit, Snapshot, Transition
from tests.tools.flipping import Register


@dataclass
class Passing:
    """No bug: passes everything on. Broken ones override what they break; `dice` decide when."""

    sound: Register
    dice: Random
    share: float = 0.1
    """How often it does what it does."""

    async def snapshot(self) -> Snapshot:
        return await self.sound.snapshot()

    async def poll(self, seen: Snapshot) -> Snapshot | None:
        return await self.sound.poll(seen)

    async def commit(self, transition: Transition) -> Commit:
        return await self.sound.commit(transition)

    async def committed(self, operation_id: str) -> AuditEntry | None:
        return await self.sound.committed(operation_id)

    async def entries(self, *, after: int = 0, limit: int) -> Sequence[AuditEntry]:
        return await self.sound.entries(after=after, limit=limit)

    def _now_and_then(self) -> bool:
        return self.dice.random() < self.share


class LosesAnswers(Passing):
    """No bug either: a network that loses answers of commits, before or after they were carried out. Callers must ask again."""

    async def commit(self, transition: Transition) -> Commit:
        if self._now_and_then():
            msg = "the request was lost"
            raise StoreUnavailable(msg)
        commit = await self.sound.commit(transition)
        if self._now_and_then():
            msg = "the answer was lost"
            raise StoreUnavailable(msg)
        return commit


class IgnoresRevisions(Passing):
    """The lost update: writes whatever it is asked to, on top of changes that the client has not seen."""

    async def commit(self, transition: Transition) -> Commit:
        try:
            return await self.sound.commit(transition)
        except StaleRevision as stale:
            return await self.commit(_decided_on(transition, stale.actual))


@dataclass
class ForgetsOperations(Passing):
    """Knows no operation ids: the retry of a lost answer is a change like any other, and is refused for the client's own."""

    sent: int = 0

    async def commit(self, transition: Transition) -> Commit:
        self.sent += 1
        return await self.sound.commit(replace(transition, operation_id=f"{transition.operation_id}#{self.sent}"))

    async def committed(self, operation_id: str) -> AuditEntry | None:
        return next((entry for entry in await self.entries(limit=10_000) if entry.operation_id == operation_id), None)

    async def entries(self, *, after: int = 0, limit: int) -> Sequence[AuditEntry]:
        entries = await self.sound.entries(after=after, limit=limit)
        return [replace(entry, operation_id=entry.operation_id.partition("#")[0]) for entry in entries]


class AppliesRetriesAgain(ForgetsOperations):
    """Carries out every retry: a client library that retries a write whose reply was lost."""

    async def commit(self, transition: Transition) -> Commit:
        try:
            return await super().commit(transition)
        except StaleRevision as stale:
            if await self.committed(transition.operation_id) is None:
                raise
            return await super().commit(_decided_on(transition, stale.actual))


class LosesAcknowledged(Passing):
    """Acknowledges a change that is never written: Redis without AOF, killed."""

    async def commit(self, transition: Transition) -> Commit:
        if self._now_and_then():
            return Commit((await self.sound.snapshot()).epoch + 1, transition.record.revision)
        return await self.sound.commit(transition)


@dataclass
class ReadsStale(Passing):
    """Reads from a replica that lags behind."""

    lagging: Snapshot | None = None

    async def snapshot(self) -> Snapshot:
        if self.lagging is None or not self._now_and_then():
            self.lagging = await self.sound.snapshot()
        return self.lagging

    async def poll(self, seen: Snapshot) -> Snapshot | None:  # noqa: ARG002 - it does not care, that is the bug
        return await self.snapshot()


@dataclass
class TearsReads(Passing):
    """Reads the families one after the other: one of them is older than the epoch that it comes with."""

    older: Snapshot = field(default_factory=Snapshot)

    async def snapshot(self) -> Snapshot:
        newest, older = await self.sound.snapshot(), self.older
        self.older = newest
        if not older.families or not self._now_and_then():
            return newest
        family = self.dice.choice(sorted(older.families))
        return replace(newest, families={**newest.families, family: older.families[family]})

    async def poll(self, seen: Snapshot) -> Snapshot | None:  # noqa: ARG002 - it does not care, that is the bug
        return await self.snapshot()


@dataclass
class GoesBack(Passing):
    """Loses its newest changes and goes on, giving their revisions and epochs out again: a restored backup that nobody noticed."""

    backup: Register | None = None
    backed_up: int = 20
    restored_at: int = 40

    async def poll(self, seen: Snapshot) -> Snapshot | None:  # noqa: ARG002 - it does not care, that is the bug
        return await self.sound.snapshot()

    async def commit(self, transition: Transition) -> Commit:
        commit = await self.sound.commit(replace(transition, seen=(await self.sound.snapshot()).mark))
        if self.backup is not None and commit.epoch <= self.backed_up:
            await self.backup.commit(replace(transition, seen=(await self.backup.snapshot()).mark))
        if self.backup is not None and commit.epoch == self.restored_at:
            self.sound, self.backup = self.backup, None
        return commit


class SkipsAudit(Passing):
    """Carries out changes that leave no entry in the audit."""

    async def entries(self, *, after: int = 0, limit: int) -> Sequence[AuditEntry]:
        return [entry for entry in await self.sound.entries(after=after, limit=limit) if entry.epoch % 10]


class RefusesWithoutReason(Passing):
    """Refuses a change for the very revision that it was decided on."""

    async def commit(self, transition: Transition) -> Commit:
        if self._now_and_then():
            raise StaleRevision(transition.record.family, expected=transition.expected_revision, actual=transition.expected_revision)
        return await self.sound.commit(transition)


def _decided_on(transition: Transition, revision: int) -> Transition:
    return replace(transition, record=replace(transition.record, revision=revision + 1), expected_revision=revision)
