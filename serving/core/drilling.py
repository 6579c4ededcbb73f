"""What a drill does to a family's record: production goes where a rollback would lead, and comes back; nobody is condemned.

Who decided on production and when stays as it was: nobody decides otherwise for the seconds that a drill takes. A rollback in the middle of
one is a rollback: the version that was drilled is out for good.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from registry_client.versions import ModelVersion
from serving.core.drills import MOST_DRILLS, Drilling, DrillResult, Practice, practised
from serving.core.lifecycle import Decided, FamilyRecord
from serving.core.refusals import CannotDrill, NothingToRollBack, NotReady
from serving.core.standing import Receipt


@dataclass(frozen=True, slots=True)
class BeginDrill:
    """Roll back for real, to come back by `until`."""

    id: str
    detected: datetime
    until: datetime

    def __str__(self) -> str:
        return "drill"


@dataclass(frozen=True, slots=True)
class EndDrill:
    """Restore what was in production, and write down what the drill came to."""

    receipt: Receipt
    failure: str = ""

    def __str__(self) -> str:
        return "drill over"


@dataclass(frozen=True, slots=True)
class FailDrill:
    """Say of a drill that is over that it failed after all: what it restored is not proven."""

    id: str
    failure: str

    def __str__(self) -> str:
        return "drill failed"


DrillChange = BeginDrill | EndDrill | FailDrill


def drilled(record: FamilyRecord, change: DrillChange, decided: Decided, ready: frozenset[ModelVersion]) -> FamilyRecord:
    """The family after a step of a drill. Raises `CannotDrill`, `NothingToRollBack` or `NotReady`."""
    match change:
        case BeginDrill():
            return _begun(record, change, decided, ready)
        case EndDrill():
            return _ended(record, change, decided)
        case FailDrill():
            results = (replace(one, failure=one.failure or change.failure) if one.id == change.id else one for one in record.drills)
            return replace(record, drills=tuple(results))


def target_of(record: FamilyRecord) -> ModelVersion | None:
    """Where a rollback of production would lead."""
    return next((version for version in record.previous if version not in record.quarantined), None)


def _begun(record: FamilyRecord, change: BeginDrill, decided: Decided, ready: frozenset[ModelVersion]) -> FamilyRecord:
    refuse_busy(record)
    production, target = record.production, target_of(record)
    if production is None or target is None:
        raise NothingToRollBack(record.family)
    if target not in ready:
        # A rollback would go there all the same; whoever only practises need not hurt anybody.
        raise NotReady(record.family, target, "not loaded")
    receipt = Receipt(decided.reason, "drill", decided.actor, detected=change.detected, decided=decided.at)
    others = (version for version in record.previous if version != target)
    return replace(
        record,
        production=target,
        previous=(production, *others),
        drill=Drilling(change.id, production, target, receipt, change.until),
    )


def refuse_busy(record: FamilyRecord) -> None:
    """Raise `CannotDrill` while something is under way that a drill would disturb, or be disturbed by."""
    if record.drill is not None:
        raise CannotDrill(record.family, "one is under way")
    if record.rehearsal is not None:
        raise CannotDrill(record.family, "a rehearsal is under way")
    if record.canaries:
        raise CannotDrill(record.family, "a canary runs, and a rollback would only end it")
    if record.rollout is not None and record.rollout.is_afoot:
        raise CannotDrill(record.family, f"the rollout of {record.rollout.rollout.version} is afoot")


def _ended(record: FamilyRecord, change: EndDrill, decided: Decided) -> FamilyRecord:
    drill = record.drill
    if drill is None:
        raise CannotDrill(record.family, "none is under way")
    others = (version for version in record.previous if version != drill.version)
    result = DrillResult(drill.id, drill.version, drill.to, change.receipt, decided.at, change.failure)
    restored = replace(record, production=drill.version, previous=(drill.to, *others), drill=None)
    return with_result(restored, result)


def with_result(record: FamilyRecord, result: DrillResult) -> FamilyRecord:
    """No drill any more, and its result in front of the others."""
    return replace(record, drill=None, drills=(result, *record.drills)[:MOST_DRILLS])


def broken_off(record: FamilyRecord, decided: Decided) -> FamilyRecord:
    """The family without the drill that a rollback made serious."""
    drill = record.drill
    if drill is None:
        return record
    failure = f"broken off by a rollback of {decided.actor}'s: {decided.reason or 'no reason given'}"
    result = DrillResult(drill.id, drill.version, drill.to, drill.receipt, None, failure)
    return with_result(replace(record, production_decided=decided), result)


def practice_of(record: FamilyRecord) -> Practice | None:
    """What the schedule of the family's drills goes by; None where there is no way back to practise."""
    drill = record.drill
    production = record.production if drill is None else drill.version
    before = target_of(record) if drill is None else drill.to
    if production is None or before is None or record.production_decided is None:
        return None
    return Practice(production, record.production_decided.at, before, practised(record.drills))
