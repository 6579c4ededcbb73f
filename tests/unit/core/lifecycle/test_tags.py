"""Which versions tags go on, and what a tag means for its version."""

from dataclasses import replace
from datetime import timedelta

import pytest

from registry_client.references import Tag
from serving.core import refusals
from serving.core.changes import Change, ClearTag, SetCanary, apply
from serving.core.deprecation import Deprecation
from serving.core.lifecycle import FamilyRecord
from tests.unit.core.lifecycle.changes import DECIDED, NONE_READY, V1, V2, after, canary, promote, refused, shadow, tag


@pytest.mark.parametrize("name", [Tag.CANDIDATE, Tag.STAGING])
def test_a_tag_goes_on_a_version_that_is_not_loaded_for_that_is_what_loads_it(name: Tag) -> None:
    record = apply(FamilyRecord("digits"), tag(V1, name), NONE_READY)

    assert record.tags_of(V1) == {name}
    assert record.aspired() == (V1,)


def test_staging_in_use_moves_only_to_a_ready_version() -> None:
    record = after(tag(V1, Tag.STAGING))

    assert isinstance(refused(record, tag(V2, Tag.STAGING), NONE_READY), refusals.NotReady)
    assert apply(record, tag(V1, Tag.STAGING), NONE_READY).staging == V1
    assert after(tag(V2, Tag.STAGING), record=record).staging == V2


def test_candidate_moves_at_will() -> None:
    record = apply(after(tag(V1, Tag.CANDIDATE)), tag(V2, Tag.CANDIDATE), NONE_READY)

    assert (record.candidate, record.aspired()) == (V2, (V2,))


@pytest.mark.parametrize("name", [Tag.PRODUCTION, Tag.SHADOW])
def test_tags_that_follow_the_route_are_not_set_by_hand(name: Tag) -> None:
    record = after(promote(V1))

    assert isinstance(refused(record, tag(V2, name)), refusals.TagFollowsRoute)
    assert isinstance(refused(record, ClearTag(V1, name)), refusals.TagFollowsRoute)


@pytest.mark.parametrize("name", [Tag.CANDIDATE, Tag.STAGING, Tag.DEPRECATED])
def test_a_tag_is_taken_off_the_version_that_carries_it_only(name: Tag) -> None:
    record = after(tag(V1, name))

    assert isinstance(refused(record, ClearTag(V2, name)), refusals.TagNotCarried)
    assert after(ClearTag(V1, name), record=record).tags_of(V1) == frozenset()


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("production", [promote(V2)]),
        ("canary", [promote(V1), canary(V2, 1)]),
        ("shadow", [promote(V1), shadow(V2, 1)]),
        ("staging", [tag(V2, Tag.STAGING)]),
        ("candidate", [tag(V2, Tag.CANDIDATE)]),
    ],
)
def test_a_version_in_use_is_not_deprecated(part: str, changes: list[Change]) -> None:
    error = refused(after(*changes), tag(V2, Tag.DEPRECATED))

    assert isinstance(error, refusals.VersionInUse)
    assert part in str(error)


@pytest.mark.parametrize("change", [promote(V2), canary(V2, 100), shadow(V2, 100), tag(V2, Tag.STAGING), tag(V2, Tag.CANDIDATE)])
def test_nothing_moves_to_a_deprecated_version(change: Change) -> None:
    record = after(promote(V1), tag(V2, Tag.DEPRECATED))

    assert isinstance(refused(record, change), refusals.Deprecated)


def test_a_version_is_the_same_bytes_for_ever() -> None:
    record = after(promote(V1), tag(V2, Tag.CANDIDATE))

    error = refused(record, SetCanary(V2, "f" * 64, 100))

    assert isinstance(error, refusals.DigestChanged)
    assert "fff" in str(error)


def test_a_deprecated_version_knows_since_when_and_until_when_until_its_tag_is_taken_off() -> None:
    until = DECIDED.at + timedelta(days=90)

    record = after(promote(V1), replace(tag(V2, Tag.DEPRECATED), sunset=until))

    assert record.deprecations == {V2: Deprecation(DECIDED.at, until)}
    assert after(ClearTag(V2, Tag.DEPRECATED), record=record).deprecations == {}


def test_a_sunset_that_is_over_is_refused() -> None:
    past = replace(tag(V2, Tag.DEPRECATED), sunset=DECIDED.at - timedelta(seconds=1))

    assert isinstance(refused(after(promote(V1)), past), refusals.SunsetBefore)
