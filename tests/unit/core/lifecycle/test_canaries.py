"""Canaries and shadows: their ends, places and weights, and what they need."""

from typing import Any

import pytest

from registry_client.versions import ModelVersion
from serving.core import refusals
from serving.core.changes import Change, SetShadow, apply
from serving.core.lifecycle import Canary, FamilyRecord, Shadow
from serving.core.traffic import End, Slice
from tests.unit.core.lifecycle.changes import ALL_READY, NONE_READY, V1, V2, V3, V4, V5, after, canary, digest, promote, refused, shadow


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


def test_several_shadows_run_side_by_side_up_to_a_bound() -> None:
    record = after(promote(V1), *(shadow(version, 100) for version in (V2, V3, V4, V5)))
    sixth = ModelVersion.parse("11.0.0")

    error = refused(record, SetShadow(sixth, digest(sixth), 1))

    assert [each.version for each in record.shadows] == [V2, V3, V4, V5]
    assert isinstance(error, refusals.TooManyShadows)


def test_a_shadow_keeps_its_place_when_its_weight_changes() -> None:
    record = after(promote(V1), shadow(V2, 100), shadow(V3, 100), shadow(V2, 10_000))

    assert record.shadows == (Shadow(V2, 10_000), Shadow(V3, 100))
