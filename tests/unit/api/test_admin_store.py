"""The admin API while the state store is away, or went back: what is still told, what is refused, and how it goes on."""

from collections.abc import AsyncIterator

import httpx
import pytest

from serving.ports import Kept
from tests.fakes.admin import AdminWorld
from tests.fakes.registry import digest_of

ANY = {"If-Match": "*", "X-Actor": "ada"}
PROMOTE = "/v1/families/digits/promote"
ROLLBACK = "/v1/families/digits/rollback"
RESEED = "/v1/store/reseed"


@pytest.fixture
def world() -> AdminWorld:
    return AdminWorld()


@pytest.fixture
async def admin(world: AdminWorld) -> AsyncIterator[httpx.AsyncClient]:
    """1.0.0 and then 1.1.0 in production, which a gateway has kept together with where a replica of 1.1.0 is."""
    async with world.client() as client:
        world.runs("1.0.0", "1.1.0", "1.2.0")
        for version in ("1.0.0", "1.1.0"):
            assert (await client.post(PROMOTE, json={"version": version}, headers=ANY)).status_code == 200
        world.kept.keep(Kept(await world.store.snapshot(), {digest_of("digits", "1.1.0"): ("/run/1", "/run/2")}))
        yield client


async def go_back(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    """A rollback that is seen and kept; then a backup from before it is restored."""
    backup = world.state.copy()
    assert (await admin.post(ROLLBACK, json={"reason": "bad"})).status_code == 200
    world.kept.keep(Kept(await world.store.snapshot()))
    world.state.go_back_to(backup)


async def test_a_store_that_is_well_tells_its_marks(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    await world.gateway_serves(2)

    document = (await admin.get("/v1/store")).json()

    assert (document["kind"], document["reachable"], document["went_back"], document["problem"]) == ("fake", True, False, "")
    assert document["store"] == document["snapshot"] == {"fence": 1, "epoch": 2, "head": world.state.mark.head}
    assert [(gateway["gateway"], gateway["epoch"], gateway["fence"]) for gateway in document["gateways"]] == [("gateway-1", 2, 1)]


async def test_while_it_is_away_changes_are_refused_with_when_to_come_back(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    world.state.down = "it is locked by another process"

    response = await admin.post(ROLLBACK, json={"reason": "bad"})

    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert response.json().keys() == {"error", "hint"}
    assert "pointsman override" in response.json()["hint"]


async def test_while_it_is_away_families_are_shown_as_they_were_last_seen_and_say_so(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    fresh = (await admin.get("/v1/families/digits")).json()
    world.state.down = "it is locked by another process"

    response = await admin.get("/v1/families/digits")
    listed = (await admin.get("/v1/families")).json()["families"]

    document = response.json()
    assert document["stale"] == "it is locked by another process"
    assert fresh["stale"] == ""
    assert (document["production"]["version"], document["production"]["state"]) == ("1.1.0", "ready")
    assert document["rollback"]["to"] == "1.0.0"
    assert "etag" not in response.headers
    assert {family["stale"] for family in listed} == {document["stale"]}


async def test_what_was_never_kept_is_not_made_up(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    world.state.down = "gone"

    statuses = [(await admin.get(f"/v1/{path}")).status_code for path in ("families/zebra", "history", "gateways", "fleet")]

    assert statuses == [404, 503, 503, 503]


async def test_its_absence_is_a_status_too(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    world.state.down = "it is locked by another process"

    response = await admin.get("/v1/store")

    assert response.status_code == 200
    assert (response.json()["reachable"], response.json()["store"], response.json()["snapshot"]["epoch"]) == (False, None, 2)


async def test_a_store_that_went_back_is_refused_by_a_type_of_its_own_and_no_retry(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    await go_back(world, admin)

    response = await admin.post(PROMOTE, json={"version": "1.2.0"}, headers=ANY)
    shown = (await admin.get("/v1/families/digits")).json()
    status = (await admin.get("/v1/store")).json()

    assert (response.status_code, response.json()["type"]) == (503, "store-went-back")
    assert "retry-after" not in response.headers
    assert "reseed" in response.json()["hint"]
    assert (shown["production"]["version"], bool(shown["stale"])) == ("1.0.0", True)
    assert (status["went_back"], status["store"]["epoch"], status["snapshot"]["epoch"]) == (True, 2, 3)


@pytest.mark.parametrize(("source", "production"), [("snapshot", "1.0.0"), ("store", "1.1.0")])
async def test_reseeded_it_goes_on_from_what_the_operator_named(
    world: AdminWorld, admin: httpx.AsyncClient, source: str, production: str
) -> None:
    # given
    await go_back(world, admin)

    # when
    body = {"from": source, "reason": "restored by mistake"}
    response = await admin.post(RESEED, json=body, headers={"X-Actor": "ada", "Idempotency-Key": "once"})
    again = await admin.post(RESEED, json=body, headers={"X-Actor": "ada", "Idempotency-Key": "once"})

    # then
    assert response.json() == {"epoch": 4, "replayed": False}
    assert again.json() == {"epoch": 4, "replayed": True}
    family = (await admin.get("/v1/families/digits")).json()
    assert (family["production"]["version"], family["stale"]) == (production, "")
    assert (await admin.get("/v1/store")).json()["store"]["fence"] == 2
    entry = (await admin.get("/v1/history")).json()["entries"][0]
    assert (entry["action"], entry["actor"], entry["reason"]) == ("reseed", "ada", "restored by mistake")
    assert (await admin.post(PROMOTE, json={"version": "1.2.0"}, headers=ANY)).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"from": "snapshot"},
        {"from": "snapshot", "reason": " "},
        {"from": "backup", "reason": "x"},
        {"reason": "x"},
        {"source": "snapshot", "reason": "x"},
    ],
)
async def test_a_reseed_needs_a_source_and_a_reason(world: AdminWorld, admin: httpx.AsyncClient, body: dict[str, str]) -> None:
    await go_back(world, admin)

    response = await admin.post(RESEED, json=body)

    assert response.status_code == 400
    assert world.state.mark.fence == 1


async def test_a_store_that_is_well_is_not_reseeded(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    response = await admin.post(RESEED, json={"from": "store", "reason": "just because"})

    assert (response.status_code, world.state.mark.fence) == (409, 1)
