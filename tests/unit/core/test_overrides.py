"""What an override does to a record, as it was and as it has become meanwhile."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from registry_client.versions import ModelVersion
from serving.core.lifecycle import Canary, FamilyRecord
from serving.core.overrides import Author, Override, decide, enforce, remedy
from serving.core.refusals import NotARollbackTarget, NothingToRollBack
from serving.core.traffic import End, Slice

V1, V2, V3 = (ModelVersion.parse(text) for text in ("1.0.0", "1.1.0", "1.2.0"))
AT = datetime(2030, 1, 1, tzinfo=UTC)
AUTHOR = Author("ada", "errors", "override-1", AT)
DIGESTS = {version: f"digest of {version}" for version in (V1, V2, V3)}


def record(production: ModelVersion = V2, previous: tuple[ModelVersion, ...] = (V1,), *canaries: ModelVersion) -> FamilyRecord:
    ends = zip(canaries, (End.LOW, End.HIGH), strict=False)
    return FamilyRecord("digits", 7, DIGESTS, production, None, previous, tuple(Canary(version, Slice(end, 500)) for version, end in ends))


def of(target: ModelVersion, *condemned: ModelVersion, name: str = "override-1", at: datetime = AT) -> Override:
    return Override(name, "digits", target, condemned, "ada", "errors", at, epoch=4)


def test_it_goes_back_to_the_previous_production() -> None:
    assert decide(record(), None, AUTHOR, epoch=4) == of(V1, V2)


def test_it_drops_the_canaries_first() -> None:
    assert decide(record(V2, (V1,), V3), None, AUTHOR, epoch=4) == of(V2, V3)


def test_it_goes_back_to_a_version_that_is_named() -> None:
    assert decide(record(V3, (V2, V1)), V1, AUTHOR, epoch=4) == of(V1, V3)


def test_it_needs_a_way_back() -> None:
    with pytest.raises(NothingToRollBack):
        decide(record(V2, ()), None, AUTHOR, epoch=4)
    with pytest.raises(NotARollbackTarget):
        decide(record(), V3, AUTHOR, epoch=4)


@pytest.mark.parametrize(("target", "condemned"), [(V1, ()), (V1, (V1,))])
def test_one_that_contradicts_itself_cannot_exist(target: ModelVersion, condemned: tuple[ModelVersion, ...]) -> None:
    with pytest.raises(ValueError, match="contradicts itself"):
        of(target, *condemned)


def test_carried_out_it_routes_none_of_what_it_condemned_and_says_so() -> None:
    enforced = enforce({"digits": record(V2, (V1,), V3)}, [of(V1, V2)])

    after = enforced.records["digits"]
    assert (after.production, after.canaries) == (V1, ())
    assert after.quarantined == {V2: "errors"}
    assert enforced.in_force == {"digits": "override-1"}


def test_it_does_nothing_once_the_condemned_version_is_not_routed_any_more() -> None:
    was = record(V3, (V1,))

    enforced = enforce({"digits": was}, [of(V1, V2)])

    assert enforced.records == {"digits": was}
    assert enforced.in_force == {}


def test_a_condemned_canary_that_was_promoted_meanwhile_is_still_taken_out() -> None:
    assert str(remedy(record(V3, (V2, V1)), of(V2, V3))) == "rollback to 1.1.0"


def test_where_the_target_is_no_way_back_any_more_the_newest_other_one_is_taken() -> None:
    assert str(remedy(record(V3, (V2,)), of(V1, V3))) == "rollback to 1.1.0"


def test_where_nothing_else_is_left_that_is_said_and_the_record_stays() -> None:
    stained = replace(record(V2, (V1,)), quarantined={V1: "bad too"})

    enforced = enforce({"digits": stained}, [of(V3, V2)])

    assert enforced.records["digits"] == stained
    assert enforced.in_force == {}
    assert "no candidate to take back" in enforced.impossible["override-1"]


def test_of_several_the_older_ones_come_first() -> None:
    later = of(V1, V2, name="override-2", at=AT + timedelta(seconds=1))

    enforced = enforce({"digits": record(V3, (V2, V1))}, [later, of(V2, V3)])

    assert enforced.records["digits"].production == V1
    assert enforced.in_force == {"digits": "override-2"}


def test_an_override_of_a_family_that_is_not_known_does_nothing() -> None:
    assert enforce({}, [of(V1, V2)]).records == {}


def test_it_reads_as_what_it_does() -> None:
    assert str(of(V1, V2, V3)) == "digits: 1.0.0 instead of 1.1.0, 1.2.0"
