import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_client.versions import ModelVersion, VersionRange
from serving.core.consumers import (
    MOST_CONSUMERS,
    ClearConsumer,
    SetConsumer,
    UnfitConsumer,
    UnknownConsumer,
    left_behind,
    registered,
    told,
)

ONE, TWO = VersionRange.parse("^1.2"), VersionRange.parse("~2.0")


def test_a_consumer_is_registered_moved_and_forgotten() -> None:
    first = registered("digits", {}, SetConsumer("billing", ONE))
    moved = registered("digits", first, SetConsumer("billing", TWO))

    assert (first, moved) == ({"billing": ONE}, {"billing": TWO})
    assert registered("digits", moved, ClearConsumer("billing")) == {}


@pytest.mark.parametrize("name", ["", "Billing", "1st", "a b", "a\n", "x" * 64, "other{", "ü"])
def test_a_name_that_could_spoil_a_label_is_none(name: str) -> None:
    with pytest.raises(UnfitConsumer):
        registered("digits", {}, SetConsumer(name, ONE))


def test_there_is_an_end_to_the_names_and_those_there_are_can_still_move() -> None:
    full = {f"c{number}": ONE for number in range(MOST_CONSUMERS)}

    with pytest.raises(UnfitConsumer):
        registered("digits", full, SetConsumer("one-more", ONE))
    assert registered("digits", full, SetConsumer("c0", TWO))["c0"] == TWO


def test_nobody_is_forgotten_who_was_not_there() -> None:
    with pytest.raises(UnknownConsumer):
        registered("digits", {}, ClearConsumer("billing"))


def test_who_cannot_take_a_version_is_named_with_what_they_can() -> None:
    behind = left_behind({"search": TWO, "billing": ONE}, ModelVersion.parse("3.0.0"))

    assert told(behind) == "billing (^1.2) and search (~2.0)"
    assert left_behind({"billing": ONE}, ModelVersion.parse("1.9.0")) == {}


@given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
def test_somebody_is_left_behind_exactly_where_his_range_does_not_reach(major: int, minor: int, patch: int) -> None:
    version = ModelVersion.parse(f"{major}.{minor}.{patch}")

    assert ("billing" in left_behind({"billing": ONE}, version)) == (ONE.highest([version]) is None)
