"""The request path: what a gateway asks of a version, and what it tells of the answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Protocol

import msgspec

from serving.core.routing import Arm, Target
from serving.core.sketches import Baseline
from serving.core.totals import Fault, Report
from serving.ports.versions import LoadStatus


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
    rollouts: Mapping[str, Report] = field(default_factory=dict[str, Report])
    """What it has counted of the rollouts that it has in its routes, by their ids."""
    baselines: Mapping[str, Baseline] = field(default_factory=dict[str, Baseline])
    """What production is like, of the rollouts that have something to pin by it."""
    unreadable: Mapping[str, str] = field(default_factory=dict[str, str])
    """The rollouts of which its newest report could not be read, and why: what stands of them above is older."""


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
    def deprecated_called(self, target: Target, consumer: str) -> None: ...
    def refused(self, family: str, why: str) -> None: ...


class ControlRecorder(Protocol):
    """Where the controller leaves what the dashboards show of its work."""

    def loaded(self, states: Sequence[LoadStatus]) -> None: ...
    def rolled_back(self, family: str, signal: str) -> None: ...
    def report_refused(self, family: str, fault: Fault) -> None: ...
    def leads(self, controller: str, *, leads: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class PublicAnswer:
    """What a caller got: its status (0 when there was no answer), who gave it by which routes, and its JSON, or what went wrong."""

    status: int = 0
    version: str = ""
    epoch: int | None = None
    document: object = None
    trouble: str = ""
    reason: str = ""
    """Why it was that version that answered."""


class PublicSide(Protocol):
    """The public listener as any caller sees it."""

    async def predict(self, family: str, request: Mapping[str, object], seconds: float, selector: str = "") -> PublicAnswer:
        """Ask for a prediction of whom the routes give, or a selector names. Never raises for an answer that is missing or bad."""
        ...


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


class Sorting(IntEnum):
    """What a call wants to be told of its own answer, beside the answer."""

    NOTHING = 0
    LABEL = 1
    """Which class it names."""
    SCORE = 2
    """Which number it gives."""


# The messages of the request path are structs: made in C, they cost a fifth of what a frozen dataclass does.
NO_JSON_PART = -1
"""The value of `json_length` where a message has no Inference-Header-Content-Length."""


class Said(msgspec.Struct, frozen=True, gc=False):
    """What a good answer comes to: of its first row the label, or the score, whichever was asked for and there is."""

    label: str | None = None
    score: float | None = None
    is_odd: bool = False
    """Whether it is invalid, or the same whatever is asked."""


class Reply(msgspec.Struct, frozen=True, gc=False):
    """What a version answered. `json_length`: bytes of the JSON part when binary tensors follow it."""

    status: int
    body: bytes
    json_length: int = NO_JSON_PART
    failure: Failure | None = None
    said: Said | None = None
    """Set where the call asked for it, and the answer is good."""


class Leeway(msgspec.Struct, frozen=True, gc=False):
    """How far the answers of a pair may be apart and still agree: numbers absolutely and relatively, labels, the order of lists."""

    atol: float = 1e-3
    rtol: float = 1e-3
    rank: float = 1.0
    is_label_exact: bool = True


class Primary(msgspec.Struct, frozen=True, gc=False):
    """The primary's good answer, sent along with a mirrored call for the shadow to compare its own with."""

    body: bytes
    json_length: int = NO_JSON_PART
    leeway: Leeway = Leeway()
    is_shown: bool = False
    """Whether the shadow shows its answer where it disagrees: in the reply, behind the outcome and a line feed."""


class Call(msgspec.Struct, frozen=True, gc=False):
    """One request to one version. `json_length` as in the Inference-Header-Content-Length header (uncompressed bytes)."""

    kind: CallKind
    digest: str
    body: bytes
    json_length: int = NO_JSON_PART
    encoding: Encoding = Encoding.IDENTITY
    mirror: Primary | None = None
    """Set on a mirrored call: the reply is then a comparison, status 200 and an outcome as its body."""
    sorting: Sorting = Sorting.NOTHING


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
    """A loaded version: answers calls that arrived together, in their order; one call's error is its own.

    It may answer fewer of them, though at least the first, where more would take too much memory at once: ask it again for the others.
    """

    def run(self, calls: Sequence[Call]) -> Sequence[Reply]: ...
