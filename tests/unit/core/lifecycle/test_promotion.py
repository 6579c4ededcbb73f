"""What a promotion does to a family's record, and what it refuses."""

from registry_client.references import Tag
from serving.core import refusals
from serving.core.lifecycle import Canary
from serving.core.traffic import End, Slice
from tests.unit.core.lifecycle.changes import DECIDED, NONE_READY, V1, V2, V3, V4, V5, after, canary, digest, promote, refused, shadow, tag


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
