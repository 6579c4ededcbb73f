"""The changes that people and the controller make to families: decided by the core, committed by one compare-and-set.

Whoever repeats an operation id learns its first outcome. A rollback asks neither the registry nor what runs.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from registry_client.references import Tag
from registry_client.versions import ModelVersion
from serving.control.going_back import refuse_one_too_many
from serving.control.plans import RollbackPlan, no_plan, plan_of, statuses_of
from serving.control.publications import is_published, published
from serving.control.steps import MOVE, Steps, steps_of
from serving.core.changes import Change, ChangeFacts, ClearTag, Promote, Release, RollBack, SetCanary, SetShadow, SetTag, apply, way_back
from serving.core.consumers import ClearConsumer, ConsumersLeftBehind, SetConsumer, left_behind
from serving.core.drilling import BeginDrill, EndDrill, FailDrill
from serving.core.errors import InvalidRecord, StaleRevision, StoreUnavailable, UnknownFamilyRecord
from serving.core.lifecycle import Decided, FamilyRecord, differences
from serving.core.moving import Move, moved
from serving.core.refusals import OperationReused, ReasonMissing, WentBackAlready
from serving.core.rehearsing import BeginRehearsal, CatchRehearsal, EndRehearsal, MeasureRehearsal, PracticeChange
from serving.failpoints import reach
from serving.ports import Acks, Clock, Commit, FleetBoard, GatewayAck, LoadState, Mark, Registry, Snapshot, StateStore, Transition

ATTEMPTS = 100
"""How often a rollback tries again when others keep changing the family; each of them succeeded in the meantime."""

ROLLOUT_ACTION = "rollout "
"""How the audit's name of a rollout's step begins."""

LOOK_SECONDS = 0.005
"""Between two looks at who has acked; gateways poll four times as slowly."""


@dataclass(frozen=True, slots=True)
class Author:
    """Who asks for a change, why, and under which id; `signal` is the guard or tripwire, when not a person."""

    actor: str
    reason: str
    operation_id: str
    signal: str = ""
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Begun:
    """A record to change, and the mark of the snapshot that it was read from."""

    record: FamilyRecord
    seen: Mark


@dataclass(frozen=True, slots=True)
class Deed:
    """What the audit calls a change, and the failpoints on its way."""

    action: str
    steps: Steps


@dataclass(frozen=True, slots=True)
class Changed:
    """The outcome of a change. After a replay, `record` is the newest and `commit` the first outcome."""

    record: FamilyRecord
    commit: Commit
    action: str
    committed_at: datetime | None = None
    """When the store had it; None after a replay."""


Term = Callable[[], int]
"""Gives the fencing token of the term that this process leads in. Raises `NotLeader`."""


@dataclass(frozen=True, slots=True)
class Settled:
    """Which live gateways serve an epoch, and which not yet. With no live gateway, nobody serves anything older."""

    done: bool
    acked: tuple[GatewayAck, ...]
    waiting: tuple[str, ...]
    seconds: float


class Operations:
    """One method per change. Each raises `ChangeRefused`, `StaleRevision`, `UnknownFamilyRecord`, `InvalidRecord` or `StoreUnavailable`.

    A controller's have a `term`: they commit under its fencing token and raise `NotLeader` when it is over. People need none.
    """

    def __init__(
        self, store: StateStore, acks: Acks, board: FleetBoard, registry: Registry, clock: Clock, term: Term | None = None
    ) -> None:
        self._store = store
        self._acks = acks
        self._board = board
        self._registry = registry
        self._clock = clock
        self._term = term
        self._seen = Snapshot()
        """The newest that was read: a store that does not continue it is changed by nobody."""

    async def tag(
        self,
        family: str,
        version: ModelVersion,
        tag: Tag,
        author: Author,
        *,
        expected: int | None = None,
        sunset: datetime | None = None,
    ) -> Changed:
        """Put candidate, staging or deprecated on a version; `sunset` is when a deprecated one will stop to answer."""
        return await self._make(family, SetTag(version, "", tag, sunset), author, expected)

    async def untag(self, family: str, version: ModelVersion, tag: Tag, author: Author, *, expected: int | None = None) -> Changed:
        """Take a tag off a version."""
        return await self._make(family, ClearTag(version, tag), author, expected)

    async def canary(
        self, family: str, version: ModelVersion, weight: int, author: Author, *, expected: int | None = None, override: bool = False
    ) -> Changed:
        """Let a version answer `weight` basis points of the traffic; 0 ends it."""
        return await self._make(family, SetCanary(version, "", weight, override), author, expected)

    async def shadow(
        self, family: str, version: ModelVersion, weight: int, author: Author, *, expected: int | None = None, override: bool = False
    ) -> Changed:
        """Mirror `weight` basis points of the traffic to a version; 0 ends it."""
        return await self._make(family, SetShadow(version, "", weight, override), author, expected)

    async def promote(
        self, family: str, version: ModelVersion, author: Author, *, expected: int | None = None, override: bool = False
    ) -> Changed:
        """Put a version into production; the one that was there stays hot."""
        return await self._make(family, Promote(version, "", override), author, expected)

    async def consumer(self, family: str, change: SetConsumer | ClearConsumer, author: Author, *, expected: int | None = None) -> Changed:
        """Register somebody who calls the family, or do so no longer."""
        return await self._make(family, change, author, expected)

    async def release(self, family: str, version: ModelVersion, author: Author, *, expected: int | None = None) -> Changed:
        """Lift a version's quarantine, for a reason."""
        return await self._make(family, Release(version), author, expected)

    async def rollback(self, family: str, author: Author, *, to: ModelVersion | None = None, expected: int | None = None) -> Changed:
        """Drop the canaries or put an earlier production back. With `expected` None it pre-empts whatever else is going on.

        Raises `WentBackAlready` where that was done just now and neither a revision nor a version is named.
        """
        change = RollBack(to)
        first: FamilyRecord | None = None
        attempts = ATTEMPTS if expected is None else 1
        while True:
            attempts -= 1
            begun = await self._begin(family, str(change), author, expected)
            if isinstance(begun, Changed):
                return begun
            first = first or begun.record
            if expected is None:
                await refuse_one_too_many(self._store, begun.record, to, self._clock.now())
            _refuse_other_intent(first, begun.record, to)
            try:
                return await self._finish(
                    begun, change, ChangeFacts(self._decided(author), roles=author.roles, signal=author.signal), author
                )
            except StaleRevision:
                if not attempts:
                    raise

    async def move(
        self, family: str, phrase: str, decide: Callable[[FamilyRecord], Move], author: Author, *, expected: int | None = None
    ) -> Changed:
        """Take a rollout's step and all that follows from it. `decide` is asked once, of the record as it is, and may refuse."""
        action = ROLLOUT_ACTION + phrase
        begun = await self._begin(family, action, author, expected)
        if isinstance(begun, Changed):
            return begun
        move = decide(begun.record)
        record = replace(begun.record, digests={move.version: move.underway.rollout.digest, **begun.record.digests})
        facts = await self._ready(record, author)
        return await self._commit(begun, moved(begun.record, move, facts), Deed(action, MOVE), facts, author)

    async def drill(self, family: str, change: PracticeChange, author: Author) -> Changed:
        """Take one step of a drill or of a rehearsal."""
        return await self._make(family, change, author, None)

    async def read(self, family: str) -> FamilyRecord:
        """The family as it is, for whoever prepares a change of it."""
        return await self._record(await self._store.snapshot(), family)

    async def plan_rollback(self, family: str, *, to: ModelVersion | None = None) -> RollbackPlan:
        """What a rollback would do now, or why there is no way back."""
        record = await self._record(await self._store.snapshot(), family)
        plan = plan_of(record, await self._board.read(), to)
        try:
            await refuse_one_too_many(self._store, record, to, self._clock.now())
        except WentBackAlready as refused:
            return no_plan(record, refused)
        return plan

    async def settle(self, epoch: int, *, timeout: float) -> Settled:  # noqa: ASYNC109 - giving up is an answer here, not an error
        """Wait until every live gateway has acked the epoch, or for `timeout` seconds."""
        started = self._clock.monotonic()
        acks: tuple[GatewayAck, ...] = ()
        while True:
            is_known = True
            try:
                acks = tuple(await self._acks.acks())
            except StoreUnavailable:
                # The change is made; not being able to look is no reason to say that it was not.
                is_known = False
            waiting = tuple(ack.gateway for ack in acks if ack.epoch < epoch)
            seconds = self._clock.monotonic() - started
            done = is_known and not waiting
            if done or seconds >= timeout:
                return Settled(done, tuple(ack for ack in acks if ack.epoch >= epoch), waiting, seconds)
            await asyncio.sleep(LOOK_SECONDS)

    async def _make(self, family: str, change: Change, author: Author, expected: int | None) -> Changed:
        begun = await self._begin(family, str(change), author, expected)
        if isinstance(begun, Changed):
            return begun
        _refuse_unreasoned(family, change, author)
        _refuse_left_behind(begun.record, change)
        change = await self._with_digest(begun.record, change)
        return await self._finish(begun, change, await self._facts(begun.record, change, author), author)

    async def _begin(self, family: str, action: str, author: Author, expected: int | None) -> Begun | Changed:
        """The record to change, or the outcome if this very operation was carried out before. Raises `StoreWentBack`, among others."""
        replayed = await self._replayed(family, action, author)
        if replayed is not None:
            return replayed
        await self._look()
        # Not the polled one: in it, a record that cannot be believed is still the last good one.
        snapshot = await self._store.snapshot()
        record = await self._record(snapshot, family)
        if expected is not None and expected != record.revision:
            raise StaleRevision(family, expected=expected, actual=record.revision)
        return Begun(record, snapshot.mark)

    async def _finish(self, begun: Begun, change: Change, facts: ChangeFacts, author: Author) -> Changed:
        return await self._commit(begun, apply(begun.record, change, facts), Deed(str(change), steps_of(change)), facts, author)

    async def _commit(self, begun: Begun, changed: FamilyRecord, deed: Deed, facts: ChangeFacts, author: Author) -> Changed:
        record = begun.record
        before, after = differences(record, changed)
        reach(deed.steps.decided)
        commit = await self._store.commit(
            Transition(
                record=changed,
                expected_revision=record.revision,
                actor=author.actor,
                action=deed.action,
                reason=author.reason,
                before=before,
                after=after,
                operation_id=author.operation_id,
                at=facts.decided.at,
                seen=begun.seen,
                signal=author.signal,
                leader=None if self._term is None else self._term(),
            )
        )
        reach(deed.steps.committed)
        with suppress(StoreUnavailable):  # the change is made, whatever became of the store since
            await self._look()
        replayed = await self._replayed(record.family, deed.action, author) if commit.replayed else None
        return replayed or Changed(changed, commit, deed.action, self._clock.now())

    async def _look(self) -> None:
        """Note how far the store has come. Raises `StoreWentBack`."""
        self._seen = await self._store.poll(self._seen) or self._seen

    async def _replayed(self, family: str, action: str, author: Author) -> Changed | None:
        entry = await self._store.committed(author.operation_id)
        if entry is None:
            return None
        if (entry.family, entry.action) != (family, action):
            raise OperationReused(author.operation_id, done=f"{entry.family}: {entry.action}", asked=f"{family}: {action}")
        record = await self._record(await self._store.snapshot(), family)
        return Changed(record, Commit(entry.epoch, entry.revision, replayed=True), entry.action)

    async def _record(self, snapshot: Snapshot, family: str) -> FamilyRecord:
        if family in snapshot.invalid:
            raise InvalidRecord(family, snapshot.invalid[family])
        record = snapshot.families.get(family)
        if record is None and not await is_published(self._registry, family):
            raise UnknownFamilyRecord(family)
        return record or FamilyRecord(family)

    async def _with_digest(self, record: FamilyRecord, change: Change) -> Change:
        match change:
            case SetTag() | Promote():
                return replace(change, digest=await published(self._registry, record.family, change.version))
            case SetCanary() | SetShadow():
                if change.weight:
                    return replace(change, digest=await published(self._registry, record.family, change.version))
                # Ending something must work whatever the registry does.
                return replace(change, digest=record.digests.get(change.version, ""))
            case ClearTag() | RollBack() | Release() | BeginDrill() | EndDrill() | FailDrill() | SetConsumer() | ClearConsumer():
                return change
            case BeginRehearsal() | MeasureRehearsal() | CatchRehearsal() | EndRehearsal():
                return change

    async def _facts(self, record: FamilyRecord, change: Change, author: Author) -> ChangeFacts:
        if isinstance(change, SetTag | SetCanary | SetShadow | Promote):
            # A version that is new to the record is meant as the bytes that the change names.
            record = replace(record, digests={change.version: change.digest, **record.digests})
        return await self._ready(record, author)

    async def _ready(self, record: FamilyRecord, author: Author) -> ChangeFacts:
        statuses = statuses_of(record, await self._board.read())
        return ChangeFacts(
            self._decided(author),
            ready=frozenset(version for version, status in statuses.items() if status.state is LoadState.READY),
            states={version: f"{status.state.value} {status.detail}".strip() for version, status in statuses.items()},
            roles=author.roles,
            signal=author.signal,
        )

    def _decided(self, author: Author) -> Decided:
        return Decided(self._clock.now(), author.actor, author.reason)


def _refuse_other_intent(first: FamilyRecord, record: FamilyRecord, to: ModelVersion | None) -> None:
    """Refuse to go on when somebody else has already taken out what this rollback was asked to: it would undo one change too many."""
    meant, condemned = way_back(first, to).condemned, way_back(record, to).condemned
    if not set(meant) & set(condemned):
        raise StaleRevision(first.family, expected=first.revision, actual=record.revision)


def _refuse_left_behind(record: FamilyRecord, change: Change) -> None:
    """By hand only: whoever starts a rollout is asked then, and a rollback is never refused."""
    if isinstance(change, Promote) and not change.override:
        behind = left_behind(record.consumers, change.version)
        if behind:
            raise ConsumersLeftBehind(record.family, change.version, behind)


def _refuse_unreasoned(family: str, change: Change, author: Author) -> None:
    match change:
        case SetCanary(override=True) | SetShadow(override=True) | Promote(override=True) | Release():
            if not author.reason.strip():
                raise ReasonMissing(family, change.version)
        case _:
            return
