"""Changes of a family's record: what each does, and what it refuses."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from registry_client.references import Tag
from registry_client.versions import ModelVersion, VersionRange
from serving.core import refusals
from serving.core.changes import Change, ChangeFacts, ClearTag, Promote, Release, RollBack, SetCanary, SetShadow, SetTag, apply, way_back
from serving.core.consumers import ClearConsumer, SetConsumer
from serving.core.deprecation import Deprecation
from serving.core.errors import ChangeRefused
from serving.core.lifecycle import Canary, Decided, FamilyRecord, Shadow, differences
from serving.core.traffic import End, Slice

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


# --- promotion


def test_the_first_promotion_puts_a_version_into_production_and_says_by_whom_and_why() -> None:
    record = after(promote(V1))

    assert record.production == V1
    assert record.production_decided == DECIDED
    assert record.previous == ()
    assert record.revision == 1
    assert record.digests == {V1: digest(V1)}


def test_a_promotion_keeps_the_last_three_productions_hot_newest_first() -> None:
    record = after(*(promote(version) for version in (V1, V2, V3, V4, V5)))

    assert record.production == V5
    assert record.previous == (V4, V3, V2)


def test_promoting_an_earlier_production_again_names_it_only_once() -> None:
    record = after(promote(V1), promote(V2), promote(V1))

    assert (record.production, record.previous) == (V1, (V2,))


def test_a_promotion_ends_what_the_version_was_on_its_way_and_leaves_the_other_canary() -> None:
    record = after(promote(V1), tag(V2, Tag.CANDIDATE), canary(V2, 500), canary(V3, 100), shadow(V2, 10_000), promote(V2))

    assert record.canaries == (Canary(V3, Slice(End.HIGH, 100)),)
    assert record.shadows == ()
    assert record.candidate is None
    assert record.salt == "digits@1.1.0"


def test_only_a_ready_version_is_promoted_and_the_refusal_tells_its_state() -> None:
    error = refused(after(promote(V1)), promote(V2), NONE_READY)

    assert isinstance(error, refusals.NotReady)
    assert "failed golden 3: expected 7, got 1" in str(error)


def test_what_is_in_production_is_not_promoted_again() -> None:
    assert isinstance(refused(after(promote(V1)), promote(V1)), refusals.AlreadyInProduction)


# --- tags


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


# --- canaries


def test_the_first_canary_grows_from_the_low_end_and_the_second_from_the_high_end() -> None:
    record = after(promote(V1), canary(V2, 500), canary(V3, 100))

    assert record.canaries == (Canary(V2, Slice(End.LOW, 500)), Canary(V3, Slice(End.HIGH, 100)))


def test_a_canary_keeps_its_end_when_its_weight_changes_and_when_the_other_leaves() -> None:
    record = after(promote(V1), canary(V2, 500), canary(V3, 100), canary(V2, 0), canary(V3, 9_000))

    assert record.canaries == (Canary(V3, Slice(End.HIGH, 9_000)),)


def test_a_canary_takes_the_end_that_is_free() -> None:
    record = after(promote(V1), canary(V2, 500), canary(V3, 100), canary(V2, 0), canary(V4, 200))

    assert {each.version: each.slice.end for each in record.canaries} == {V3: End.HIGH, V4: End.LOW}


def test_the_salt_lasts_from_the_first_canary_to_the_last() -> None:
    salts = [FamilyRecord("digits").salt]
    record = after(promote(V1))
    for change in (canary(V2, 500), canary(V2, 100), canary(V3, 100), canary(V2, 0), canary(V3, 0), canary(V3, 100)):
        record = apply(record, change, ALL_READY)
        salts.append(record.salt)

    assert salts == ["", *["digits@1.1.0"] * 4, "", "digits@1.2.0"]


def test_a_third_canary_is_refused() -> None:
    error = refused(after(promote(V1), canary(V2, 1), canary(V3, 1)), canary(V4, 1))

    assert isinstance(error, refusals.TooManyCanaries)
    assert "1.1.0, 1.2.0" in str(error)


def test_canaries_together_take_at_most_everything() -> None:
    record = after(promote(V1), canary(V2, 9_000), canary(V3, 1_000))

    assert isinstance(refused(record, canary(V3, 1_001)), refusals.WeightsExceedWhole)


@pytest.mark.parametrize("weight", [-1, 10_001])
@pytest.mark.parametrize("change", [canary, shadow])
def test_a_weight_outside_the_whole_is_refused(change: Any, weight: int) -> None:
    assert isinstance(refused(after(promote(V1)), change(V2, weight)), refusals.WeightOutOfRange)


@pytest.mark.parametrize("change", [canary(V2, 100), shadow(V2, 100)])
def test_a_canary_or_shadow_needs_a_production_to_stand_beside(change: Change) -> None:
    assert isinstance(refused(FamilyRecord("digits"), change), refusals.NeedsProduction)


@pytest.mark.parametrize("change", [canary(V1, 100), shadow(V1, 100)])
def test_production_is_not_its_own_canary_or_shadow(change: Change) -> None:
    assert isinstance(refused(after(promote(V1)), change), refusals.AlreadyInProduction)


@pytest.mark.parametrize("change", [canary(V2, 0), shadow(V2, 0)])
def test_what_is_not_there_is_not_removed(change: Change) -> None:
    assert isinstance(refused(after(promote(V1)), change), refusals.NotRouted)


@pytest.mark.parametrize("split", [canary, shadow])
def test_a_weight_rises_only_when_the_version_is_ready_but_falls_always(split: Any) -> None:
    record = after(promote(V1), split(V2, 500))

    assert isinstance(refused(record, split(V2, 501), NONE_READY), refusals.NotReady)
    lowered = apply(record, split(V2, 499), NONE_READY)
    ended = apply(lowered, split(V2, 0), NONE_READY)
    assert (ended.canaries, ended.shadows) == ((), ())


# --- shadows


def test_several_shadows_run_side_by_side_up_to_a_bound() -> None:
    record = after(promote(V1), *(shadow(version, 100) for version in (V2, V3, V4, V5)))
    sixth = ModelVersion.parse("11.0.0")

    error = refused(record, SetShadow(sixth, digest(sixth), 1))

    assert [each.version for each in record.shadows] == [V2, V3, V4, V5]
    assert isinstance(error, refusals.TooManyShadows)


def test_a_shadow_keeps_its_place_when_its_weight_changes() -> None:
    record = after(promote(V1), shadow(V2, 100), shadow(V3, 100), shadow(V2, 10_000))

    assert record.shadows == (Shadow(V2, 10_000), Shadow(V3, 100))


# --- rollback


def test_a_rollback_with_canaries_drops_and_quarantines_them_and_leaves_production() -> None:
    record = after(promote(V1), promote(V2), canary(V3, 100), canary(V4, 100), shadow(V3, 100), tag(V4, Tag.CANDIDATE))

    rolled = apply(record, RollBack(), NONE_READY)

    assert (rolled.production, rolled.previous) == (V2, (V1,))
    assert (rolled.canaries, rolled.shadows, rolled.candidate, rolled.salt) == ((), (), None, "")
    assert rolled.quarantined == {V3: DECIDED.reason, V4: DECIDED.reason}


def test_naming_the_current_production_drops_the_canaries_too() -> None:
    record = after(promote(V1), promote(V2), canary(V3, 100))

    assert apply(record, RollBack(V2), NONE_READY) == apply(record, RollBack(), NONE_READY)


def test_a_rollback_of_canaries_does_not_change_since_when_production_is_what_it_is() -> None:
    record = replace(after(promote(V1), canary(V2, 1)), production_decided=Decided(DECIDED.at, "grace", "first"))

    assert apply(record, RollBack(), NONE_READY).production_decided == Decided(DECIDED.at, "grace", "first")


def test_a_rollback_without_canaries_puts_the_last_production_back_and_condemns_the_one_it_leaves() -> None:
    record = after(promote(V1), promote(V2), promote(V3))

    rolled = apply(record, RollBack(), NONE_READY)

    assert (rolled.production, rolled.previous) == (V2, (V1,))
    assert rolled.quarantined == {V3: DECIDED.reason}
    assert V3 not in rolled.aspired()


def test_a_rollback_goes_further_back_when_it_names_where_and_drops_canaries_without_blame() -> None:
    record = after(promote(V1), promote(V2), promote(V3), canary(V4, 100))

    rolled = apply(record, RollBack(V1), NONE_READY)

    assert (rolled.production, rolled.previous, rolled.canaries) == (V1, (V2,), ())
    assert rolled.quarantined == {V3: DECIDED.reason}


def test_a_rollback_works_to_a_deprecated_version_and_to_one_that_runs_as_shadow_or_canary() -> None:
    record = after(promote(V1), tag(V2, Tag.CANDIDATE), promote(V2), shadow(V1, 100), canary(V1, 100))
    deprecated = after(promote(V1), promote(V2), tag(V1, Tag.DEPRECATED))

    assert apply(record, RollBack(V1), NONE_READY).tags_of(V1) == {Tag.PRODUCTION}
    assert apply(deprecated, RollBack(), NONE_READY).tags_of(V1) == {Tag.PRODUCTION, Tag.DEPRECATED}


def test_a_standby_that_failed_as_a_canary_is_gone_back_to_only_by_name() -> None:
    record = after(promote(V1), promote(V2), promote(V3), canary(V2, 100), RollBack())

    assert way_back(record).target == V1
    named = apply(record, RollBack(V2), NONE_READY)
    assert (named.production, named.quarantined) == (V2, {V3: DECIDED.reason})


def test_there_is_nothing_to_roll_back_without_canary_and_earlier_production() -> None:
    for record in (FamilyRecord("digits"), after(tag(V1, Tag.CANDIDATE)), after(promote(V1))):
        assert isinstance(refused(record, RollBack()), refusals.NothingToRollBack)


def test_a_rollback_goes_only_where_the_family_has_been() -> None:
    error = refused(after(promote(V1), promote(V2)), RollBack(V3))

    assert isinstance(error, refusals.NotARollbackTarget)
    assert "1.0.0" in str(error)


# --- quarantine


@pytest.mark.parametrize(
    "make", [partial(promote, V2), partial(canary, V2, 1), partial(shadow, V2, 1)], ids=["promote", "canary", "shadow"]
)
def test_a_quarantined_version_takes_traffic_again_only_by_an_override_which_lifts_it(make: Any) -> None:
    record = after(promote(V1), canary(V2, 100), RollBack())

    error = refused(record, make(override=False))

    assert isinstance(error, refusals.Quarantined)
    assert DECIDED.reason in str(error)
    assert after(make(override=True), record=record).quarantined == {}


def test_a_quarantined_version_may_be_loaded_to_be_looked_at_but_not_staged() -> None:
    record = after(promote(V1), canary(V2, 100), RollBack())

    assert isinstance(refused(record, tag(V2, Tag.STAGING)), refusals.Quarantined)
    assert after(tag(V2, Tag.CANDIDATE), record=record).quarantined == {V2: DECIDED.reason}


def test_a_quarantine_is_lifted_by_a_release_and_only_once() -> None:
    record = after(promote(V1), canary(V2, 100), RollBack(), Release(V2))

    assert record.quarantined == {}
    assert isinstance(refused(record, Release(V2)), refusals.NotQuarantined)


# --- the record itself


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


# --- deprecation and consumers


def test_a_deprecated_version_knows_since_when_and_until_when_until_its_tag_is_taken_off() -> None:
    until = DECIDED.at + timedelta(days=90)

    record = after(promote(V1), replace(tag(V2, Tag.DEPRECATED), sunset=until))

    assert record.deprecations == {V2: Deprecation(DECIDED.at, until)}
    assert after(ClearTag(V2, Tag.DEPRECATED), record=record).deprecations == {}


def test_a_sunset_that_is_over_is_refused() -> None:
    past = replace(tag(V2, Tag.DEPRECATED), sunset=DECIDED.at - timedelta(seconds=1))

    assert isinstance(refused(after(promote(V1)), past), refusals.SunsetBefore)


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
