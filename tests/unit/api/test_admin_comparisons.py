from collections.abc import AsyncIterator

import httpx
import pytest

from registry_client.manifest import Datatype, Evaluation, Interface, TensorSpec
from tests.fakes.admin import AdminWorld
from tests.fakes.registry import manifest_of

ANY = {"If-Match": "*", "X-Actor": "ada"}
TEXT = TensorSpec(name="text", datatype=Datatype.BYTES, shape=(-1,))
RETRAINED = "golden-differs: 9 of 9 golden answers differ"
FIXED = "golden-differs-on-slice: 1 of 9 golden answers differ, all of them on the declared slice capitals"


@pytest.fixture
def world() -> AdminWorld:
    world = AdminWorld()
    world.registry.describe(manifest_of("digits", "1.1.0", FIXED, after="1.0.0"))
    world.registry.describe(
        manifest_of("digits", "1.2.0", RETRAINED, after="1.1.0", evaluation=(Evaluation(dataset="d", metric="accuracy", value=0.9),))
    )
    world.registry.describe(manifest_of("digits", "2.0.0", RETRAINED, after="1.2.0", interface=Interface(inputs=(TEXT,), outputs=(TEXT,))))
    return world


@pytest.fixture
async def admin(world: AdminWorld) -> AsyncIterator[httpx.AsyncClient]:
    async with world.client() as client:
        yield client


@pytest.mark.parametrize(
    ("old", "new", "risk", "first"),
    [
        ("1.0.0", "1.1.0", "low", "1.1.0: 1 of 9 golden answers differ, all of them on the declared slice capitals"),
        ("1.1.0", "1.2.0", "re-evaluate", "1.2.0: 9 of 9 golden answers differ"),
        ("1.0.0", "1.2.0", "re-evaluate", "1.2.0: 9 of 9 golden answers differ"),
        ("1.0.0", "2.0.0", "migrate", "input x was removed or renamed"),
        ("2.0.0", "1.2.0", "migrate", "input text was removed or renamed"),
    ],
)
async def test_an_upgrade_is_weighed_with_its_reasons(admin: httpx.AsyncClient, old: str, new: str, risk: str, first: str) -> None:
    answer = (await admin.get("/v1/families/digits/upgrade", params={"from": old, "to": new})).json()

    assert (answer["from_version"], answer["to_version"], answer["risk"]) == (old, new, risk)
    assert answer["reasons"][0] == first


async def test_every_version_on_the_way_is_told(admin: httpx.AsyncClient) -> None:
    answer = (await admin.get("/v1/families/digits/upgrade", params={"from": "1.0.0", "to": "1.2.0"})).json()

    assert [(step["version"], [change["rule"] for change in step["changes"]]) for step in answer["behaviour"]] == [
        ("1.2.0", ["golden-differs"]),
        ("1.1.0", ["golden-differs-on-slice"]),
    ]
    assert [(delta["metric"], delta["before"], delta["after"], delta["primary"]) for delta in answer["evaluation"]] == [
        ("accuracy", None, 0.9, True)
    ]


async def test_without_a_version_to_go_to_it_is_what_is_in_production(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    # given
    world.runs("1.2.0")
    await admin.post("/v1/families/digits/promote", json={"version": "1.2.0"}, headers=ANY)

    # when
    answer = (await admin.get("/v1/families/digits/upgrade", params={"from": "1.1.0"})).json()

    # then
    assert answer["to_version"] == "1.2.0"


async def test_without_a_production_there_is_nothing_to_go_to(admin: httpx.AsyncClient) -> None:
    response = await admin.get("/v1/families/digits/upgrade", params={"from": "1.1.0"})

    assert response.status_code == 404
    assert response.json()["error"] == "family 'digits' has no version in production"
    assert "name one" in response.json()["hint"]


async def test_a_diff_tells_the_step_that_is_declared_and_the_one_that_is_needed(admin: httpx.AsyncClient) -> None:
    answer = (await admin.get("/v1/families/digits/diff", params={"from": "1.1.0", "to": "2.0.0"})).json()

    assert (answer["declared"], answer["needed"]) == ("major", "major")
    assert {change["rule"] for change in answer["interface"]} == {"input-removed", "input-required-added", "output-removed", "output-added"}
    assert "risk" not in answer


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("diff", {"from": "1.0.0"}, 400),
        ("diff", {"from": "1.0.0", "to": "latest"}, 400),
        ("diff", {"from": "1.0.0", "to": "9.9.9"}, 404),
        ("upgrade", {"to": "1.0.0"}, 400),
        ("upgrade", {"from": "9.9.9", "to": "1.0.0"}, 404),
        ("upgrade", {"from": "x" * 65, "to": "1.0.0"}, 400),
    ],
)
async def test_versions_that_are_none_or_not_there_are_refused(
    admin: httpx.AsyncClient, path: str, query: dict[str, str], status: int
) -> None:
    response = await admin.get(f"/v1/families/digits/{path}", params=query)

    assert response.status_code == status
    assert set(response.json()) == {"error", "hint"}


async def test_a_family_that_nobody_knows_is_not_found(admin: httpx.AsyncClient) -> None:
    assert (await admin.get("/v1/families/nobody/diff", params={"from": "1.0.0", "to": "1.1.0"})).status_code == 404
