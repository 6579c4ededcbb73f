"""A family's record: what follows from it, what it may not say, and how a change of it is told."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from registry_client.references import Tag
from registry_client.versions import ModelVersion, VersionRange
from serving.core.changes import Change, ClearTag, Release, RollBack
from serving.core.consumers import ClearConsumer, SetConsumer
from serving.core.deprecation import Deprecation
from serving.core.lifecycle import Canary, FamilyRecord, Shadow, differences
from serving.core.traffic import End, Slice
from tests.unit.core.lifecycle.changes import V1, V2, V3, V4, V5, after, canary, digest, promote, shadow, tag


def test_aspired_are_the_versions_of_the_route_the_tagged_and_the_standbys_each_once() -> None:
    record = after(promote(V1), promote(V2), tag(V3, Tag.STAGING), tag(V4, Tag.CANDIDATE), canary(V4, 1), shadow(V5, 1), shadow(V1, 1))

    assert record.aspired() == (V2, V4, V5, V1, V3)


def test_a_deprecated_version_stays_loaded_for_those_who_pinned_it_until_its_tag_is_taken_off() -> None:
    deprecated = after(promote(V1), tag(V2, Tag.DEPRECATED))

    assert deprecated.aspired() == (V1, V2)
    assert after(ClearTag(V2, Tag.DEPRECATED), record=deprecated).aspired() == (V1,)


def test_a_version_can_carry_several_tags() -> None:
    record = after(promote(V1), tag(V2, Tag.STAGING), tag(V2, Tag.CANDIDATE), shadow(V2, 1))

    assert record.tags_of(V2) == {Tag.STAGING, Tag.CANDIDATE, Tag.SHADOW}


@pytest.mark.parametrize(
    ("field", "contradiction"),
    [
        ("canaries", {"canaries": (Canary(V1, Slice(End.LOW, 1)),)}),
        ("canaries", {"canaries": (Canary(V2, Slice(End.LOW, 1)), Canary(V3, Slice(End.LOW, 1)))}),
        ("canaries", {"canaries": (Canary(V2, Slice(End.LOW, 6_000)), Canary(V3, Slice(End.HIGH, 6_000)))}),
        ("canaries", {"canaries": (Canary(V2, Slice(End.LOW, 0)),)}),
        ("canaries", {"production": None, "canaries": (Canary(V2, Slice(End.LOW, 1)),)}),
        ("shadows", {"shadows": (Shadow(V1, 1),)}),
        ("shadows", {"shadows": (Shadow(V2, 1), Shadow(V2, 2))}),
        ("shadows", {"shadows": (Shadow(V2, 0),)}),
        ("shadows", {"shadows": tuple(Shadow(ModelVersion.parse(f"3.0.{at}"), 1) for at in range(5))}),
        ("previous", {"previous": (V1,)}),
        ("previous", {"previous": tuple(ModelVersion.parse(f"3.0.{at}") for at in range(4))}),
        ("quarantined", {"quarantined": {V1: "bad"}}),
        ("digests", {"staging": V4}),
        ("digests", {"deprecated": frozenset({V4})}),
    ],
)
def test_a_record_that_contradicts_itself_cannot_be_made(field: str, contradiction: dict[str, Any]) -> None:
    record = replace(after(promote(V1)), digests={version: digest(version) for version in (V1, V2, V3)})

    with pytest.raises(ValueError, match=field):
        replace(record, **contradiction)


def test_differences_are_the_parts_that_changed_in_plain_values() -> None:
    record = after(promote(V1))

    before, now = differences(record, after(promote(V2), canary(V3, 250), record=record))

    assert before == {"production": "1.0.0", "previous": [], "canaries": {}}
    assert now == {"production": "1.1.0", "previous": ["1.0.0"], "canaries": {"1.2.0": 250}}


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        (tag(V1, Tag.STAGING), "tag 1.0.0 staging"),
        (ClearTag(V1, Tag.STAGING), "untag 1.0.0 staging"),
        (canary(V1, 250), "canary 1.0.0 2.5 %"),
        (shadow(V1, 10_000), "shadow 1.0.0 100 %"),
        (promote(V1), "promote 1.0.0"),
        (RollBack(), "rollback"),
        (RollBack(V1), "rollback to 1.0.0"),
        (Release(V1), "release 1.0.0"),
    ],
)
def test_a_change_says_what_it_asks_for(change: Change, phrase: str) -> None:
    assert str(change) == phrase


def test_consumers_are_registered_in_the_record_and_told_by_the_audit() -> None:
    record = after(promote(V1), SetConsumer("billing", VersionRange.parse("^1.2")))

    before, now = differences(after(promote(V1)), record)

    assert (before["consumers"], now["consumers"]) == ({}, {"billing": "^1.2"})
    assert after(ClearConsumer("billing"), record=record).consumers == {}


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"deprecations": {V1: Deprecation(datetime(2030, 1, 1, tzinfo=UTC))}}, "deprecations"),
        ({"consumers": {"A b": VersionRange.parse("^1")}}, "consumers"),
        ({"consumers": {f"c{number}": VersionRange.parse("^1") for number in range(65)}}, "consumers"),
    ],
)
def test_a_record_refuses_a_sunset_of_what_is_not_deprecated_and_names_that_are_none(fields: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        FamilyRecord("digits", digests={V1: digest(V1)}, **fields)
