"""Changes of a family's record in few words, and what becomes of a record after them."""

from datetime import UTC, datetime

import pytest

from registry_client.references import Tag
from registry_client.versions import ModelVersion
from serving.core.changes import Change, ChangeFacts, Promote, SetCanary, SetShadow, SetTag, apply
from serving.core.errors import ChangeRefused
from serving.core.lifecycle import Decided, FamilyRecord

V1, V2, V3, V4, V5 = (ModelVersion.parse(text) for text in ("1.0.0", "1.1.0", "1.2.0", "2.0.0", "10.0.0"))

DECIDED = Decided(datetime(2030, 1, 1, tzinfo=UTC), "ada", "8 errors in a row")

ALL_READY = ChangeFacts(DECIDED, frozenset({V1, V2, V3, V4, V5}))

NONE_READY = ChangeFacts(DECIDED, states={V2: "failed golden 3: expected 7, got 1"})


def digest(version: ModelVersion) -> str:
    return f"{version.text.replace('.', ''):0<64}"


def canary(version: ModelVersion, weight: int, *, override: bool = False) -> SetCanary:
    return SetCanary(version, digest(version), weight, override)


def shadow(version: ModelVersion, weight: int, *, override: bool = False) -> SetShadow:
    return SetShadow(version, digest(version), weight, override)


def promote(version: ModelVersion, *, override: bool = False) -> Promote:
    return Promote(version, digest(version), override)


def tag(version: ModelVersion, name: Tag) -> SetTag:
    return SetTag(version, digest(version), name)


def after(*changes: Change, record: FamilyRecord | None = None) -> FamilyRecord:
    record = record or FamilyRecord("digits")
    for change in changes:
        record = apply(record, change, ALL_READY)
    return record


def refused(record: FamilyRecord, change: Change, facts: ChangeFacts = ALL_READY) -> ChangeRefused:
    with pytest.raises(ChangeRefused) as error:
        apply(record, change, facts)
    assert str(error.value)
    assert error.value.hint
    return error.value
