"""Where a rollback goes, what it drops and condemns, and how a condemned version comes back."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from registry_client.references import Tag
from serving.core import refusals
from serving.core.changes import Release, RollBack, apply, way_back
from serving.core.lifecycle import Decided, FamilyRecord
from tests.unit.core.lifecycle.changes import DECIDED, NONE_READY, V1, V2, V3, V4, after, canary, promote, refused, shadow, tag


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
