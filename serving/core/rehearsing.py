"""What a rehearsal does to a family's record: a route comes, the guards take it out, and what it came to is kept. Traffic stays."""

from dataclasses import dataclass, replace
from datetime import datetime

from registry_client.versions import ModelVersion
from serving.core.drilling import BeginDrill, DrillChange, EndDrill, FailDrill, drilled, refuse_busy, with_result
from serving.core.drills import DrillResult
from serving.core.injections import Injection
from serving.core.lifecycle import Decided, FamilyRecord
from serving.core.refusals import CannotDrill, NotReady
from serving.core.rehearsals import Rehearsal
from serving.core.standing import Receipt
from serving.core.underway import Terms


@dataclass(frozen=True, slots=True)
class BeginRehearsal:
    """Open the route of a made-up bad version, by the family's policy in one of its stages, until it is caught or `until`."""

    id: str
    injection: Injection
    key: str
    policy: str
    stage: int
    weight: int
    until: datetime
    terms: Terms = Terms()  # noqa: RUF009 - frozen

    def __str__(self) -> str:
        return "rehearsal"


@dataclass(frozen=True, slots=True)
class MeasureRehearsal:
    """Pin what production's answers there show: the times that slow is told by, the classes that answers are sorted into."""

    id: str
    edges: tuple[float, ...] = ()
    classes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "rehearsal measured"


@dataclass(frozen=True, slots=True)
class CatchRehearsal:
    """Take the route out: the guards found harm. The receipt has what was seen, when, and when that was decided."""

    id: str
    receipt: Receipt

    def __str__(self) -> str:
        return "rehearsal caught"


@dataclass(frozen=True, slots=True)
class EndRehearsal:
    """Write down what it came to. `began`: when the first bad answer was given; None where nobody knows."""

    id: str
    receipt: Receipt | None = None
    began: datetime | None = None
    failure: str = ""

    def __str__(self) -> str:
        return "rehearsal over"


RehearsalChange = BeginRehearsal | MeasureRehearsal | CatchRehearsal | EndRehearsal
PracticeChange = DrillChange | RehearsalChange
"""What is done for practice: the way back is gone, or the guards are asked."""


def practised(record: FamilyRecord, change: PracticeChange, decided: Decided, ready: frozenset[ModelVersion]) -> FamilyRecord:
    """The family after a step of a drill or of a rehearsal. Raises `CannotDrill`, `NothingToRollBack` or `NotReady`."""
    match change:
        case BeginDrill() | EndDrill() | FailDrill():
            return drilled(record, change, decided, ready)
        case BeginRehearsal() | MeasureRehearsal() | CatchRehearsal() | EndRehearsal():
            return rehearsed(record, change, decided, ready)


def rehearsed(record: FamilyRecord, change: RehearsalChange, decided: Decided, ready: frozenset[ModelVersion]) -> FamilyRecord:
    """The family after a step of a rehearsal. Raises `CannotDrill` or `NotReady`."""
    match change:
        case BeginRehearsal():
            return _begun(record, change, decided, ready)
        case MeasureRehearsal():
            known = _underway(record, change.id)
            measured = replace(known, edges=change.edges or known.edges, classes=change.classes or known.classes)
            return replace(record, rehearsal=measured)
        case CatchRehearsal():
            return replace(record, rehearsal=replace(_underway(record, change.id), receipt=change.receipt, is_caught=True))
        case EndRehearsal():
            return _ended(record, change)


def _begun(record: FamilyRecord, change: BeginRehearsal, decided: Decided, ready: frozenset[ModelVersion]) -> FamilyRecord:
    refuse_busy(record)
    production = record.production
    if production is None:
        raise CannotDrill(record.family, "nothing is in production")
    if production not in ready:
        raise NotReady(record.family, production, "not loaded")
    receipt = Receipt(decided.reason, "drill", decided.actor, detected=decided.at, decided=decided.at)
    made = (change.id, production, change.injection, change.key, change.policy, change.stage, change.weight)
    rehearsal = Rehearsal(*made, receipt, change.until, terms=change.terms)
    return replace(record, rehearsal=rehearsal)


def _underway(record: FamilyRecord, rehearsal: str) -> Rehearsal:
    found = record.rehearsal
    if found is None or found.id != rehearsal:
        raise CannotDrill(record.family, "that rehearsal is not under way")
    return found


def _ended(record: FamilyRecord, change: EndRehearsal) -> FamilyRecord:
    rehearsal = _underway(record, change.id)
    failure = change.failure or ("" if rehearsal.is_caught else "no guard had it taken out")
    result = DrillResult(
        rehearsal.id,
        rehearsal.version,
        rehearsal.version,
        change.receipt or rehearsal.receipt,
        None,
        failure,
        injected=rehearsal.injection.value,
        began=change.began,
    )
    return replace(with_result(record, result), rehearsal=None)
