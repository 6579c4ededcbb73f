"""The audit as the admin API shows it, and families as they were."""

from datetime import datetime
from typing import Any

import httpx
import pytest

from serving.core.audit import AuditEntry, Mark, entry_hash, verify_chain
from serving.core.heads import SignedHead
from serving.stores.signing import is_signed
from tests.fakes.admin import AdminWorld


@pytest.fixture
async def world() -> AdminWorld:
    """Three changes of digits, ten seconds apart at least."""
    world = AdminWorld()
    world.runs("1.0.0", "1.1.0", "1.2.0")
    async with world.client() as admin:
        for version in ("1.0.0", "1.1.0"):
            await promote(admin, version)
            world.clock.advance(10)  # type: ignore[attr-defined] # a fake clock
        await admin.post("/v1/families/digits/rollback", json={"reason": "it drops digits"}, headers={"X-Actor": "grace"})
    return world


async def promote(admin: httpx.AsyncClient, version: str) -> None:
    body = {"version": version, "reason": f"better than before {version}"}
    answer = await admin.post("/v1/families/digits/promote", json=body, headers={"If-Match": "*", "X-Actor": "ada"})
    assert answer.status_code == 200, answer.text


@pytest.fixture
def admin(world: AdminWorld) -> httpx.AsyncClient:
    return world.client()


def entry_of(document: dict[str, Any]) -> AuditEntry:
    return AuditEntry(**{**document, "at": datetime.fromisoformat(document["at"]), "record": document["record"].encode()})


async def test_the_audit_is_given_in_pages_that_can_be_verified(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    first = (await admin.get("/v1/audit", params={"limit": 2})).json()
    second = (await admin.get("/v1/audit", params={"limit": 2, "after": first["next"]})).json()

    entries = [entry_of(document) for document in [*first["entries"], *second["entries"]]]
    assert entries == world.state.audit
    assert second["next"] is None
    assert verify_chain(entries, heads=[world.state.mark]).holds
    assert all(entry.hash == entry_hash(entry) for entry in entries)


async def test_an_entry_says_who_what_why_and_under_which_operation(admin: httpx.AsyncClient) -> None:
    entry = (await admin.get("/v1/audit")).json()["entries"][-1]

    assert (entry["actor"], entry["reason"], entry["action"]) == ("grace", "it drops digits", "rollback")
    assert (entry["before"]["production"], entry["after"]["production"]) == ("1.1.0", "1.0.0")
    assert entry["operation_id"]
    assert "signal" in entry


async def test_the_head_is_signed_and_names_the_newest_entry(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    head = (await admin.get("/v1/audit/head")).json()

    mark = Mark(head["fence"], head["epoch"], head["head"])
    assert mark == world.state.mark
    assert is_signed(SignedHead(mark, datetime.fromisoformat(head["signed_at"]), head["public_key"], head["signature"]))


async def test_heads_that_were_published_are_listed(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    await world.auditing.step()

    heads = (await admin.get("/v1/audit/heads")).json()["heads"]
    beyond = (await admin.get("/v1/audit/heads", params={"after": 3})).json()["heads"]

    assert [head["epoch"] for head in heads] == [3]
    assert beyond == []


async def test_a_log_of_heads_that_fails_is_no_crash(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    world.heads.broken = "line 3 is no head"

    answer = await admin.get("/v1/audit/heads")

    assert answer.status_code == 503
    assert "line 3 is no head" in answer.json()["error"]


async def test_the_head_of_a_store_that_went_back_is_not_signed(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    backup = world.state.copy()
    await promote(admin, "1.2.0")
    await admin.get("/v1/audit/head")
    world.state.go_back_to(backup)

    answer = await admin.get("/v1/audit/head")

    assert answer.status_code == 503
    assert "does not continue" in answer.json()["error"]
    assert "reseed" in answer.json()["hint"]


# --- families as they were


async def test_a_family_is_shown_as_it_was_since_when_by_whom_and_why(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    first, second, third = (entry.at.isoformat() for entry in world.state.audit)

    at_first, at_second, at_third = [
        (await admin.get("/v1/families/digits", params={"at": moment})).json() for moment in (first, second, third)
    ]

    assert [past["production"]["version"] for past in (at_first, at_second, at_third)] == ["1.0.0", "1.1.0", "1.0.0"]
    assert (at_second["production"]["by"], at_second["production"]["reason"]) == ("ada", "better than before 1.1.0")
    assert datetime.fromisoformat(at_second["production"]["since"]) == datetime.fromisoformat(second)
    assert (at_second["revision"], at_second["epoch"]) == (2, 2)
    assert at_third["quarantined"] == {"1.1.0": "it drops digits"}
    assert (at_third["change"]["actor"], at_third["change"]["action"]) == ("grace", "rollback")


async def test_the_zone_of_a_time_counts(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    moment = world.state.audit[0].at.replace(tzinfo=None)

    later = await admin.get("/v1/families/digits", params={"at": f"{moment.isoformat()}-00:00"})
    earlier = await admin.get("/v1/families/digits", params={"at": f"{moment.isoformat()}+01:00"})

    assert (later.status_code, earlier.status_code) == (200, 404)


async def test_what_was_carries_no_etag_that_a_change_could_be_made_with(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    answer = await admin.get("/v1/families/digits", params={"at": world.state.audit[0].at.isoformat()})

    assert "etag" not in answer.headers


@pytest.mark.parametrize(
    ("at", "status", "why"),
    [
        ("2029-01-01T00:00:00Z", 404, "nothing is recorded of family 'digits' at 2029"),
        ("2030-01-01T00:00:00", 400, "no time with a zone"),
        ("2030-01-01", 400, "no time with a zone"),
        ("yesterday", 400, "no time with a zone"),
        ("", 400, "no time with a zone"),
        ("2030-13-01T00:00:00Z", 400, "no time that there is"),
        ("2030-01-01T24:01:00Z", 400, "no time that there is"),
        ("0001-01-01T00:00:00+14:00", 400, "no time that there is"),
        ("2999-01-01T00:00:00Z", 400, "in the future"),
        ("2030-01-01T00:00:00Z" + "0" * 5000, 400, "no time with a zone"),
    ],
)
async def test_a_time_that_cannot_be_looked_back_to_is_refused_and_why(admin: httpx.AsyncClient, at: str, status: int, why: str) -> None:
    answer = await admin.get("/v1/families/digits", params={"at": at})

    assert answer.status_code == status
    assert why in answer.json()["error"]
    assert answer.json()["hint"]


async def test_the_past_of_a_family_that_nobody_knows_is_not_found(admin: httpx.AsyncClient) -> None:
    answer = await admin.get("/v1/families/digit", params={"at": "2029-01-01T00:00:00Z"})

    assert answer.status_code == 404
    assert "no family 'digit'" in answer.json()["error"]
