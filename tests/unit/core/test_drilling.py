from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from registry_client.versions import ModelVersion
from serving.core.changes import ChangeFacts, Promote, RollBack, SetCanary, apply, way_back
from serving.core.drilling import BeginDrill, EndDrill, FailDrill
from serving.core.drills import MOST_DRILLS
from serving.core.errors import ChangeRefused
from serving.core.lifecycle import Decided, FamilyRecord, summary
from serving.core.refusals import CannotDrill, DrillUnderway, NothingToRollBack, NotReady
from serving.core.traffic import WHOLE

NOW = datetime(2030, 1, 7, tzinfo=UTC)
V1, V1_1, V2 = (ModelVersion.parse(text) for text in ("1.0.0", "1.1.0", "2.0.0"))
FACTS = ChangeFacts(Decided(NOW, "ada", "practice"), ready=frozenset({V1, V1_1, V2}))
BEGIN = BeginDrill("op-1", NOW, NOW + timedelta(minutes=1))


def family() -> FamilyRecord:
    record = FamilyRecord("digits", digests={V1: "1" * 64, V1_1: "a" * 64, V2: "2" * 64})
    for version in (V1, V1_1, V2):
        record = apply(record, Promote(version, record.digests[version]), FACTS)
    return record


def drilled() -> FamilyRecord:
    return apply(family(), BEGIN, FACTS)


def test_production_goes_where_a_rollback_would_lead_and_nobody_is_condemned() -> None:
    before, during = family(), drilled()

    assert during.production == way_back(before).target == V1_1
    assert during.quarantined == {}
    assert V2 in during.aspired(), "it stays loaded, to come back to"
    assert during.drill is not None
    assert (during.drill.version, during.drill.to) == (V2, V1_1)


def test_afterwards_all_is_as_it_was_and_the_result_is_written_down() -> None:
    before, during = family(), drilled()
    assert during.drill is not None

    after = apply(during, EndDrill(replace(during.drill.receipt, flipped=NOW)), FACTS)

    assert replace(after, drills=(), revision=before.revision) == before
    [result] = after.drills
    assert result.passed
    assert (result.version, result.to, result.restored) == (V2, V1_1, NOW)


def test_a_rollback_in_the_middle_of_a_drill_is_a_rollback() -> None:
    during = drilled()

    after = apply(during, RollBack(), FACTS)

    assert after.production == V1_1
    assert set(after.quarantined) == {V2}
    assert after.drill is None
    assert "broken off" in after.drills[0].failure
    with pytest.raises(CannotDrill, match="none is under way"):
        apply(after, EndDrill(after.drills[0].receipt), FACTS)


def test_a_rollback_to_the_drilled_version_by_name_ends_the_drill_too() -> None:
    after = apply(drilled(), RollBack(V2), FACTS)

    assert after.production == V2
    assert set(after.quarantined) == {V1_1}
    assert after.drill is None


@pytest.mark.parametrize("change", [Promote(V1, "1" * 64), SetCanary(V1, "1" * 64, 500)])
def test_nothing_else_moves_forward_during_a_drill(change: Promote | SetCanary) -> None:
    with pytest.raises(DrillUnderway, match="drill"):
        apply(drilled(), change, FACTS)


def test_a_second_drill_waits_for_the_first() -> None:
    with pytest.raises(CannotDrill, match="under way"):
        apply(drilled(), replace(BEGIN, id="op-2"), FACTS)


def test_a_drill_does_not_take_part_in_a_canary() -> None:
    record = apply(family(), SetCanary(V1, "1" * 64, WHOLE // 20), FACTS)

    with pytest.raises(CannotDrill, match="canary"):
        apply(record, BEGIN, FACTS)


def test_a_drill_hurts_nobody_where_the_way_back_is_not_loaded() -> None:
    with pytest.raises(NotReady, match=r"1\.1\.0"):
        apply(family(), BEGIN, replace(FACTS, ready=frozenset({V2})))


def test_without_a_way_back_there_is_nothing_to_practise() -> None:
    record = apply(FamilyRecord("digits", digests={V1: "1" * 64}), Promote(V1, "1" * 64), FACTS)

    with pytest.raises(NothingToRollBack):
        apply(record, BEGIN, FACTS)


def test_a_drill_that_is_over_can_still_fail_and_only_that_one() -> None:
    record = family()
    for number in (1, 2):
        during = apply(record, replace(BEGIN, id=f"op-{number}"), FACTS)
        assert during.drill is not None
        record = apply(during, EndDrill(during.drill.receipt), FACTS)

    after = apply(record, FailDrill("op-1", "the restoration is not verified"), FACTS)

    assert [one.passed for one in after.drills] == [True, False]


def test_a_family_remembers_only_so_many() -> None:
    record = family()
    for number in range(MOST_DRILLS + 3):
        during = apply(record, replace(BEGIN, id=f"op-{number}"), FACTS)
        assert during.drill is not None
        record = apply(during, EndDrill(during.drill.receipt), FACTS)

    assert [one.id for one in record.drills] == [f"op-{number}" for number in reversed(range(3, MOST_DRILLS + 3))]


def test_the_audit_sees_a_drill_begin_and_end() -> None:
    assert summary(drilled())["drill"] == "2.0.0"
    assert summary(family())["drill"] is None


def test_every_refusal_says_what_to_do() -> None:
    assert issubclass(CannotDrill, ChangeRefused)
    assert CannotDrill("digits", "why").hint
    assert DrillUnderway("digits", V2).hint
