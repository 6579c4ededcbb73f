"""Who stays with the old production after the new one is live: it follows from the rollout, and ends with it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from registry_client.references import AnyVersion
from registry_client.versions import ModelVersion
from serving.core.bucketers import Bucketer
from serving.core.changes import ChangeFacts, Promote, RollBack, SetCanary, apply
from serving.core.drilling import BeginDrill
from serving.core.gauges import Chances, gauge
from serving.core.holdbacks import Holdback, holdback_of
from serving.core.lifecycle import Canary, Decided, FamilyRecord
from serving.core.policy import Unit
from serving.core.refusals import RolloutAfoot
from serving.core.routing import Arm, Decision, Facts, MissingKey, Reason, decide
from serving.core.rules import ErrorRule
from serving.core.standing import Rollout, State
from serving.core.tables import route_of, table_of
from serving.core.totals import ArmTotals, Totals
from serving.core.traffic import WHOLE, End, Slice
from serving.core.underway import Terms, Underway
from serving.stores.encoding import record_from_document, record_to_document

V1, V2, V3 = (ModelVersion.parse(text) for text in ("1.0.0", "1.1.0", "1.2.0"))
AT = datetime(2030, 1, 1, tzinfo=UTC)
DIGESTS = {V1: "1" * 64, V2: "2" * 64, V3: "3" * 64}
CALLERS = tuple(f"user-{number}" for number in range(400))
FACTS = ChangeFacts(Decided(AT, "ada", "because"), frozenset(DIGESTS))


def underway(state: State, *, warm: bool = True, holdback: int = 500, unit: Unit = Unit(salt="s")) -> Underway:  # noqa: B008 - frozen
    rollout = Rollout("digits", "1.1.0", DIGESTS[V2], "p" * 64, "ada", state=state, warm_until=AT + timedelta(hours=72) if warm else None)
    return Underway("digits-1.1.0-3", rollout, "{}", AT, Terms(holdback=holdback, unit=unit))


def live(rollout: Underway | None = None) -> FamilyRecord:
    return FamilyRecord("digits", digests=DIGESTS, production=V2, previous=(V1,), rollout=rollout or underway(State.LIVE))


def soaking(unit: Unit) -> FamilyRecord:
    """The same before it was live: all but the holdback are the canary's."""
    canary, rollout = Canary(V2, Slice(End.LOW, WHOLE - 500)), underway(State.SOAKING, warm=False, unit=unit)
    return FamilyRecord("digits", digests=DIGESTS, production=V1, canaries=(canary,), rollout=rollout, salt="digits@1.1.0")


def asked(record: FamilyRecord, key: str | None, dice: float = 0.5) -> Decision:
    return decide(table_of(1, [record]), Facts("digits", AnyVersion(), key, dice, 0.5))


def answerers(record: FamilyRecord) -> dict[str, ModelVersion]:
    return {key: asked(record, key).target.version for key in CALLERS}


def test_a_share_of_the_callers_stays_with_the_old_production_and_says_so() -> None:
    decisions = [asked(live(), key) for key in CALLERS]

    held = [one for one in decisions if one.target.version == V1]
    assert 0.02 < len(held) / len(CALLERS) < 0.09
    assert {(one.arm, one.reason) for one in held} == {(Arm.HOLDBACK, Reason.HOLDBACK)}
    assert {str(one.fallback and one.fallback.version) for one in held} == {"1.1.0"}
    assert {(one.arm, one.reason) for one in decisions if one not in held} == {(Arm.PRODUCTION, Reason.PRODUCTION)}


@pytest.mark.parametrize("bucketer", list(Bucketer))
def test_nobody_changes_sides_when_it_becomes_live_and_each_only_once_afterwards(bucketer: Bucketer) -> None:
    unit = Unit(salt="checkout.s", bucketer=bucketer)
    before, during = answerers(soaking(unit)), answerers(live(underway(State.LIVE, unit=unit)))
    after = answerers(live(underway(State.LIVE, warm=False, unit=unit)))

    assert before == during
    assert {V1, V2} == set(during.values())
    assert set(after.values()) == {V2}


def test_who_has_no_key_is_drawn_or_gets_production_as_the_policy_says() -> None:
    assert asked(live(), None, dice=0.999).target.version == V1
    assert asked(live(), None, dice=0.9).target.version == V2


@pytest.mark.parametrize(
    "record",
    [
        live(underway(State.LIVE, warm=False)),
        live(underway(State.LIVE, holdback=0)),
        live(underway(State.SUPERSEDED)),
        replace(live(), quarantined={V1: "wrong labels"}),
        replace(live(), previous=()),
        replace(live(), rollout=None),
    ],
    ids=["no longer warm", "not wanted", "superseded", "the old one is quarantined", "no old one", "no rollout"],
)
def test_it_ends_with_what_it_follows_from(record: FamilyRecord) -> None:
    assert holdback_of(record) is None
    assert route_of(record).is_undivided


def test_a_rollback_gives_all_callers_the_old_production_and_condemns_only_the_new_one() -> None:
    after = apply(live(), RollBack(), FACTS)

    assert holdback_of(live()) == Holdback(V1, 500)
    assert (after.production, set(after.quarantined), holdback_of(after)) == (V1, {V2}, None)


def test_while_a_drill_practises_the_way_back_all_callers_are_there() -> None:
    drilled = apply(live(), BeginDrill("drill-1", AT, AT + timedelta(minutes=1)), FACTS)

    assert set(answerers(drilled).values()) == {V1}
    assert holdback_of(drilled) is None


def test_beside_it_there_is_no_canary_by_hand_and_a_promotion_ends_it() -> None:
    with pytest.raises(RolloutAfoot):
        apply(live(), SetCanary(V3, DIGESTS[V3], 500), FACTS)

    after = apply(live(), Promote(V3, DIGESTS[V3]), FACTS)

    assert (after.production, holdback_of(after)) == (V3, None)


def test_a_record_with_it_is_read_as_it_was_written() -> None:
    again = record_from_document("digits", record_to_document(live()))

    assert holdback_of(again) == Holdback(V1, 500)
    assert again == live()


@pytest.mark.parametrize(("missing", "holdback", "expected"), [("production", 500, False), ("production", 0, True), ("random", 500, True)])
def test_whoever_has_no_key_is_a_trial_only_where_both_arms_could_have_answered_or_there_is_one(
    missing: str, holdback: int, *, expected: bool
) -> None:
    record = replace(live(underway(State.LIVE, holdback=holdback)), missing_key=MissingKey(missing))

    watch = route_of(record).watch

    assert watch is not None
    assert watch.counts_keyless is expected
    if not watch.counts_keyless:  # nobody without a key is ever held back
        assert {asked(record, None, dice / 100).reason for dice in range(100)} == {Reason.PRODUCTION}


def test_callers_without_a_key_do_not_make_a_good_version_look_bad_beside_its_holdback() -> None:
    guard = gauge(ErrorRule(), Chances(0.001, 0.01), edge=0)
    with_keyless = guard
    for _ in range(300):  # both fail one in fifty; nine of ten callers have no key
        guard = guard.after(Totals(ArmTotals(95, 2), ArmTotals(5)), share=0.5).after(Totals(ArmTotals(5), ArmTotals(95, 2)), share=0.5)
        with_keyless = with_keyless.after(Totals(ArmTotals(1900, 38), ArmTotals(100, 2)), share=0.5)

    assert not guard.read().is_harm
    assert with_keyless.read().is_harm  # which is why they are no trials
