"""Records as documents: written the same way every time, read strictly, refused with the field that is wrong."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry_client.versions import ModelVersion, VersionRange
from serving.core.assessing import Assessment, GuardVerdict
from serving.core.deprecation import Deprecation
from serving.core.drills import Drilling, DrillResult
from serving.core.errors import InvalidRecord
from serving.core.happenings import Advance, Hold, RollBack
from serving.core.injections import Injection
from serving.core.lifecycle import Canary, Decided, FamilyRecord, Shadow
from serving.core.rehearsals import Rehearsal
from serving.core.routing import MissingKey
from serving.core.standing import Held, Receipt, Rollout, State
from serving.core.traffic import End, Slice
from serving.core.underway import Terms, Underway
from serving.core.verdicts import Finding
from serving.stores.encoding import MOST_BYTES, record_from_document, record_to_document
from tests.fakes.rollout_world import BEGIN, OWNER, track

V1, V2, V3, RC = (ModelVersion.parse(text) for text in ("1.0.0", "9.0.0", "10.0.0", "10.0.0-rc.1"))

RECORD = FamilyRecord(
    "digits",
    revision=12,
    digests={V1: "a" * 64, V2: "b" * 64, V3: "c" * 64, RC: "d" * 64},
    production=V2,
    production_decided=Decided(datetime(2030, 1, 2, 3, 4, 5, 6, tzinfo=timezone(timedelta(hours=2))), "ada", 'she said "now"'),
    previous=(V1,),
    canaries=(Canary(V3, Slice(End.HIGH, 250)),),
    shadows=(Shadow(RC, 10_000),),
    candidate=V3,
    staging=V2,
    deprecated=frozenset({V1}),
    deprecations={V1: Deprecation(datetime(2030, 1, 2, tzinfo=UTC), datetime(2031, 1, 2, tzinfo=UTC))},
    consumers={"billing": VersionRange.parse("^9.1"), "search": VersionRange.parse("10.x")},
    quarantined={V1: "it answered 7 to everything"},
    key_headers=("x-tenant",),
    missing_key=MissingKey.PRODUCTION,
    salt="digits@10.0.0",
)


def document(**changes: Any) -> bytes:
    return json.dumps(json.loads(record_to_document(RECORD)) | changes).encode()


def test_a_record_is_read_back_as_it_was_written() -> None:
    assert record_from_document("digits", record_to_document(RECORD)) == RECORD


def test_the_same_record_is_the_same_bytes_however_its_mappings_were_filled() -> None:
    turned = FamilyRecord("digits", digests=dict(sorted(RECORD.digests.items(), reverse=True)), deprecated=frozenset({V3, V2, V1}))
    straight = FamilyRecord("digits", digests=RECORD.digests, deprecated=frozenset({V1, V2, V3}))

    assert record_to_document(turned) == record_to_document(straight)


def test_schema_1_is_a_contract() -> None:
    plain = FamilyRecord("digits", 1, {V1: "a" * 64}, V1, Decided(datetime(2030, 1, 1, tzinfo=UTC), "ada", "first"), candidate=V1)

    assert json.loads(record_to_document(plain)) == {
        "schema": 1,
        "family": "digits",
        "revision": 1,
        "digests": {"1.0.0": "a" * 64},
        "production": "1.0.0",
        "production_decided": {"at": "2030-01-01T00:00:00Z", "actor": "ada", "reason": "first"},
        "previous": [],
        "canaries": [],
        "shadows": [],
        "candidate": "1.0.0",
        "staging": None,
        "deprecated": [],
        "quarantined": {},
        "key_headers": ["x-user-id", "x-session-id"],
        "missing_key": "random",
        "salt": "",
    }


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("schema", {"schema": 2}),
        ("surprise", {"surprise": True}),
        ("family", {"family": "iris"}),
        ("family", {"family": "../digits"}),
        ("revision", {"revision": -1}),
        ("revision", {"revision": 1.5}),
        ("revision", {"revision": "12"}),
        ("digests", {"digests": {"1.0": "a" * 64}}),
        ("digests", {"digests": {"1.0.0": "A" * 64}}),
        ("digests", {"digests": {}}),
        ("production", {"production": "latest"}),
        ("production", {"production": 1}),
        ("production_decided", {"production_decided": {"at": "yesterday", "actor": "ada", "reason": ""}}),
        ("previous", {"previous": None}),
        ("previous", {"previous": ["9.0.0"]}),
        ("canaries", {"canaries": [{"version": "10.0.0", "end": "middle", "weight": 1}]}),
        ("canaries", {"canaries": [{"version": "10.0.0", "end": "low", "weight": 10_001}]}),
        ("canaries", {"canaries": [{"version": "10.0.0", "end": "low", "weight": 0}]}),
        ("canaries", {"canaries": [{"version": "10.0.0", "end": "low"}]}),
        ("canaries", {"canaries": [{"version": "9.0.0", "end": "low", "weight": 1}]}),
        ("shadows", {"shadows": [{"version": "9.0.0", "weight": 1}]}),
        ("shadows", {"shadows": [{"version": "10.0.0", "weight": 1e308}]}),
        ("quarantined", {"quarantined": {"9.0.0": "bad"}}),
        ("quarantined", {"quarantined": {"9.0.0": None}}),
        ("candidate", {"candidate": "v1"}),
        ("missing_key", {"missing_key": "whatever"}),
        ("key_headers", {"key_headers": "x-user-id"}),
    ],
)
def test_an_invalid_document_is_refused_naming_the_field(field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidRecord, match=field) as refused:
        record_from_document("digits", document(**changes))

    assert refused.value.family == "digits"


@pytest.mark.parametrize("field", sorted(json.loads(record_to_document(RECORD)).keys() - {"schema", "deprecations", "consumers"}))
def test_a_document_without_one_of_its_fields_is_refused(field: str) -> None:
    parts = json.loads(record_to_document(RECORD))
    del parts[field]

    with pytest.raises(InvalidRecord, match=field):
        record_from_document("digits", json.dumps(parts).encode())


@pytest.mark.parametrize(
    "blank",
    [b"", b"null", b"[]", b"{}", b"{", b"\xff\xfe", b"NaN", b"[" * 100_000, b" " * (MOST_BYTES + 1)],
    ids=["empty", "null", "list", "no fields", "cut off", "not utf-8", "NaN", "deep", "oversize"],
)
def test_what_is_no_record_at_all_is_refused(blank: bytes) -> None:
    with pytest.raises(InvalidRecord):
        record_from_document("digits", blank)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_a_damaged_document_is_refused_or_still_a_sound_record(data: st.DataObject) -> None:
    damaged = bytearray(record_to_document(RECORD))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))

    try:
        record = record_from_document("digits", bytes(damaged))
    except InvalidRecord:
        return
    assert record_from_document("digits", record_to_document(record)) == record


# --- rollouts ---------------------------------------------------------------------------------------------------------


def with_rollout() -> FamilyRecord:
    """A family with a rollout that was held, and whose people's events wait for the log."""
    pinned = track("careful")
    receipt = Receipt("it answers 7", "errors", "auto", BEGIN, BEGIN, flipped=BEGIN, epoch=7)
    rollout = Rollout(
        "digits", str(V3), "c" * 64, pinned.digest, "ada", State.HELD, 2, BEGIN, Held("lunch", State.RAMPING), ("grace",), receipt=receipt
    )
    verdict = GuardVerdict("errors", Finding.SAFE, has_data=True, sentence="0 of 10", numbers={"log_e_safe": 1 / 3})
    assessment = Assessment((verdict,), 10, 0)
    terms = replace(Terms.of(pinned.policy, 2), lease=timedelta(seconds=42))
    underway = Underway("digits-10.0.0-12", rollout, pinned.document.decode(), BEGIN, terms, classes=("cat", "dog"))
    for event in (
        Hold(BEGIN, OWNER, "lunch"),
        Advance(BEGIN, OWNER, ("p99",), "known", assessment),
        RollBack(BEGIN, OWNER, "it answers 7"),
    ):
        underway = underway.stepped(rollout, revision=12, event=event)
    return replace(RECORD, rollout=underway)


def test_a_rollout_is_read_back_as_it_was_written_with_what_was_asked_of_it() -> None:
    record = with_rollout()

    assert record_from_document("digits", record_to_document(record)) == record


def test_a_record_without_a_rollout_is_the_document_that_earlier_programs_read() -> None:
    assert b"rollout" not in record_to_document(RECORD)


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("later",), 1, "later"),
        (("rollout", "later"), 1, r"rollout\.rollout\.later"),
        (("rollout", "held", "later"), 1, r"rollout\.rollout\.held\.later"),
        (("terms", "unit", "later"), 1, r"rollout\.terms\.unit\.later"),
        (("rollout", "state"), "dancing", r"rollout\.rollout.*dancing"),
        (("rollout", "digest"), "d" * 64, r"rollout: 10\.0\.0 is not the candidate"),
        (("rollout", "family"), "letters", "it is of letters"),
        (("rollout", "state"), "live", "live and not in production"),
        (("edges",), [0.1], "1 edges for"),
        (("asked",), [{"step": 1, "revision": 2, "event": {"kind": "dance"}}], r"rollout\.asked"),
        (("asked",), [{"step": 1, "revision": 2, "event": {}}], "without a kind"),
    ],
)
def test_a_rollout_that_is_not_understood_whole_is_refused_by_name(path: tuple[str, ...], value: object, named: str) -> None:
    document = json.loads(record_to_document(with_rollout()))
    inner = document["rollout"]
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value

    with pytest.raises(InvalidRecord, match=named):
        record_from_document("digits", json.dumps(document).encode())


RECEIPT = Receipt("practice", "drill", "ada", BEGIN, BEGIN, BEGIN + timedelta(milliseconds=5), 7, None, BEGIN + timedelta(seconds=1))
DRILLED = replace(
    RECORD,
    quarantined={},
    canaries=(),
    drill=Drilling("op-2", V1, V2, replace(RECEIPT, verified=None), BEGIN + timedelta(minutes=1)),
    drills=(
        DrillResult("op-1", V2, V1, RECEIPT, BEGIN + timedelta(seconds=2), "it was ünlucky"),
        DrillResult("op-0", V2, V2, RECEIPT, injected="errors", began=BEGIN),
    ),
    rehearsal=Rehearsal("op-3", V2, Injection.ERRORS, "f" * 64, "{}", 2, 2_500, RECEIPT, BEGIN, is_caught=True),
)


def test_a_record_with_drills_is_read_back_as_it_was_written() -> None:
    assert record_from_document("digits", record_to_document(DRILLED)) == DRILLED


@pytest.mark.parametrize("place", [("drill",), ("drill", "receipt"), ("drills", 0), ("drills", 0, "receipt"), ("rehearsal",)])
def test_a_part_of_a_drill_that_nobody_knows_is_refused(place: tuple[str | int, ...]) -> None:
    plain = json.loads(record_to_document(DRILLED))
    part: Any = plain
    for step in place:
        part = part[step]
    part["surprise"] = True

    with pytest.raises(InvalidRecord, match="surprise"):
        record_from_document("digits", json.dumps(plain).encode())


def test_a_drill_of_a_version_that_is_none_is_refused() -> None:
    plain = json.loads(record_to_document(DRILLED))
    plain["drill"]["to"] = "latest"

    with pytest.raises(InvalidRecord, match="drill"):
        record_from_document("digits", json.dumps(plain).encode())


def test_a_drill_that_does_not_fit_the_production_is_refused() -> None:
    plain = json.loads(record_to_document(DRILLED))
    plain["drill"]["to"] = "1.0.0"

    with pytest.raises(InvalidRecord, match="stands in for"):
        record_from_document("digits", json.dumps(plain).encode())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("deprecations", {"9.0.0": {"since": "2030-01-02T00:00:00Z", "sunset": None}}),
        ("deprecations", {"1.0.0": {"since": "2030-01-02T00:00:00Z", "sunset": "2029-01-02T00:00:00Z"}}),
        ("deprecations", {"1.0.0": {"since": "2030-01-02T00:00:00", "sunset": None}}),
        ("consumers", {"billing": "1.0.0"}),
        ("consumers", {"Billing": "^1"}),
    ],
)
def test_deprecations_and_consumers_that_contradict_the_rest_are_refused_by_their_name(field: str, value: object) -> None:
    with pytest.raises(InvalidRecord, match=field):
        record_from_document("digits", document(**{field: value}))
