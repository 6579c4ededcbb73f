"""A rollout's step is one change of the family: the traffic follows it, others may not push past it, and nobody is kept from going back."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from registry_client.versions import ModelVersion
from serving.core.assessing import Assessment, GuardVerdict
from serving.core.changes import ChangeFacts, Promote, RollBack, SetCanary, SetShadow, apply
from serving.core.happenings import Actor, Event, Hold, Observed, Start
from serving.core.happenings import RollBack as TakeBack
from serving.core.lifecycle import Decided, FamilyRecord, summary
from serving.core.moving import Move, moved
from serving.core.refusals import NotReady, RolloutAfoot
from serving.core.rollout import weight
from serving.core.routing import MissingKey
from serving.core.standing import Rollout, State
from serving.core.underway import MOST_ASKED, Terms, Underway
from serving.core.verdicts import Finding
from tests.fakes.rollout_world import BEGIN, OWNER, step, track

V1, V2, V3 = (ModelVersion.parse(text) for text in ("1.0.0", "1.1.0", "2.0.0"))
STANDARD = track("standard")
POLICY = STANDARD.policy
FACTS = ChangeFacts(Decided(BEGIN, "ada", "it is time"), ready=frozenset({V1, V2, V3}))
LATER = BEGIN + timedelta(days=400)


def family() -> FamilyRecord:
    digests = {V1: "1" * 64, V2: "2" * 64, V3: "3" * 64}
    return FamilyRecord("digits", 4, digests, V1)


def rollout() -> Rollout:
    return Rollout("digits", str(V2), "2" * 64, STANDARD.digest, "ada")


def happen(record: FamilyRecord, event: Event, facts: ChangeFacts = FACTS) -> FamilyRecord:
    underway = record.rollout or Underway("digits-1.1.0-5", rollout(), STANDARD.document.decode(), BEGIN)
    after, effects = step(STANDARD, underway.rollout, event)
    underway = replace(underway.stepped(after, revision=record.revision + 1), terms=Terms.of(POLICY, after.stage))
    return moved(record, Move(underway, effects), facts)


def safe(at: datetime, record: FamilyRecord) -> Observed:
    assert record.rollout is not None
    stage = POLICY.stages[record.rollout.rollout.stage]
    verdicts = tuple(GuardVerdict(guard.id, Finding.SAFE, has_data=True, sentence="fine") for guard in POLICY.watching(stage))
    return Observed(at, Assessment(verdicts, units=10**9, pairs=10**9))


def begun() -> FamilyRecord:
    return happen(family(), Start(BEGIN, OWNER))


def ramping() -> FamilyRecord:
    return happen(begun(), safe(LATER, begun()))


def live() -> FamilyRecord:
    record, at = begun(), LATER
    while record.rollout is not None and record.rollout.rollout.state is not State.LIVE:
        record, at = happen(record, safe(at, record)), at + timedelta(days=400)
    return record


def stands(record: FamilyRecord) -> State:
    assert record.rollout is not None
    return record.rollout.rollout.state


def test_each_stage_gives_the_candidate_its_share_in_the_same_change_that_writes_the_stage() -> None:
    record, at = begun(), LATER

    for index, stage in enumerate(POLICY.stages):
        assert record.rollout is not None
        assert record.rollout.rollout.stage == index
        canary, shadow = record.canary_of(V2), record.shadow_of(V2)
        assert (0 if canary is None else canary.slice.weight) == stage.weight == weight(POLICY, record.rollout.rollout)
        assert (0 if shadow is None else shadow.weight) == stage.mirror
        record, at = happen(record, safe(at, record)), at + timedelta(days=400)

    assert stands(record) is State.LIVE
    assert (record.production, record.previous, record.canaries) == (V2, (V1,), ())


def test_a_step_is_one_revision_and_the_audit_names_it() -> None:
    before, after = begun(), ramping()

    assert after.revision == before.revision + 1
    assert summary(after)["rollout"] == {"id": "digits-1.1.0-5", "state": "ramping", "stage": 1}


def test_a_move_that_is_made_again_changes_nothing_but_the_revision() -> None:
    record = ramping()
    assert record.rollout is not None
    _, effects = step(STANDARD, begun().rollout.rollout, safe(LATER, begun()))  # type: ignore[union-attr]

    again = moved(record, Move(record.rollout, effects), FACTS)

    assert replace(again, revision=record.revision) == record


def test_a_candidate_that_is_not_ready_gets_no_more_traffic_and_the_rollout_stays_where_it_is() -> None:
    with pytest.raises(NotReady):
        happen(begun(), safe(LATER, begun()), replace(FACTS, ready=frozenset({V1})))


def test_the_policy_says_by_what_callers_are_told_apart() -> None:
    keyed = track("standard").policy.unit.key
    record = begun()

    assert record.key_headers == tuple(key.removeprefix("header:") for key in keyed)
    assert record.missing_key is MissingKey(POLICY.unit.missing.value)


@pytest.mark.parametrize("change", [SetCanary(V3, "3" * 64, 100), SetShadow(V3, "3" * 64, 100), Promote(V3, "3" * 64)], ids=str)
def test_while_a_rollout_is_afoot_nobody_else_moves_a_version_forward(change: SetCanary | SetShadow | Promote) -> None:
    for record in (begun(), ramping(), happen(ramping(), Hold(LATER, OWNER, "lunch"))):
        with pytest.raises(RolloutAfoot, match=r"digits@1\.1\.0"):
            apply(record, change, FACTS)


def test_harm_takes_the_candidate_out_and_quarantines_it_wherever_it_is() -> None:
    for record in (begun(), ramping(), live()):
        back = happen(record, TakeBack(LATER, OWNER, "it answers 7"))

        assert stands(back) is State.ROLLING_BACK
        assert (back.production, back.canaries, back.shadows) == (V1, (), ())
        assert back.quarantined == {V2: "it answers 7"}


@pytest.mark.parametrize(("previous", "to"), [((), None), ((V3,), V1)])
def test_where_production_stays_a_rollback_takes_back_the_candidate_that_only_gets_copies(
    previous: tuple[ModelVersion, ...], to: ModelVersion | None
) -> None:
    record = replace(begun(), previous=previous)

    back = apply(record, RollBack(to), FACTS)

    assert (stands(record), stands(back)) == (State.SHADOWING, State.ROLLING_BACK)
    assert (back.production, back.previous, back.shadows) == (V1, previous, ())
    assert V2 in back.quarantined


def test_a_rollback_by_hand_goes_through_the_rollout_and_leaves_a_receipt() -> None:
    facts = replace(FACTS, roles=("oncall",))

    for record in (ramping(), live()):
        back = apply(record, RollBack(), facts)

        assert back.rollout is not None
        assert stands(back) is State.ROLLING_BACK
        assert back.rollout.rollout.receipt is not None
        assert back.rollout.rollout.receipt.reason == "it is time"
        assert [one.event for one in back.rollout.asked] == [TakeBack(BEGIN, Actor("ada", ("oncall",)), "it is time", detected=BEGIN)]
        assert back.rollout.asked[0].revision == back.revision
        assert back.production == V1
        assert V2 in back.quarantined


def test_production_rolled_back_beneath_a_shadow_ends_the_rollout_without_blame() -> None:
    record = begun()
    record = replace(record, production=V3, previous=(V1,))

    back = apply(record, RollBack(), FACTS)

    assert stands(back) is State.SUPERSEDED
    assert (back.production, back.shadows) == (V1, ())
    assert V2 not in back.quarantined


def test_another_version_in_production_ends_a_rollout_that_was_live() -> None:
    after = apply(live(), Promote(V3, "3" * 64), FACTS)

    assert stands(after) is State.SUPERSEDED
    assert after.production == V3


def test_a_canary_by_hand_beside_a_live_version_is_rolled_back_alone() -> None:
    record = apply(live(), SetCanary(V3, "3" * 64, 100), FACTS)

    back = apply(record, RollBack(), FACTS)

    assert stands(back) is State.LIVE
    assert (back.production, tuple(back.quarantined)) == (V2, (V3,))


def test_harm_in_a_live_version_takes_it_back_whoever_else_runs_beside_it() -> None:
    record = apply(live(), SetCanary(V3, "3" * 64, 100), FACTS)

    back = happen(record, TakeBack(LATER, OWNER, "it answers 7"))

    assert (back.production, tuple(back.quarantined)) == (V1, (V2,))


def test_what_waits_for_the_log_is_bounded_and_forgotten_once_it_is_heard() -> None:
    underway = Underway("digits-1.1.0-5", rollout(), "{}", BEGIN)
    for number in range(MOST_ASKED + 5):
        underway = underway.stepped(rollout(), revision=number, event=Hold(BEGIN, OWNER, str(number)))

    assert len(underway.asked) == MOST_ASKED
    assert underway.asked[-1].step == underway.steps == MOST_ASKED + 5
    assert underway.heard(underway.steps - 1).asked == underway.asked[-1:]


def test_a_rollout_knows_how_many_edges_it_may_have() -> None:
    with pytest.raises(ValueError, match="1 edges for"):
        Underway("x", rollout(), "{}", datetime(2030, 1, 1, tzinfo=UTC), Terms.of(POLICY, 0), edges=(0.1,))
