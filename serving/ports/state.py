"""The small transactional store: families, their audit, who serves which epoch, and who leads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from serving.core.audit import GENESIS, AuditEntry, Mark
from serving.core.heads import SignedHead
from serving.core.lifecycle import FamilyRecord
from serving.core.routing import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One change to commit: the record as it shall be, whom to name for it, and what it was decided on."""

    record: FamilyRecord
    expected_revision: int
    actor: str
    action: str
    reason: str
    before: Mapping[str, object]
    after: Mapping[str, object]
    operation_id: str
    at: datetime
    seen: Mark
    """The mark of the snapshot that it was decided on: a store that does not continue it refuses the change."""
    signal: str = ""
    leader: int | None = None
    """The fencing token of the controller that decided; None for people, who need no lease."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reseed:
    """What an operator declares that a store goes on from: all families at once, whatever the store held or had lost."""

    families: Mapping[str, FamilyRecord]
    seen: Mark
    """How far the store was seen to have come before it went back."""
    actor: str
    reason: str
    operation_id: str
    at: datetime
    signal: str = ""


@dataclass(frozen=True, slots=True)
class Commit:
    """The outcome of a transition; `replayed` when the operation id had already been committed."""

    epoch: int
    revision: int
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All families at one epoch. `Snapshot()` is what nobody has read yet, at epoch -1."""

    fence: int = 1
    epoch: int = -1
    head: str = GENESIS
    families: Mapping[str, FamilyRecord] = field(default_factory=dict[str, FamilyRecord])
    beats: Mapping[str, int] = field(default_factory=dict[str, int])
    """The renewals of each family's canary lease, counted."""
    invalid: Mapping[str, str] = field(default_factory=dict[str, str])
    """Families whose stored record cannot be believed, and why; `families` has their last good record, or none."""

    @property
    def mark(self) -> Mark:
        """How far the store had come."""
        return Mark(self.fence, self.epoch, self.head)


@dataclass(frozen=True, slots=True)
class PastRecord:
    """A family as it was at some time, and the audit entry that made it so."""

    record: FamilyRecord
    entry: AuditEntry


class StateStore(Protocol):
    """The store proper. Every method but `changed` raises `StoreUnavailable` when the store cannot answer."""

    async def snapshot(self) -> Snapshot:
        """All families, read in one transaction, whatever was seen before."""
        ...

    async def poll(self, seen: Snapshot) -> Snapshot | None:
        """The newer snapshot if epoch or beats moved on since `seen`, else None; cheap enough to call every 40 ms.

        A family whose stored record is invalid keeps the record it has in `seen`. Raises `StoreWentBack` when the store is not a
        continuation of `seen`; one that was re-seeded since is.
        """
        ...

    async def changed(self, seen: Snapshot, seconds: float) -> None:
        """Return when something newer than `seen` may be there, at the latest after `seconds`.

        A hint: it may be lost and it may be wrong, so poll after it. Never raises for a store that cannot answer: it waits.
        """
        ...

    async def commit(self, transition: Transition) -> Commit:
        """Write record, audit entry and epoch + 1 in one transaction.

        Looked at first, in this order: an operation id that was committed before gives its first outcome again; a store that does
        not continue `seen` raises `StoreWentBack`, re-seeded or not; a fencing token that is not the newest raises `NotLeader`;
        another revision raises `StaleRevision`; a record that would not be read back as it is raises `InvalidRecord`. Nothing is
        written then. `StoreUnavailable` alone leaves open whether it was written: `committed` tells.
        """
        ...

    async def committed(self, operation_id: str) -> AuditEntry | None:
        """The entry that an operation id left, if it was committed: how a caller learns what became of a lost answer."""
        ...

    async def reseed(self, reseed: Reseed) -> Commit:
        """Make the store hold exactly these families, emptying all others, and go on from there. For operators alone.

        Fence and epoch become one more than the highest of what was seen and what the store holds; the epoch also becomes every
        family's revision, so that no revision either history ever had comes again. One audit entry (`RESEED`) says it, chained to
        both. Raises `InvalidRecord`. An operation id that was committed before gives its first outcome again.
        """
        ...

    async def history(self, family: str | None, *, limit: int) -> Sequence[AuditEntry]:
        """The newest entries first, of one family (re-seeds included) or of all."""
        ...

    async def entries(self, *, after: int = 0, limit: int) -> Sequence[AuditEntry]:
        """The audit from the first entry beyond epoch `after` on, oldest first: for verifying and exporting all of it."""
        ...

    async def record_at(self, family: str, at: datetime) -> PastRecord | None:
        """The family as its newest change not younger than `at` left it; None when there was none yet, or it was not kept whole.

        Raises `InvalidRecord` when what was kept cannot be believed.
        """
        ...

    async def beat(self, family: str) -> None:
        """Renew the family's canary lease; changes no record and no epoch."""
        ...


@dataclass(frozen=True, slots=True)
class Leader:
    """The controller that holds the lease, under which fencing token, and until when unless it renews it."""

    holder: str
    token: int
    until: datetime


class HeadSigner(Protocol):
    """Whoever holds the key that the heads of the audit are signed with."""

    @property
    def public_key(self) -> str:
        """What to check signatures with, hexadecimal."""
        ...

    def sign(self, message: bytes) -> str:
        """The signature, hexadecimal."""
        ...

    def has_signed(self, head: SignedHead) -> bool:
        """Whether it is this very key that signed a head."""
        ...


class HeadLog(Protocol):
    """Where signed heads are kept beside the store, oldest first. Both methods raise `HeadLogBroken` when it cannot be used."""

    async def append(self, head: SignedHead) -> None: ...
    async def read(self) -> Sequence[SignedHead]:
        """All of them, as they were written; whether they are rightly signed is for the reader to check."""
        ...


class HeadRecorder(Protocol):
    """Where the head of the audit is shown to the dashboards."""

    def audited(self, mark: Mark) -> None: ...


class Leadership(Protocol):
    """The lease that makes one of several controllers the leader. Every method raises `StoreUnavailable`."""

    async def lead(self, holder: str, seconds: float) -> int | None:
        """Take or renew the lease for `seconds`; None while another holds it.

        Gives the fencing token, which is larger for every new holder; a transition that carries an older one is refused.
        """
        ...

    async def resign(self, holder: str) -> None:
        """Let another lead at once, if this holder does."""
        ...

    async def leader(self) -> Leader | None:
        """Who holds the lease now; None while nobody does."""
        ...


@dataclass(frozen=True, slots=True)
class Departed:
    """A version that a flip took out of a gateway's routes, and what became of the requests that were on their way to it."""

    target: Target
    epoch: int
    """Of the table that it has no part in any more."""
    in_flight: int
    """Requests that were sent to it before, and are not answered yet."""
    strays: int
    """Answers that it gave since."""
    last_stray: datetime | None = None


@dataclass(frozen=True, slots=True)
class GatewayAck:
    """A gateway replica and the epoch it serves."""

    gateway: str
    epoch: int
    seen_at: datetime
    fence: int = 1
    node: str = ""
    lapsed: bool = False
    """Whether its lease ran out: it has not been heard of, nor did it say that it leaves."""
    since: datetime | None = None
    """When it began to serve that epoch; None where an earlier program did not say."""
    departed: tuple[Departed, ...] = ()
    """The versions that left its routes of late."""


class Acks(Protocol):
    """Who serves which epoch. Every method raises `StoreUnavailable` when the store cannot answer."""

    async def ack(self, ack: GatewayAck) -> None: ...
    async def acks(self) -> Sequence[GatewayAck]:
        """The live gateways, by name."""
        ...

    async def lapsed_gateways(self) -> Sequence[GatewayAck]:
        """Those whose lease ran out within the last ten minutes, by name: a dead gateway drops out visibly."""
        ...

    async def leave(self, gateway: str) -> None: ...
