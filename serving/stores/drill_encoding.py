"""How a family's drills are written down in its record, and read back strictly."""

from datetime import datetime
from typing import Any

import msgspec

from registry_client.decoding import from_plain
from registry_client.errors import InvalidVersion
from registry_client.versions import ModelVersion
from serving.core.drills import Drilling, DrillResult
from serving.core.injections import Injection
from serving.core.rehearsals import Rehearsal
from serving.core.standing import Receipt
from serving.core.underway import Terms
from serving.stores.rollout_encoding import part_of


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of what is written down."""


class ReceiptDocument(_Part, frozen=True, kw_only=True):
    """The moments of a rollback."""

    reason: str
    signal: str
    actor: str
    detected: datetime
    decided: datetime
    flipped: datetime | None
    epoch: int | None
    last_stray: datetime | None
    verified: datetime | None
    is_escalated: bool


class DrillingDocument(_Part, frozen=True, kw_only=True):
    """A drill that is under way."""

    id: str
    version: str
    to: str
    receipt: ReceiptDocument
    until: datetime


class DrillResultDocument(_Part, frozen=True, kw_only=True):
    """A drill that is over."""

    id: str
    version: str
    to: str
    receipt: ReceiptDocument
    restored: datetime | None
    failure: str
    # Left out where nothing was made up, as before there were rehearsals.
    injected: str | msgspec.UnsetType = msgspec.UNSET
    began: datetime | msgspec.UnsetType | None = msgspec.UNSET


class RehearsalDocument(_Part, frozen=True, kw_only=True):
    """A rehearsal that is under way."""

    id: str
    version: str
    injection: Injection
    key: str
    policy: str
    stage: int
    weight: int
    receipt: ReceiptDocument
    until: datetime
    is_caught: bool
    terms: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    edges: tuple[float, ...] = ()
    classes: tuple[str, ...] = ()


def rehearsal_to_document(rehearsal: Rehearsal) -> RehearsalDocument:
    """Write it down."""
    return RehearsalDocument(
        id=rehearsal.id,
        version=str(rehearsal.version),
        injection=rehearsal.injection,
        key=rehearsal.key,
        policy=rehearsal.policy,
        stage=rehearsal.stage,
        weight=rehearsal.weight,
        receipt=_receipt_to_document(rehearsal.receipt),
        until=rehearsal.until,
        is_caught=rehearsal.is_caught,
        terms=msgspec.to_builtins(rehearsal.terms),
        edges=rehearsal.edges,
        classes=rehearsal.classes,
    )


def rehearsal_from_document(document: RehearsalDocument) -> Rehearsal:
    """Read it. Raises `ValueError`, naming the field."""
    parts = msgspec.structs.asdict(document)
    receipt = Receipt(**msgspec.structs.asdict(document.receipt))
    terms = part_of("rehearsal.terms", document.terms, Terms)
    return Rehearsal(**{**parts, "version": _version(document.version), "receipt": receipt, "terms": terms})


def drilling_to_document(drill: Drilling) -> DrillingDocument:
    """Write it down: the same drill gives the same document."""
    return DrillingDocument(
        id=drill.id, version=str(drill.version), to=str(drill.to), receipt=_receipt_to_document(drill.receipt), until=drill.until
    )


def drilling_from_document(document: DrillingDocument) -> Drilling:
    """Read it. Raises `ValueError`, naming the field."""
    return Drilling(
        document.id, _version(document.version), _version(document.to), Receipt(**msgspec.structs.asdict(document.receipt)), document.until
    )


def result_to_document(result: DrillResult) -> DrillResultDocument:
    """Write it down."""
    return DrillResultDocument(
        id=result.id,
        version=str(result.version),
        to=str(result.to),
        receipt=_receipt_to_document(result.receipt),
        restored=result.restored,
        failure=result.failure,
        injected=result.injected or msgspec.UNSET,
        began=result.began if result.injected else msgspec.UNSET,
    )


def result_from_document(document: DrillResultDocument) -> DrillResult:
    """Read it. Raises `ValueError`, naming the field."""
    receipt = Receipt(**msgspec.structs.asdict(document.receipt))
    injected = "" if document.injected is msgspec.UNSET else document.injected
    began = None if document.began is msgspec.UNSET else document.began
    version, to = _version(document.version), _version(document.to)
    return DrillResult(document.id, version, to, receipt, document.restored, document.failure, injected=injected, began=began)


def _receipt_to_document(receipt: Receipt) -> ReceiptDocument:
    return from_plain(msgspec.to_builtins(receipt), ReceiptDocument)


def _version(text: str) -> ModelVersion:
    try:
        return ModelVersion.parse(text)
    except InvalidVersion as error:
        msg = f"drill: {error}"
        raise ValueError(msg) from error
