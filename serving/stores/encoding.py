"""How what the store holds is written down, and read back strictly: whoever reads a document checks all of it again.

A document says its schema. One of a newer schema, with a field nobody knows, or that contradicts itself is refused, naming the field.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from registry_client.decoding import from_json
from registry_client.errors import InvalidReference, InvalidVersion
from registry_client.manifest import FamilyName, Sha256
from registry_client.versions import ModelVersion, VersionRange
from serving.core.deprecation import Deprecation
from serving.core.errors import InvalidRecord
from serving.core.lifecycle import Canary, Decided, FamilyRecord, Shadow
from serving.core.routing import MissingKey, Target
from serving.core.traffic import WHOLE, End, Slice
from serving.ports import LoadState, LoadStatus
from serving.stores.drill_encoding import (
    DrillingDocument,
    DrillResultDocument,
    RehearsalDocument,
    drilling_from_document,
    drilling_to_document,
    rehearsal_from_document,
    rehearsal_to_document,
    result_from_document,
    result_to_document,
)
from serving.stores.rollout_encoding import UnderwayDocument, rollout_from_document, rollout_to_document

MOST_BYTES = 1 << 20
"""Of a record's document; an honest one has a few kilobytes."""

_Weight = Annotated[int, msgspec.Meta(ge=1, le=WHOLE)]
_Revision = Annotated[int, msgspec.Meta(ge=0)]


class _Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of what is written down; versions are texts here and parsed one by one, so that errors can name them."""


class _Decided(_Document, frozen=True, kw_only=True):
    at: datetime
    actor: str
    reason: str


class _Canary(_Document, frozen=True, kw_only=True):
    version: str
    end: End
    weight: _Weight


class _Shadow(_Document, frozen=True, kw_only=True):
    version: str
    weight: _Weight


class _Deprecation(_Document, frozen=True, kw_only=True):
    since: datetime
    sunset: datetime | None


class _Record(_Document, frozen=True, kw_only=True):
    schema: Literal[1] = 1
    family: FamilyName
    revision: _Revision
    digests: dict[str, Sha256]
    production: str | None
    production_decided: _Decided | None
    previous: tuple[str, ...]
    canaries: tuple[_Canary, ...]
    shadows: tuple[_Shadow, ...]
    candidate: str | None
    staging: str | None
    deprecated: tuple[str, ...]
    quarantined: dict[str, str]
    key_headers: tuple[str, ...]
    missing_key: MissingKey
    salt: str
    # Left out where there is none: an earlier program refuses a field that it does not know.
    deprecations: dict[str, _Deprecation] | msgspec.UnsetType = msgspec.UNSET
    consumers: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    rollout: UnderwayDocument | msgspec.UnsetType = msgspec.UNSET
    drill: DrillingDocument | msgspec.UnsetType = msgspec.UNSET
    drills: tuple[DrillResultDocument, ...] | msgspec.UnsetType = msgspec.UNSET
    rehearsal: RehearsalDocument | msgspec.UnsetType = msgspec.UNSET


class _Status(_Document, frozen=True, kw_only=True):
    family: str
    version: str
    digest: str
    state: LoadState
    detail: str
    replicas: int
    since: datetime | None


def record_to_document(record: FamilyRecord) -> bytes:
    """Write a record down as JSON: the same record gives the same bytes."""
    decided = record.production_decided
    return msgspec.json.encode(
        _Record(
            family=record.family,
            revision=record.revision,
            digests={str(version): digest for version, digest in sorted(record.digests.items())},
            production=_text(record.production),
            production_decided=None if decided is None else _Decided(at=decided.at, actor=decided.actor, reason=decided.reason),
            previous=tuple(map(str, record.previous)),
            canaries=tuple(_Canary(version=str(each.version), end=each.slice.end, weight=each.slice.weight) for each in record.canaries),
            shadows=tuple(_Shadow(version=str(each.version), weight=each.weight) for each in record.shadows),
            candidate=_text(record.candidate),
            staging=_text(record.staging),
            deprecated=tuple(map(str, sorted(record.deprecated))),
            quarantined={str(version): why for version, why in sorted(record.quarantined.items())},
            key_headers=record.key_headers,
            missing_key=record.missing_key,
            salt=record.salt,
            deprecations=_deprecations(record) or msgspec.UNSET,
            consumers={name: str(wanted) for name, wanted in sorted(record.consumers.items())} or msgspec.UNSET,
            rollout=msgspec.UNSET if record.rollout is None else rollout_to_document(record.rollout),
            drill=msgspec.UNSET if record.drill is None else drilling_to_document(record.drill),
            drills=tuple(map(result_to_document, record.drills)) or msgspec.UNSET,
            rehearsal=msgspec.UNSET if record.rehearsal is None else rehearsal_to_document(record.rehearsal),
        )
    )


def _deprecations(record: FamilyRecord) -> dict[str, _Deprecation]:
    return {str(version): _Deprecation(since=one.since, sunset=one.sunset) for version, one in sorted(record.deprecations.items())}


def record_from_document(family: str, document: bytes) -> FamilyRecord:
    """Read a family's record. Raises `InvalidRecord`, naming the field."""
    if len(document) > MOST_BYTES:
        raise InvalidRecord(family, f"the document has {len(document)} bytes, at most {MOST_BYTES} are read")
    try:
        parts = from_json(document, _Record)
        if parts.family != family:
            raise InvalidRecord(family, f"family: it is the record of {parts.family!r}")
        return _record(parts)
    except (ValueError, RecursionError) as error:
        raise InvalidRecord(family, str(error)) from error


def _record(parts: _Record) -> FamilyRecord:
    decided = parts.production_decided
    return FamilyRecord(
        family=parts.family,
        revision=parts.revision,
        digests={_version("digests", text): digest for text, digest in parts.digests.items()},
        production=_optional("production", parts.production),
        production_decided=None if decided is None else Decided(decided.at, decided.actor, decided.reason),
        previous=tuple(_version("previous", text) for text in parts.previous),
        canaries=tuple(Canary(_version("canaries", each.version), Slice(each.end, each.weight)) for each in parts.canaries),
        shadows=tuple(Shadow(_version("shadows", each.version), each.weight) for each in parts.shadows),
        candidate=_optional("candidate", parts.candidate),
        staging=_optional("staging", parts.staging),
        deprecated=frozenset(_version("deprecated", text) for text in parts.deprecated),
        quarantined={_version("quarantined", text): why for text, why in parts.quarantined.items()},
        key_headers=parts.key_headers,
        missing_key=parts.missing_key,
        salt=parts.salt,
        deprecations={}
        if parts.deprecations is msgspec.UNSET
        else {_version("deprecations", text): Deprecation(one.since, one.sunset) for text, one in parts.deprecations.items()},
        consumers={} if parts.consumers is msgspec.UNSET else {name: _range(name, text) for name, text in parts.consumers.items()},
        rollout=None if parts.rollout is msgspec.UNSET else rollout_from_document(parts.rollout),
        drill=None if parts.drill is msgspec.UNSET else drilling_from_document(parts.drill),
        drills=() if parts.drills is msgspec.UNSET else tuple(map(result_from_document, parts.drills)),
        rehearsal=None if parts.rehearsal is msgspec.UNSET else rehearsal_from_document(parts.rehearsal),
    )


def records_to_document(records: Mapping[str, FamilyRecord]) -> bytes:
    """Write the records of several families down in one, as a re-seed keeps them."""
    return msgspec.json.encode({family: msgspec.Raw(record_to_document(record)) for family, record in sorted(records.items())})


def document_among(document: bytes, family: str) -> bytes | None:
    """One family's document out of those of several, if it is there. Raises `InvalidRecord`."""
    try:
        found = msgspec.json.decode(document, type=dict[str, msgspec.Raw]).get(family)
    except (ValueError, RecursionError) as error:
        raise InvalidRecord(family, str(error)) from error
    return None if found is None else bytes(found)


def differences_to_document(parts: Mapping[str, object]) -> bytes:
    """Write down the parts of an audit entry that differ."""
    return msgspec.json.encode(parts, order="deterministic")


def differences_from_document(document: bytes) -> Mapping[str, Any]:
    """Read the parts of an audit entry. Raises `ValueError`."""
    return msgspec.json.decode(document, type=dict[str, Any])


def board_to_document(states: Sequence[LoadStatus]) -> bytes:
    """Write down what runs."""
    return msgspec.json.encode(
        [
            _Status(
                family=each.target.family,
                version=str(each.target.version),
                digest=each.target.digest,
                state=each.state,
                detail=each.detail,
                replicas=each.replicas,
                since=each.since,
            )
            for each in states
        ]
    )


def board_from_document(document: bytes) -> tuple[LoadStatus, ...]:
    """Read what runs. Raises `ValueError`."""
    return tuple(
        LoadStatus(Target(each.family, ModelVersion.parse(each.version), each.digest), each.state, each.detail, each.replicas, each.since)
        for each in from_json(document, tuple[_Status, ...])
    )


def _version(field: str, text: str) -> ModelVersion:
    try:
        return ModelVersion.parse(text)
    except InvalidVersion as error:
        msg = f"{field}: {error}"
        raise ValueError(msg) from error


def _range(name: str, text: str) -> VersionRange:
    try:
        return VersionRange.parse(text)
    except InvalidReference as error:
        msg = f"consumers: {name}: {error}"
        raise ValueError(msg) from error


def _optional(field: str, text: str | None) -> ModelVersion | None:
    return None if text is None else _version(field, text)


def _text(version: ModelVersion | None) -> str | None:
    return None if version is None else str(version)
