from collections.abc import AsyncIterator

import httpx
import pytest

from tests.fakes.admin import AdminWorld

ANY = {"If-Match": "*", "X-Actor": "ada"}
FAMILY = "/v1/families/digits"


@pytest.fixture
def world() -> AdminWorld:
    return AdminWorld()


@pytest.fixture
async def admin(world: AdminWorld) -> AsyncIterator[httpx.AsyncClient]:
    world.runs("1.0.0", "1.1.0", "1.2.0")
    async with world.client() as client:
        for version in ("1.0.0", "1.1.0"):
            assert (await client.post(f"{FAMILY}/promote", json={"version": version}, headers=ANY)).status_code == 200
        yield client


async def test_a_consumer_is_registered_shown_and_forgotten(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    # when
    put = await admin.put(f"{FAMILY}/consumers/billing", json={"range": "~1.1", "reason": "their contract"}, headers=ANY)
    shown = (await admin.get(FAMILY)).json()
    deleted = await admin.delete(f"{FAMILY}/consumers/billing", headers=ANY)

    # then
    assert (put.status_code, deleted.status_code) == (200, 200)
    assert shown["consumers"] == {"billing": "~1.1"}
    assert shown["rollback"]["breaks"] == {"billing": "~1.1"}
    assert (await admin.get(FAMILY)).json()["consumers"] == {}
    assert ("consumer billing ~1.1", "ada", "their contract") in world.actions


async def test_a_promotion_that_leaves_a_consumer_behind_is_refused_with_its_name(admin: httpx.AsyncClient) -> None:
    await admin.put(f"{FAMILY}/consumers/billing", json={"range": "~1.1"}, headers=ANY)

    response = await admin.post(f"{FAMILY}/promote", json={"version": "1.2.0"}, headers=ANY)

    assert response.status_code == 409
    assert "billing (~1.1)" in response.json()["error"]


@pytest.mark.parametrize(("name", "range_"), [("billing", "1.0.0"), ("billing", "*"), ("billing", 7), ("Billing", "^1"), ("a%20b", "^1")])
async def test_a_range_or_a_name_that_is_none_is_refused(admin: httpx.AsyncClient, name: str, range_: object) -> None:
    response = await admin.put(f"{FAMILY}/consumers/{name}", json={"range": range_}, headers=ANY)

    assert response.status_code in {400, 409}


async def test_a_deprecated_version_is_shown_with_its_end_and_who_still_calls_it(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    # given
    body = {"version": "1.2.0", "sunset": "2031-01-01T00:00:00+01:00"}
    world.callers["digits"] = {"1.2.0": {"billing": 12, "other": 3}}

    # when
    put = await admin.put(f"{FAMILY}/tags/deprecated", json=body, headers=ANY)

    # then
    assert put.status_code == 200
    [one] = (await admin.get(FAMILY)).json()["deprecated"]
    assert (one["version"], one["callers"]) == ("1.2.0", {"billing": 12, "other": 3})
    assert one["sunset"] in {"2031-01-01T00:00:00+01:00", "2030-12-31T23:00:00Z"}


@pytest.mark.parametrize(
    ("tag", "sunset"),
    [
        ("staging", "2031-01-01T00:00:00Z"),
        ("deprecated", "2031-01-01"),
        ("deprecated", "2031-13-01T00:00:00Z"),
        ("deprecated", "9999-12-31T23:00:00-14:00"),
    ],
)
async def test_a_sunset_that_is_none_is_refused(admin: httpx.AsyncClient, tag: str, sunset: str) -> None:
    response = await admin.put(f"{FAMILY}/tags/{tag}", json={"version": "1.2.0", "sunset": sunset}, headers=ANY)

    assert response.status_code == 400
    assert "sunset" in response.json()["error"]


async def test_a_sunset_that_is_over_is_refused(admin: httpx.AsyncClient) -> None:
    response = await admin.put(f"{FAMILY}/tags/deprecated", json={"version": "1.2.0", "sunset": "2029-01-01T00:00:00Z"}, headers=ANY)

    assert response.status_code == 409
