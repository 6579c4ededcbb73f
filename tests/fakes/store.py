"""The state store in memory. It passes the same contract suite as the real ones; a `FakeState` is the file, a `FakeStore` a connection."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from serving.core.audit import BEGINNING, RESEED, AuditEntry, Mark
from serving.core.errors import InvalidRecord, NotLeader, StaleRevision, StoreUnavailable
from serving.core.lifecycle import FamilyRecord
from serving.ports import Clock, Commit, GatewayAck, Leader, LoadStatus, PastRecord, Reseed, Snapshot, Transition
from serving.stores.chain import entry_of, past_record, refuse_other_history, reseeded
from serving.stores.encoding import record_from_document, record_to_document

LEASE_SECONDS = 5.0
FORGOTTEN_SECONDS = 600.0


@dataclass
class FakeState:
    """What all connections share, and the faults a test may inject."""

    mark: Mark = BEGINNING
    documents: dict[str, bytes] = field(default_factory=dict[str, bytes])
    revisions: dict[str, int] = field(default_factory=dict[str, int])
    audit: list[AuditEntry] = field(default_factory=list[AuditEntry])
    beats: dict[str, int] = field(default_factory=dict[str, int])
    gateways: dict[str, GatewayAck] = field(default_factory=dict[str, GatewayAck])
    board: Sequence[LoadStatus] = ()
    leader: tuple[str, int, float] = ("", 0, float("-inf"))
    """Holder, token, and when the lease ends."""
    written: asyncio.Condition = field(default_factory=asyncio.Condition)
    down: str = ""
    """Why every call fails; empty while the store works."""
    answers_to_lose: int = 0
    """So many commits are written, and then reported as failed."""
    before_commit: list[Callable[[], Awaitable[Any]]] = field(default_factory=list[Callable[[], Awaitable[Any]]])
    """What slips in between a caller's read and its commit: the next commit is preceded by the first of these, and so on."""
    is_slipping_in: bool = False

    def go_back_to(self, past: "FakeState") -> None:
        """Hold what another state holds: a restored backup."""
        self.mark, self.audit = past.mark, list(past.audit)
        self.documents.clear()
        self.documents.update(past.documents)
        self.revisions = dict(past.revisions)

    def copy(self) -> "FakeState":
        """A backup."""
        made = FakeState()
        made.go_back_to(self)
        return made


class FakeStore:
    """The `StateStore`, `Acks`, `Leadership` and `FleetBoard` over a `FakeState`."""

    def __init__(self, clock: Clock, state: FakeState | None = None) -> None:
        self.state = FakeState() if state is None else state
        self._clock = clock

    async def close(self) -> None:
        pass

    async def snapshot(self) -> Snapshot:
        self._refuse_when_down()
        families: dict[str, FamilyRecord] = {}
        invalid: dict[str, str] = {}
        for family, document in sorted(self.state.documents.items()):
            try:
                families[family] = record_from_document(family, document)
            except InvalidRecord as error:
                invalid[family] = error.reason
        mark, beats = self.state.mark, dict(self.state.beats)
        return Snapshot(fence=mark.fence, epoch=mark.epoch, head=mark.head, families=families, beats=beats, invalid=invalid)

    async def poll(self, seen: Snapshot) -> Snapshot | None:
        self._refuse_when_down()
        if (self.state.mark, self.state.beats) == (seen.mark, seen.beats):
            return None
        if self.state.mark.fence <= seen.fence:
            refuse_other_history(seen.mark, self.state.mark, self._hash_at)
        newer = await self.snapshot()
        kept = {family: seen.families[family] for family in newer.invalid if family in seen.families}
        return replace(newer, families={**newer.families, **kept})

    async def changed(self, seen: Snapshot, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), self.state.written:
                await self.state.written.wait_for(lambda: not self.state.down and self.state.mark > seen.mark)

    async def commit(self, transition: Transition) -> Commit:
        await self._slip_in()
        self._refuse_when_down()
        first = await self.committed(transition.operation_id)
        if first is not None:
            return Commit(first.epoch, first.revision, replayed=True)
        refuse_other_history(transition.seen, self.state.mark, self._hash_at)
        if transition.leader is not None and transition.leader != self.state.leader[1]:
            raise NotLeader(transition.leader)
        record = transition.record
        actual = self.state.revisions.get(record.family, 0)
        if actual != transition.expected_revision:
            raise StaleRevision(record.family, expected=transition.expected_revision, actual=actual)
        entry = entry_of(transition, self.state.mark)
        self.state.documents[record.family] = entry.record
        self.state.revisions[record.family] = record.revision
        await self._write(entry)
        return Commit(entry.epoch, record.revision)

    async def committed(self, operation_id: str) -> AuditEntry | None:
        self._refuse_when_down()
        return next((entry for entry in self.state.audit if entry.operation_id == operation_id), None)

    async def reseed(self, reseed: Reseed) -> Commit:
        self._refuse_when_down()
        first = await self.committed(reseed.operation_id)
        if first is not None:
            return Commit(first.epoch, first.revision, replayed=True)
        entry, records = reseeded(reseed, self.state.mark, self.state.documents)
        self.state.documents.update({family: record_to_document(record) for family, record in records.items()})
        self.state.revisions = {family: record.revision for family, record in records.items()}
        await self._write(entry)
        return Commit(entry.epoch, entry.revision)

    async def history(self, family: str | None, *, limit: int) -> Sequence[AuditEntry]:
        self._refuse_when_down()
        return [entry for entry in reversed(self.state.audit) if family is None or entry.family in {family, ""}][:limit]

    async def entries(self, *, after: int = 0, limit: int) -> Sequence[AuditEntry]:
        self._refuse_when_down()
        return [entry for entry in self.state.audit if entry.epoch > after][:limit]

    async def record_at(self, family: str, at: datetime) -> PastRecord | None:
        self._refuse_when_down()
        past = (entry for entry in reversed(self.state.audit) if entry.at <= at and (entry.family == family or entry.action == RESEED))
        newest = next(past, None)
        return None if newest is None else past_record(family, newest)

    async def beat(self, family: str) -> None:
        self._refuse_when_down()
        self.state.beats[family] = self.state.beats.get(family, 0) + 1

    async def lead(self, holder: str, seconds: float) -> int | None:
        self._refuse_when_down()
        leader, token, until = self.state.leader
        now = self._clock.monotonic()
        if leader != holder and now < until:
            return None
        token = token if leader == holder else token + 1
        self.state.leader = (holder, token, now + seconds)
        return token

    async def resign(self, holder: str) -> None:
        self._refuse_when_down()
        leader, token, _ = self.state.leader
        if leader == holder:
            self.state.leader = ("", token, float("-inf"))

    async def leader(self) -> Leader | None:
        self._refuse_when_down()
        holder, token, until = self.state.leader
        left = until - self._clock.monotonic()
        return Leader(holder, token, self._clock.now() + timedelta(seconds=left)) if holder and left > 0 else None

    async def ack(self, ack: GatewayAck) -> None:
        self._refuse_when_down()
        self.state.gateways[ack.gateway] = ack

    async def acks(self) -> Sequence[GatewayAck]:
        return self._gateways(lapsed=False)

    async def lapsed_gateways(self) -> Sequence[GatewayAck]:
        return self._gateways(lapsed=True)

    async def leave(self, gateway: str) -> None:
        self._refuse_when_down()
        self.state.gateways.pop(gateway, None)

    async def post(self, states: Sequence[LoadStatus]) -> None:
        self._refuse_when_down()
        self.state.board = tuple(states)

    async def read(self) -> Sequence[LoadStatus]:
        self._refuse_when_down()
        return self.state.board

    async def _slip_in(self) -> None:
        if self.state.before_commit and not self.state.is_slipping_in:
            self.state.is_slipping_in = True
            try:
                await self.state.before_commit.pop(0)()
            finally:
                self.state.is_slipping_in = False

    async def _write(self, entry: AuditEntry) -> None:
        self.state.audit.append(entry)
        self.state.mark = entry.mark
        async with self.state.written:
            self.state.written.notify_all()
        if self.state.answers_to_lose:
            self.state.answers_to_lose -= 1
            msg = "the answer was lost"
            raise StoreUnavailable(msg)

    def _gateways(self, *, lapsed: bool) -> Sequence[GatewayAck]:
        self._refuse_when_down()
        now = self._clock.now()
        silent = {name: abs((now - ack.seen_at).total_seconds()) for name, ack in sorted(self.state.gateways.items())}
        return [
            replace(self.state.gateways[name], lapsed=lapsed)
            for name, seconds in silent.items()
            if seconds <= FORGOTTEN_SECONDS and (seconds > LEASE_SECONDS) == lapsed
        ]

    def _hash_at(self, epoch: int) -> str | None:
        return next((entry.hash for entry in self.state.audit if entry.epoch == epoch), None)

    def _refuse_when_down(self) -> None:
        if self.state.down:
            raise StoreUnavailable(self.state.down)
