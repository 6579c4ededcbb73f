"""Pairs that disagreed, read over HTTP."""

from collections.abc import AsyncIterator

import httpx
import msgspec
import pytest

from serving.gateway.pairs import KeptPair
from tests.fakes.admin import AdminWorld
from tests.fakes.rollout_plant import POLICY

PAIRS = "/v1/families/digits/rollout/pairs"


@pytest.fixture
def world() -> AdminWorld:
    world = AdminWorld()
    world.runs("1.0.0", "1.1.0")
    return world


@pytest.fixture
async def client(world: AdminWorld) -> AsyncIterator[httpx.AsyncClient]:
    async with world.client() as client:
        await client.post("/v1/families/digits/promote", json={"version": "1.0.0"}, headers={"If-Match": "*", "X-Actor": "ada"})
        yield client


async def start(client: httpx.AsyncClient) -> str:
    started = await client.post(
        "/v1/families/digits/rollout", json={"version": "1.1.0", "document": POLICY.decode()}, headers={"X-Actor": "ada"}
    )
    assert started.is_success, started.text
    rollout: str = (await client.get("/v1/families/digits/rollout")).json()["id"]
    return rollout


def pair(at: float) -> KeptPair:
    return KeptPair(at, "label", {"pixels": "[redacted]"}, {"label": "3"}, {"label": "8"})


async def test_pairs_of_all_gateways_are_shown_the_newest_first(world: AdminWorld, client: httpx.AsyncClient) -> None:
    rollout = await start(client)
    world.shelf.put(rollout, "g1", msgspec.json.encode([pair(10.0), pair(30.0)]))
    world.shelf.put(rollout, "g2", msgspec.json.encode([pair(20.0)]))
    world.shelf.put("digits-0.9.0-1", "g1", msgspec.json.encode([pair(40.0)]))

    answer = (await client.get(PAIRS)).json()

    assert (answer["rollout"], answer["keep_pairs"], answer["redact"]) == (rollout, 0, [])
    assert [one["at"] for one in answer["pairs"]] == ["1970-01-01T00:00:30Z", "1970-01-01T00:00:20Z", "1970-01-01T00:00:10Z"]
    assert answer["pairs"][0] | {"at": ""} == {
        "at": "",
        "outcome": "label",
        "request": {"pixels": "[redacted]"},
        "production": {"label": "3"},
        "candidate": {"label": "8"},
    }


async def test_where_none_is_kept_none_is_shown(client: httpx.AsyncClient) -> None:
    await start(client)

    assert (await client.get(PAIRS)).json()["pairs"] == []


async def test_without_a_rollout_and_without_the_family_it_says_so(client: httpx.AsyncClient) -> None:
    no_rollout, no_family = await client.get(PAIRS), await client.get(PAIRS.replace("digits", "iris"))

    assert (no_rollout.status_code, no_family.status_code) == (404, 404)
    assert "rollout" in no_rollout.json()["error"]
