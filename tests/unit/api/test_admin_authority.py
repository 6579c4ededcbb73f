from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest

from serving.core.authority import Operators
from tests.fakes.admin import AdminWorld

DIGITS = "/v1/families/digits"


@pytest.fixture
def world() -> AdminWorld:
    world = AdminWorld()
    world.operators = Operators({"ada": ("owner",), "ben": ("oncall",), "cleo": ("release",)})
    world.runs("1.0.0", "1.1.0", "1.2.0")
    return world


@pytest.fixture
async def admin(world: AdminWorld) -> AsyncIterator[httpx.AsyncClient]:
    async with world.client() as client:
        yield client


def by(name: str) -> Mapping[str, str]:
    return {"If-Match": "*", "X-Actor": name}


MAY: list[tuple[tuple[str, str], Mapping[str, Any], set[str]]] = [
    (("PUT", f"{DIGITS}/tags/candidate"), {"version": "1.1.0"}, {"ada", "cleo"}),
    (("PUT", f"{DIGITS}/canary"), {"version": "1.1.0", "weight": 5}, {"ada", "cleo"}),
    (("PUT", f"{DIGITS}/canary"), {"version": "1.1.0", "weight": 5, "override": True, "reason": "why"}, {"cleo"}),
    (("PUT", f"{DIGITS}/shadow"), {"version": "1.1.0", "weight": 5}, {"ada", "cleo"}),
    (("POST", f"{DIGITS}/promote"), {"version": "1.1.0"}, {"cleo"}),
    (("POST", f"{DIGITS}/rollback"), {}, {"ada", "ben"}),
]


@pytest.mark.parametrize(("call", "body", "allowed"), MAY)
@pytest.mark.parametrize("name", ["ada", "ben", "cleo", "eve"])
async def test_a_change_is_made_only_by_whoever_may(
    world: AdminWorld, admin: httpx.AsyncClient, call: tuple[str, str], body: Mapping[str, Any], allowed: set[str], name: str
) -> None:
    for version in ("1.0.0", "1.2.0"):
        await admin.post(f"{DIGITS}/promote", json={"version": version}, headers=by("cleo"))
    before = len(world.actions)

    response = await admin.request(*call, json=body, headers=by(name))

    assert response.status_code == (200 if name in allowed else 403), response.text
    assert (len(world.actions) == before) == (name not in allowed)
    if name not in allowed:
        assert set(response.json()) == {"error", "hint"}


async def test_a_rehearsed_rollback_asks_for_no_right(admin: httpx.AsyncClient) -> None:
    await admin.post(f"{DIGITS}/promote", json={"version": "1.0.0"}, headers=by("cleo"))

    response = await admin.post(f"{DIGITS}/rollback", json={"dry_run": True}, headers=by("eve"))

    assert response.status_code == 200


async def test_whoever_may_roll_back_may_take_a_canary_off(admin: httpx.AsyncClient) -> None:
    await admin.post(f"{DIGITS}/promote", json={"version": "1.0.0"}, headers=by("cleo"))
    await admin.put(f"{DIGITS}/canary", json={"version": "1.1.0", "weight": 5}, headers=by("ada"))

    response = await admin.put(f"{DIGITS}/canary", json={"version": "1.1.0", "weight": 0}, headers=by("ben"))

    assert response.status_code == 200


async def test_reseeding_takes_the_right_to_override(admin: httpx.AsyncClient) -> None:
    response = await admin.post("/v1/store/reseed", json={"from": "store", "reason": "why"}, headers=by("ada"))

    assert response.status_code == 403
