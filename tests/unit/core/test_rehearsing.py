"""A rehearsal in a family's record: a route comes and goes, and nothing else of the family changes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from registry_client.versions import ModelVersion
from serving.core.changes import Change, ChangeFacts, Promote, RollBack, SetCanary, apply
from serving.core.drilling import BeginDrill, practice_of
from serving.core.drills import caught_trend_of, trend_of
from serving.core.errors import ChangeRefused
from serving.core.injections import Injection
from serving.core.lifecycle import Decided, FamilyRecord
from serving.core.rehearsing import BeginRehearsal, CatchRehearsal, EndRehearsal
from serving.core.standing import Receipt
from serving.core.tables import route_of

NOW = datetime(2030, 1, 7, tzinfo=UTC)
V1, V2 = ModelVersion.parse("1.0.0"), ModelVersion.parse("1.1.0")
FACTS = ChangeFacts(Decided(NOW, "ada", "practice"), ready=frozenset({V1, V2}))
BEGIN = BeginRehearsal("op-1", Injection.ERRORS, "f" * 64, "{}", 1, 2_500, NOW + timedelta(minutes=1))
CAUGHT = Receipt("failed 9 of 20", "errors", "auto", NOW + timedelta(seconds=2), NOW + timedelta(seconds=2))


def family() -> FamilyRecord:
    record = FamilyRecord("digits", digests={V1: "1" * 64, V2: "2" * 64})
    for version in (V1, V2):
        record = apply(record, Promote(version, record.digests[version]), FACTS)
    return record


def all_steps() -> list[FamilyRecord]:
    record, steps = family(), list[FamilyRecord]()
    changes: list[Change] = [BEGIN, CatchRehearsal("op-1", CAUGHT), EndRehearsal("op-1", replace(CAUGHT, verified=NOW), NOW)]
    for change in changes:
        record = apply(record, change, FACTS)
        steps.append(record)
    return steps


def test_at_every_step_the_family_and_its_route_are_as_before_but_for_the_route_of_the_rehearsal() -> None:
    before = family()

    for step in all_steps():
        assert replace(step, rehearsal=None, drills=(), revision=before.revision) == before
        assert replace(route_of(step), rehearsal=None) == route_of(before)


def test_the_route_is_there_until_the_guards_have_it_taken_out() -> None:
    begun, caught, over = all_steps()

    route = route_of(begun).rehearsal
    assert route is not None
    assert (route.target.version, route.weight, route.key, route.watch.rollout) == (V2, 2_500, "f" * 64, "op-1")
    assert [route_of(step).rehearsal for step in (caught, over)] == [None, None]


def test_what_it_came_to_is_trended_by_itself_and_is_no_practice_of_the_way_back() -> None:
    over = all_steps()[-1]
    [result] = over.drills

    assert (result.passed, result.injected, result.caught_seconds) == (True, "errors", 2.0)
    assert (trend_of(over.drills).drills, caught_trend_of(over.drills).median) == (0, 2.0)
    practice = practice_of(over)
    assert practice is not None
    assert practice.results == ()


def test_one_that_nobody_caught_has_failed() -> None:
    over = apply(apply(family(), BEGIN, FACTS), EndRehearsal("op-1"), FACTS)

    assert (over.drills[0].passed, over.drills[0].failure) == (False, "no guard had it taken out")
    assert over.drills[0].caught_seconds is None


@pytest.mark.parametrize("change", [BEGIN, BeginDrill("op-2", NOW, NOW)], ids=["another", "a drill"])
def test_one_is_held_at_a_time(change: Change) -> None:
    with pytest.raises(ChangeRefused, match="a rehearsal is under way"):
        apply(apply(family(), BEGIN, FACTS), change, FACTS)


@pytest.mark.parametrize(
    "record",
    [
        apply(family(), SetCanary(V1, "1" * 64, 500), FACTS),
        apply(family(), BeginDrill("op-2", NOW, NOW), FACTS),
        FamilyRecord("digits"),
    ],
    ids=["a canary", "a drill", "nothing in production"],
)
def test_it_is_refused_beside_what_it_would_disturb(record: FamilyRecord) -> None:
    with pytest.raises(ChangeRefused):
        apply(record, BEGIN, FACTS)


def test_it_is_refused_while_production_is_not_loaded() -> None:
    with pytest.raises(ChangeRefused, match="not loaded"):
        apply(family(), BEGIN, replace(FACTS, ready=frozenset()))


def test_what_is_over_is_not_caught_nor_ended_again() -> None:
    over = all_steps()[-1]

    for change in (CatchRehearsal("op-1", CAUGHT), EndRehearsal("op-1")):
        with pytest.raises(ChangeRefused, match="not under way"):
            apply(over, change, FACTS)


def test_a_rollback_meanwhile_is_a_rollback() -> None:
    during = apply(family(), BEGIN, FACTS)

    after = apply(during, RollBack(), FACTS)

    assert (after.production, set(after.quarantined)) == (V1, {V2})
    assert after.rehearsal == during.rehearsal
    assert route_of(after).rehearsal is None
