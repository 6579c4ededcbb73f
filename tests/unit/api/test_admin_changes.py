from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

import httpx
import pytest

from serving.ports import LoadState
from tests.fakes.admin import AdminWorld

ANY = {"If-Match": "*"}
PROMOTE = "/v1/families/digits/promote"
CANARY = "/v1/families/digits/canary"
ROLLBACK = "/v1/families/digits/rollback"

CHANGES: list[tuple[str, str, Mapping[str, Any] | None]] = [
    ("PUT", "/v1/families/digits/tags/candidate", {"version": "1.1.0"}),
    ("DELETE", "/v1/families/digits/tags/candidate/1.1.0", None),
    ("PUT", "/v1/families/digits/canary", {"version": "1.1.0", "weight": 5}),
    ("PUT", "/v1/families/digits/shadow", {"version": "1.1.0", "weight": 5}),
    ("POST", "/v1/families/digits/promote", {"version": "1.1.0"}),
    ("POST", "/v1/families/digits/release", {"version": "1.1.0", "reason": "fixed upstream"}),
]


@pytest.fixture
def world() -> AdminWorld:
    return AdminWorld()


@pytest.fixture
async def admin(world: AdminWorld) -> AsyncIterator[httpx.AsyncClient]:
    async with world.client() as client:
        yield client


async def promoted(world: AdminWorld, admin: httpx.AsyncClient, *versions: str) -> None:
    world.runs("1.0.0", "1.1.0", "1.2.0")
    for version in versions:
        response = await admin.post(PROMOTE, json={"version": version}, headers=ANY)
        assert response.status_code == 200, response.text


def is_problem(response: httpx.Response) -> bool:
    document = response.json()
    return set(document) == {"error", "hint"} and all(isinstance(text, str) and text for text in document.values())


async def test_a_promotion_answers_with_the_new_revision_and_epoch(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    world.runs("1.0.0")

    response = await admin.post(PROMOTE, json={"version": "1.0.0", "reason": "first"}, headers={"If-Match": '"0"', "X-Actor": "ada"})

    assert response.status_code == 200
    assert response.headers["etag"] == '"1"'
    document = response.json()
    assert datetime.fromisoformat(document.pop("committed_at")) <= world.clock.now()
    assert document == {
        "family": "digits",
        "revision": 1,
        "epoch": 1,
        "action": "promote 1.0.0",
        "production": "1.0.0",
        "replayed": False,
        "settled": None,
    }
    assert world.actions == [("promote 1.0.0", "ada", "first")]


async def test_a_tag_is_given_and_taken(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    given = await admin.put("/v1/families/digits/tags/candidate", json={"version": "1.1.0"}, headers=ANY)
    taken = await admin.delete("/v1/families/digits/tags/candidate/1.1.0", headers=ANY, params={"reason": "not yet"})

    assert (given.status_code, taken.status_code) == (200, 200)
    assert world.actions == [("tag 1.1.0 candidate", "operator", ""), ("untag 1.1.0 candidate", "operator", "not yet")]


@pytest.mark.parametrize("part", ["canary", "shadow"])
async def test_a_split_takes_percent(world: AdminWorld, admin: httpx.AsyncClient, part: str) -> None:
    await promoted(world, admin, "1.0.0")

    response = await admin.put(f"/v1/families/digits/{part}", json={"version": "1.1.0", "weight": 2.5}, headers=ANY)

    assert response.status_code == 200
    assert response.json()["action"] == f"{part} 1.1.0 2.5 %"


async def test_a_quarantine_is_lifted(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    await promoted(world, admin, "1.0.0", "1.1.0")
    await admin.post(ROLLBACK, json={"reason": "bad"})

    refused = await admin.post(PROMOTE, json={"version": "1.1.0"}, headers=ANY)
    lifted = await admin.post("/v1/families/digits/release", json={"version": "1.1.0", "reason": "was the data"}, headers=ANY)

    assert (refused.status_code, lifted.status_code) == (409, 200)
    assert "quarantined" in refused.json()["error"]


async def test_a_rolled_back_version_takes_traffic_again_by_an_override_with_a_reason(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    await promoted(world, admin, "1.0.0", "1.1.0")
    await admin.post(ROLLBACK, json={"reason": "bad"})

    unreasoned = await admin.post(PROMOTE, json={"version": "1.1.0", "override": True}, headers=ANY)
    reasoned = await admin.post(PROMOTE, json={"version": "1.1.0", "override": True, "reason": "was the data"}, headers=ANY)

    assert (unreasoned.status_code, reasoned.status_code) == (409, 200)


async def test_a_rollback_needs_no_precondition(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    await promoted(world, admin, "1.0.0", "1.1.0")

    response = await admin.post(ROLLBACK, json={"reason": "errors"})

    assert response.status_code == 200
    assert (await admin.get("/v1/families/digits")).json()["production"]["version"] == "1.0.0"


async def test_a_rollback_heeds_a_precondition_that_is_given(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    await promoted(world, admin, "1.0.0", "1.1.0")

    response = await admin.post(ROLLBACK, json={"reason": "errors"}, headers={"If-Match": '"1"'})

    assert response.status_code == 412


async def test_a_dry_run_says_what_would_happen_and_changes_nothing(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    await promoted(world, admin, "1.0.0", "1.1.0")

    plan = (await admin.post(ROLLBACK, json={"dry_run": True})).json()

    assert (plan["possible"], plan["current"], plan["to"], plan["ready"]) == (True, "1.1.0", "1.0.0", True)
    assert len(world.actions) == 2


async def test_a_rollback_goes_to_the_version_that_is_named(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    await promoted(world, admin, "1.0.0", "1.1.0", "1.2.0")

    response = await admin.post(ROLLBACK, json={"to": "1.0.0", "reason": "both are bad"})

    assert response.json()["action"] == "rollback to 1.0.0"


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
async def test_a_change_without_a_precondition_is_refused(
    world: AdminWorld, admin: httpx.AsyncClient, method: str, path: str, body: Mapping[str, Any] | None
) -> None:
    response = await admin.request(method, path, json=body)

    assert response.status_code == 428
    assert is_problem(response)
    assert not world.actions


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
async def test_a_change_against_an_old_revision_is_refused(
    world: AdminWorld, admin: httpx.AsyncClient, method: str, path: str, body: Mapping[str, Any] | None
) -> None:
    await promoted(world, admin, "1.0.0")

    response = await admin.request(method, path, json=body, headers={"If-Match": '"0"'})

    assert response.status_code == 412
    assert is_problem(response)
    assert len(world.actions) == 1


@pytest.mark.parametrize(("method", "path", "body"), [*CHANGES, ("POST", ROLLBACK, {})])
async def test_a_change_of_a_family_that_nobody_knows_is_refused(
    admin: httpx.AsyncClient, method: str, path: str, body: Mapping[str, Any] | None
) -> None:
    response = await admin.request(method, path.replace("digits", "nobody"), json=body, headers=ANY)

    assert response.status_code == 404
    assert is_problem(response)


@pytest.mark.parametrize(("method", "path", "body"), [change for change in CHANGES if change[0] == "PUT" or "promote" in change[1]])
async def test_a_change_to_a_version_that_nobody_published_is_refused(
    world: AdminWorld, admin: httpx.AsyncClient, method: str, path: str, body: Mapping[str, Any]
) -> None:
    await promoted(world, admin, "1.0.0")

    response = await admin.request(method, path, json={**body, "version": "9.9.9"}, headers=ANY)

    assert response.status_code == 404
    assert is_problem(response)


@pytest.mark.parametrize(
    ("method", "path", "body"), [*CHANGES, ("POST", ROLLBACK, {}), ("POST", "/v1/families/digits/settle?epoch=1", None)]
)
async def test_a_change_from_another_origin_is_refused(
    world: AdminWorld, admin: httpx.AsyncClient, method: str, path: str, body: Mapping[str, Any] | None
) -> None:
    response = await admin.request(method, path, json=body, headers={**ANY, "Origin": "http://evil.example"})

    assert response.status_code == 403
    assert is_problem(response)
    assert not world.actions


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
async def test_a_change_through_a_foreign_host_is_refused(
    world: AdminWorld, admin: httpx.AsyncClient, method: str, path: str, body: Mapping[str, Any] | None
) -> None:
    response = await admin.request(method, path, json=body, headers={**ANY, "Host": "evil.example"})

    assert response.status_code == 421
    assert is_problem(response)
    assert not world.actions


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "version"),
        ({"version": "1.1.0"}, "weight"),
        ({"version": "1.1", "weight": 1}, "version"),
        ({"version": 1.1, "weight": 1}, "version"),
        ({"version": "1.1.0+build", "weight": 1}, "version"),
        ({"version": "1.1.0", "weight": 100.5}, "weight"),
        ({"version": "1.1.0", "weight": 2.505}, "weight"),
        ({"version": "1.1.0", "weight": "10"}, "weight"),
        ({"version": "1.1.0", "weight": True}, "weight"),
        ({"version": "1.1.0", "weight": 1, "wieght": 1}, "wieght"),
        ({"version": "1.1.0", "weight": 1, "reason": "x" * 501}, "reason"),
        ({"version": "1.1.0", "weight": 1, "reason": "bell \x07"}, "reason"),
        ({"version": "1.1.0", "weight": 1, "reason": 7}, "reason"),
        ({"version": "1.1.0", "weight": 1, "wait": -1}, "wait"),
        ({"version": "1.1.0", "weight": 1, "wait": 1e9}, "wait"),
        ({"version": "1.1.0", "weight": 1, "override": "perhaps"}, "override"),
    ],
)
async def test_a_bad_body_is_refused_and_the_field_named(admin: httpx.AsyncClient, body: Mapping[str, Any], field: str) -> None:
    response = await admin.put(CANARY, json=body, headers=ANY)

    assert response.status_code == 400
    assert is_problem(response)
    assert response.json()["error"].startswith(f"{field}: ")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        '"text"',
        "\ufeff{}",
        '{"version": "1.1.0", "weight": NaN}',
        '{"version": "1.1.0", "weight": Infinity}',
        '{"version": "1.1.0", "weight": 1e999}',
        '{"version": "1.1.0", "weight": 1, "wait": NaN}',
        '{"version": "\\ud800", "weight": 1}',
        '{"version": "1.1.0", "weight": 1, "reason": "\\ud800"}',
        '{"\\ud800": 1}',
        "[" * 20_000,
        "9" * 20_000,
        '{"version": "1.1.0", "weight": ' + "9" * 20_000 + "}",
    ],
)
async def test_what_is_no_json_object_is_refused_and_never_an_error_of_ours(admin: httpx.AsyncClient, text: str) -> None:
    response = await admin.put(CANARY, content=text.encode(), headers={**ANY, "Content-Type": "application/json"})

    assert response.status_code == 400
    assert is_problem(response)


async def test_a_body_that_is_not_utf8_is_refused(admin: httpx.AsyncClient) -> None:
    response = await admin.put(CANARY, content=b'{"version": "\xff"}', headers={**ANY, "Content-Type": "application/json"})

    assert response.status_code == 400


@pytest.mark.parametrize("header", ["1", 'W/"1"', "", '"x"', '"-1"', '"1", "2"', '"' + "9" * 40 + '"'])
async def test_a_precondition_that_is_no_revision_is_refused(admin: httpx.AsyncClient, header: str) -> None:
    response = await admin.post(PROMOTE, json={"version": "1.0.0"}, headers={"If-Match": header})

    assert response.status_code == 400
    assert "If-Match" in response.json()["error"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Actor", "a b"),
        ("X-Actor", "x" * 129),
        ("X-Actor", "-"),
        ("Idempotency-Key", "a b"),
        ("Idempotency-Key", ""),
        ("Idempotency-Key", "k" * 129),
    ],
)
async def test_a_header_in_other_characters_is_refused_by_name(admin: httpx.AsyncClient, name: str, value: str) -> None:
    response = await admin.post(PROMOTE, json={"version": "1.0.0"}, headers={**ANY, name: value})

    assert response.status_code == 400
    assert response.json()["error"].lower().startswith(name.lower())


@pytest.mark.parametrize("family", ["Digits", "a_b", "x" * 64, "..%2fetc", "%00"])
async def test_a_family_name_in_other_characters_is_refused(admin: httpx.AsyncClient, family: str) -> None:
    response = await admin.post(f"/v1/families/{family}/promote", json={"version": "1.0.0"}, headers=ANY)

    assert response.status_code in {400, 404}
    assert is_problem(response)


async def test_the_same_idempotency_key_again_changes_nothing(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    world.runs("1.0.0")
    headers = {"If-Match": '"0"', "Idempotency-Key": "promote-1"}

    first = await admin.post(PROMOTE, json={"version": "1.0.0"}, headers=headers)
    again = await admin.post(PROMOTE, json={"version": "1.0.0"}, headers=headers)

    assert again.json() == {**first.json(), "replayed": True, "committed_at": None}
    assert len(world.actions) == 1


async def test_an_idempotency_key_of_another_change_is_refused(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    world.runs("1.0.0")
    await admin.post(PROMOTE, json={"version": "1.0.0"}, headers={**ANY, "Idempotency-Key": "key"})

    response = await admin.post(PROMOTE, json={"version": "1.1.0"}, headers={**ANY, "Idempotency-Key": "key"})

    assert response.status_code == 409


async def test_an_answer_that_the_store_lost_is_learnt_by_the_key(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    world.runs("1.0.0")
    world.state.answers_to_lose = 1
    headers = {"If-Match": '"0"', "Idempotency-Key": "promote-1"}

    lost = await admin.post(PROMOTE, json={"version": "1.0.0"}, headers=headers)
    again = await admin.post(PROMOTE, json={"version": "1.0.0"}, headers=headers)

    assert (lost.status_code, again.status_code) == (503, 200)
    assert lost.headers["retry-after"] == "1"
    assert again.json()["replayed"] is True


async def test_a_version_that_is_not_ready_takes_no_traffic(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    world.runs("1.0.0", state=LoadState.FAILED, detail="golden examples failed")

    response = await admin.post(PROMOTE, json={"version": "1.0.0"}, headers=ANY)

    assert response.status_code == 409
    assert "golden examples failed" in response.json()["error"]


async def test_nothing_is_changed_while_the_store_is_down(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    world.state.down = "disk full"

    response = await admin.post(ROLLBACK, json={})

    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    assert is_problem(response)


async def test_a_change_waits_for_the_gateways_when_asked_to(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    world.runs("1.0.0")
    await world.gateway_serves(1)

    response = await admin.post(PROMOTE, json={"version": "1.0.0", "wait": 5}, headers=ANY)

    settled = response.json()["settled"]
    assert settled["done"] is True
    assert [ack["gateway"] for ack in settled["acked"]] == ["gateway-1"]


async def test_a_change_stands_when_a_gateway_does_not_follow_in_time(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    world.runs("1.0.0")
    await world.gateway_serves(0, "gateway-slow")

    response = await admin.post(PROMOTE, json={"version": "1.0.0", "wait": 3}, headers=ANY)

    assert response.status_code == 200
    assert response.json()["settled"]["done"] is False
    assert response.json()["settled"]["waiting"] == ["gateway-slow"]


async def test_whoever_did_not_wait_may_wait_later(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    await world.gateway_serves(7)

    response = await admin.post("/v1/families/digits/settle", params={"epoch": 7, "timeout": 1})

    assert response.json()["done"] is True


@pytest.mark.parametrize(
    "query", ["", "epoch=-1", "epoch=x", "epoch=1&timeout=-1", "epoch=1&timeout=1e9", "epoch=1&timeout=nan", f"epoch={2**64}"]
)
async def test_a_wait_for_no_epoch_is_refused(admin: httpx.AsyncClient, query: str) -> None:
    response = await admin.post(f"/v1/families/digits/settle?{query}")

    assert response.status_code == 400
    assert is_problem(response)
