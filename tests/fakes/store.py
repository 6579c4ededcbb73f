"""The state store in memory. It passes the same contract suite as the real ones; a `FakeState` is the file, a `FakeStore` a connection."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from serving.core.errors import InvalidRecord, StaleRevision, StoreUnavailable
from serving.core.lifecycle import FamilyRecord
from serving.ports import AuditEntry, Clock, Commit, GatewayAck, LoadStatus, Snapshot, Transition
from serving.stores.encoding import record_from_document, record_to_document

LEASE_SECONDS = 5.0


@dataclass
class FakeState:
    """What all connections share, and the faults a test may inject."""

    epoch: int = 0
    documents: dict[str, bytes] = field(default_factory=dict[str, bytes])
    revisions: dict[str, int] = field(default_factory=dict[str, int])
    audit: list[AuditEntry] = field(default_factory=list[AuditEntry])
    beats: dict[str, int] = field(default_factory=dict[str, int])
    gateways: dict[str, GatewayAck] = field(default_factory=dict[str, GatewayAck])
    board: Sequence[LoadStatus] = ()
    down: str = ""
    """Why every call fails; empty while the store works."""
    answers_to_lose: int = 0
    """So many commits are written, and then reported as failed."""
    before_commit: list[Callable[[], Awaitable[Any]]] = field(default_factory=list[Callable[[], Awaitable[Any]]])
    """What slips in between a caller's read and its commit: the next commit is preceded by the first of these, and so on."""
    is_slipping_in: bool = False


class FakeStore:
    """The `StateStore`, `Acks` and `FleetBoard` over a `FakeState`."""

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
        return Snapshot(self.state.epoch, families, dict(self.state.beats), invalid)

    async def poll(self, seen: Snapshot) -> Snapshot | None:
        self._refuse_when_down()
        if (self.state.epoch, self.state.beats) == (seen.epoch, seen.beats):
            return None
        newer = await self.snapshot()
        kept = {family: seen.families[family] for family in newer.invalid if family in seen.families}
        return replace(newer, families={**newer.families, **kept})

    async def commit(self, transition: Transition) -> Commit:
        await self._slip_in()
        self._refuse_when_down()
        first = await self.committed(transition.operation_id)
        if first is not None:
            return Commit(first.epoch, first.revision, replayed=True)
        record = transition.record
        actual = self.state.revisions.get(record.family, 0)
        if actual != transition.expected_revision:
            raise StaleRevision(record.family, expected=transition.expected_revision, actual=actual)
        self._write(transition)
        if self.state.answers_to_lose:
            self.state.answers_to_lose -= 1
            msg = "the answer was lost"
            raise StoreUnavailable(msg)
        return Commit(self.state.epoch, record.revision)

    async def committed(self, operation_id: str) -> AuditEntry | None:
        self._refuse_when_down()
        return next((entry for entry in self.state.audit if entry.operation_id == operation_id), None)

    async def history(self, family: str | None, *, limit: int) -> Sequence[AuditEntry]:
        self._refuse_when_down()
        return [entry for entry in reversed(self.state.audit) if family in {None, entry.family}][:limit]

    async def beat(self, family: str) -> None:
        self._refuse_when_down()
        self.state.beats[family] = self.state.beats.get(family, 0) + 1

    async def ack(self, ack: GatewayAck) -> None:
        self._refuse_when_down()
        self.state.gateways[ack.gateway] = ack

    async def acks(self) -> Sequence[GatewayAck]:
        self._refuse_when_down()
        now = self._clock.now()
        known = sorted(self.state.gateways.values(), key=lambda ack: ack.gateway)
        return [ack for ack in known if abs((now - ack.seen_at).total_seconds()) <= LEASE_SECONDS]

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

    def _write(self, transition: Transition) -> None:
        record = transition.record
        self.state.epoch += 1
        self.state.documents[record.family] = record_to_document(record)
        self.state.revisions[record.family] = record.revision
        self.state.audit.append(
            AuditEntry(
                epoch=self.state.epoch,
                family=record.family,
                revision=record.revision,
                at=transition.at,
                actor=transition.actor,
                action=transition.action,
                reason=transition.reason,
                before=transition.before,
                after=transition.after,
                operation_id=transition.operation_id,
                signal=transition.signal,
            )
        )

    def _refuse_when_down(self) -> None:
        if self.state.down:
            raise StoreUnavailable(self.state.down)
