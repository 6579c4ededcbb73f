"""What the use cases need from the outside: small protocols in the core's own types. Adapters stand at the edges."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Protocol

import msgspec

from serving.core.lifecycle import FamilyRecord
from serving.core.routing import Arm, Target


class Clock(Protocol):
    """Time: `now` for records (UTC), `monotonic` (seconds) for deadlines and leases."""

    def now(self) -> datetime: ...
    def monotonic(self) -> float: ...


# --- state ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change, by whom and why. `before` and `after` are the parts of the record that differ, for people."""

    epoch: int
    family: str
    revision: int
    at: datetime
    actor: str
    action: str
    reason: str
    before: Mapping[str, object]
    after: Mapping[str, object]
    operation_id: str
    signal: str = ""
    """What set it off, when not a person: the guard or tripwire."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One change to commit: the record as it shall be, whom to name for it, and the revision it was decided on."""

    record: FamilyRecord
    expected_revision: int
    actor: str
    action: str
    reason: str
    before: Mapping[str, object]
    after: Mapping[str, object]
    operation_id: str
    at: datetime
    signal: str = ""


@dataclass(frozen=True, slots=True)
class Commit:
    """The outcome of a transition; `replayed` when the operation id had already been committed."""

    epoch: int
    revision: int
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All families at one epoch. `beats` counts the renewals of each family's canary lease."""

    epoch: int
    families: Mapping[str, FamilyRecord] = field(default_factory=dict[str, FamilyRecord])
    beats: Mapping[str, int] = field(default_factory=dict[str, int])
    invalid: Mapping[str, str] = field(default_factory=dict[str, str])
    """Families whose stored record cannot be believed, and why; `families` has their last good record, or none."""


class StateStore(Protocol):
    """The small transactional store. Every method raises `StoreUnavailable` when the store cannot answer."""

    async def snapshot(self) -> Snapshot:
        """All families, read in one transaction."""
        ...

    async def poll(self, seen: Snapshot) -> Snapshot | None:
        """The newer snapshot if epoch or beats moved on since `seen`, else None; cheap enough to call every 40 ms.

        A family whose stored record is invalid keeps the record it has in `seen`.
        """
        ...

    async def commit(self, transition: Transition) -> Commit:
        """Write record, audit entry and epoch + 1 in one transaction. Raises `StaleRevision`.

        An operation id that was committed before gives its first outcome again and writes nothing.
        """
        ...

    async def committed(self, operation_id: str) -> AuditEntry | None:
        """The entry that an operation id left, if it was committed: how a caller learns what became of a lost answer."""
        ...

    async def history(self, family: str | None, *, limit: int) -> Sequence[AuditEntry]:
        """The newest entries first, of one family or of all."""
        ...

    async def beat(self, family: str) -> None:
        """Renew the family's canary lease; changes no record and no epoch."""
        ...


@dataclass(frozen=True, slots=True)
class GatewayAck:
    """A gateway replica and the epoch it serves; gone when not heard of for its lease."""

    gateway: str
    epoch: int
    seen_at: datetime


class Acks(Protocol):
    """Who serves which epoch."""

    async def ack(self, ack: GatewayAck) -> None: ...
    async def acks(self) -> Sequence[GatewayAck]: ...
    async def leave(self, gateway: str) -> None: ...


# --- versions that run ----------------------------------------------------------------------------------------------


class LoadState(StrEnum):
    """How far a version is on its way to answering."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"
    UNLOADING = "unloading"


@dataclass(frozen=True, slots=True)
class LoadStatus:
    """The state of one loaded version, with the reason when it failed."""

    target: Target
    state: LoadState
    detail: str = ""
    replicas: int = 0
    since: datetime | None = None


class Fleet(Protocol):
    """Starts and stops versions; `states` is what really runs."""

    async def load(self, target: Target) -> None: ...
    async def unload(self, target: Target) -> None: ...
    async def states(self) -> Sequence[LoadStatus]: ...


class FleetBoard(Protocol):
    """Where the controller posts what runs, for the admin API to read."""

    async def post(self, states: Sequence[LoadStatus]) -> None: ...
    async def read(self) -> Sequence[LoadStatus]: ...


class Registry(Protocol):
    """The published versions, as far as serving needs to know them (registry_client has the whole)."""

    async def digest(self, family: str, version: str) -> str:
        """The manifest's digest. Raises registry_client's `UnknownFamily` or `UnknownVersion`."""
        ...

    async def versions(self, family: str) -> Sequence[str]: ...
    async def families(self) -> Sequence[str]: ...


# --- the request path -----------------------------------------------------------------------------------------------


class Failure(StrEnum):
    """Why a version gave no good answer; a metric label. `CLIENT` is the caller's fault and blames nobody else."""

    CLIENT = "client"
    MODEL = "model"
    TIMEOUT = "timeout"
    UNAVAILABLE = "unavailable"
    OVERLOAD = "overload"


@dataclass(frozen=True, slots=True)
class ArmCounts:
    """What one gateway has seen of one (target, arm) since it started. Cumulative, so a lost report costs nothing."""

    target: Target
    arm: Arm
    requests: int
    failures: Mapping[Failure, int]
    failures_in_a_row: int
    """Of the version's own (not `CLIENT`), up to now."""


@dataclass(frozen=True, slots=True)
class GatewayReport:
    """One gateway's counters at one moment; `started` tells two lives of the same name apart."""

    gateway: str
    started: float
    counts: Sequence[ArmCounts]


class Observations(Protocol):
    """The controller's end: the latest report of every gateway, and a call when one arrives."""

    def latest(self) -> Mapping[str, GatewayReport]: ...
    def subscribe(self, wake: Callable[[], None]) -> None: ...


class Reports(Protocol):
    """The gateway's end: tells the controller; never blocks, never raises, may lose a report."""

    def send(self, report: GatewayReport) -> None: ...


class Recorder(Protocol):
    """Where the request path leaves its counts for the dashboards; called once per answer, off the caller's path."""

    def answered(self, target: Target, arm: Arm, seconds: float, failure: Failure | None) -> None: ...
    def shadowed(self, target: Target, outcome: str) -> None: ...
    def refused(self, family: str, why: str) -> None: ...


class ControlRecorder(Protocol):
    """Where the controller leaves what the dashboards show of its work."""

    def loaded(self, states: Sequence[LoadStatus]) -> None: ...
    def rolled_back(self, family: str, signal: str) -> None: ...


class CallKind(IntEnum):
    """What a call asks of a version."""

    INFER = 1
    """Open Inference Protocol v2, JSON with or without binary tensors."""
    PREDICT = 2
    """Plain application JSON."""
    METADATA = 3
    """The version's interface as the v2 model metadata document; no body."""


class Encoding(IntEnum):
    """How a body is compressed."""

    IDENTITY = 0
    GZIP = 1
    DEFLATE = 2


# The messages of the request path are structs: made in C, they cost a fifth of what a frozen dataclass does.
NO_JSON_PART = -1
"""The value of `json_length` where a message has no Inference-Header-Content-Length."""


class Reply(msgspec.Struct, frozen=True, gc=False):
    """What a version answered. `json_length`: bytes of the JSON part when binary tensors follow it."""

    status: int
    body: bytes
    json_length: int = NO_JSON_PART
    failure: Failure | None = None


class Primary(msgspec.Struct, frozen=True, gc=False):
    """The primary's good answer, sent along with a mirrored call for the shadow to compare its own with."""

    body: bytes
    json_length: int = NO_JSON_PART


class Call(msgspec.Struct, frozen=True, gc=False):
    """One request to one version. `json_length` as in the Inference-Header-Content-Length header (uncompressed bytes)."""

    kind: CallKind
    digest: str
    body: bytes
    json_length: int = NO_JSON_PART
    encoding: Encoding = Encoding.IDENTITY
    mirror: Primary | None = None
    """Set on a mirrored call: the reply is then a comparison, status 200 and an outcome as its body."""


class Invoker(Protocol):
    """Reaches the replicas of a version. `done` is called exactly once, with the reply or a reply that says why there is none.

    A patient call waits inside its deadline (monotonic seconds) for a replica to come up, and is sent once more if the
    replica it was sent to is lost; an impatient one fails at once in either case.
    """

    def invoke(self, call: Call, deadline: float, done: Callable[[Reply], None], *, patient: bool) -> None: ...

    def was_reached(self, digest: str) -> bool:
        """Whether a replica of a version was ever reached from here."""
        ...


class Engine(Protocol):
    """A loaded version: answers calls that arrived together, in their order; one call's error is its own."""

    def run(self, calls: Sequence[Call]) -> Sequence[Reply]: ...
