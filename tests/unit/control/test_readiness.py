from datetime import UTC, datetime, timedelta

import pytest

from registry_client.versions import ModelVersion
from serving.control.readiness import hindrances, readiness_of
from serving.core.changes import ChangeFacts, Promote, RollBack, apply
from serving.core.drills import DrillResult
from serving.core.lifecycle import Decided, FamilyRecord
from serving.core.refusals import WayBackNotReady
from serving.core.routing import Target
from serving.core.standing import Receipt
from serving.ports import LoadState, LoadStatus

NOW = datetime(2030, 1, 7, tzinfo=UTC)
V1, V2, V3 = (ModelVersion.parse(text) for text in ("1.0.0", "1.1.0", "1.2.0"))
DIGESTS = {V1: "1" * 64, V2: "2" * 64, V3: "3" * 64}
ALL = ChangeFacts(Decided(NOW, "ada", "why"), ready=frozenset(DIGESTS))


def family(*versions: ModelVersion) -> FamilyRecord:
    record = FamilyRecord("digits", digests=DIGESTS)
    for version in versions:
        record = apply(record, Promote(version, DIGESTS[version]), ALL)
    return record


def status(version: ModelVersion, state: LoadState = LoadState.READY, detail: str = "", digest: str = "") -> LoadStatus:
    return LoadStatus(Target("digits", version, digest or DIGESTS[version]), state, detail)


def test_a_way_back_that_is_loaded_is_proven_with_its_digest() -> None:
    readiness = readiness_of(family(V1, V2), [status(V1), status(V2)])

    assert readiness.is_proven
    assert (readiness.version, readiness.to, readiness.digest) == (V2, V1, DIGESTS[V1])
    assert readiness.estimated_seconds is not None
    assert readiness.estimated_seconds < 1


def test_how_long_it_takes_is_what_drills_have_shown() -> None:
    receipt = Receipt("practice", "drill", "auto", NOW, NOW, NOW, 7, None, NOW + timedelta(seconds=0.4))
    record = family(V1, V2)
    drilled = FamilyRecord("digits", digests=DIGESTS, production=V2, previous=(V1,), drills=(DrillResult("op-1", V2, V1, receipt, NOW),))

    assert readiness_of(drilled, [status(V1)]).estimated_seconds == 0.4
    assert readiness_of(record, [status(V1)]).estimated_seconds != 0.4


@pytest.mark.parametrize(
    ("states", "fault"),
    [
        ([], "not loaded"),
        ([status(V1, LoadState.LOADING)], "loading"),
        ([status(V1, LoadState.FAILED, "2 of 3 golden examples failed")], "failed"),
        ([status(V1, digest="f" * 64)], "not loaded"),
    ],
)
def test_a_way_back_that_is_not_loaded_as_what_it_was_is_not_proven(states: list[LoadStatus], fault: str) -> None:
    readiness = readiness_of(family(V1, V2), states)

    assert not readiness.is_proven
    assert fault in readiness.sentence


def test_without_a_version_before_there_is_no_way_back() -> None:
    readiness = readiness_of(family(V1), [status(V1)])

    assert not readiness.is_proven
    assert "no way back" in readiness.sentence


def test_nothing_is_promoted_over_a_production_that_could_not_be_gone_back_to() -> None:
    facts = ChangeFacts(ALL.decided, ready=frozenset({V3}), states={V2: "failed its golden examples"})

    with pytest.raises(WayBackNotReady, match=r"1\.1\.0.*failed its golden") as refused:
        apply(family(V1, V2), Promote(V3, DIGESTS[V3]), facts)

    assert "--override" in refused.value.hint


def test_past_a_broken_production_one_gets_by_override_and_a_rollback_asks_nothing() -> None:
    facts = ChangeFacts(ALL.decided, ready=frozenset({V3}))

    assert apply(family(V1, V2), Promote(V3, DIGESTS[V3], override=True), facts).production == V3
    assert apply(family(V1, V2), RollBack(), ChangeFacts(ALL.decided)).production == V1


def test_a_first_version_has_no_way_back_and_needs_none() -> None:
    assert apply(FamilyRecord("digits", digests=DIGESTS), Promote(V1, DIGESTS[V1]), ALL).production == V1


def test_a_rollout_does_not_start_beside_a_production_that_could_not_be_gone_back_to() -> None:
    record = family(V1, V2)

    assert hindrances(record, [status(V2)]) == ()
    [why] = hindrances(record, [status(V2, LoadState.FAILED, "out of memory")])
    assert "1.1.0, the way back, is failed out of memory" in why
    assert hindrances(FamilyRecord("digits"), []) == ()
