from collections.abc import AsyncIterator

import httpx
import pytest
from structlog.testing import capture_logs

from serving.ports import LoadState
from tests.fakes.admin import BASE, AdminWorld
from tests.fakes.registry import digest_of

ANY = {"If-Match": "*", "X-Actor": "ada"}
READS = [
    "/v1/families",
    "/v1/families/digits",
    "/v1/families/digits/versions",
    "/v1/families/digits/history",
    "/v1/history",
    "/v1/fleet",
    "/v1/gateways",
    "/v1/info",
    "/v1/keep",
    "/health/live",
    "/health/ready",
    "/metrics",
    "/openapi.json",
]
OF_A_FAMILY = [path for path in READS if "digits" in path]
FROM_THE_STORE = [path for path in READS if path not in {"/v1/info", "/health/live", "/metrics", "/openapi.json"}]


@pytest.fixture
def world() -> AdminWorld:
    return AdminWorld()


@pytest.fixture
async def admin(world: AdminWorld) -> AsyncIterator[httpx.AsyncClient]:
    async with world.client() as client:
        yield client


async def with_a_canary_and_a_shadow(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    world.runs("1.0.0", "1.1.0", "1.2.0")
    body = {"version": "1.0.0", "reason": "first release"}
    assert (await admin.post("/v1/families/digits/promote", json=body, headers=ANY)).status_code == 200
    for part, version, weight in (("canary", "1.1.0", 2.5), ("shadow", "1.2.0", 100)):
        body = {"version": version, "weight": weight}  # type: ignore[dict-item] # a JSON body
        assert (await admin.put(f"/v1/families/digits/{part}", json=body, headers=ANY)).status_code == 200


async def test_a_family_tells_what_is_in_production_since_when_by_whom_and_why(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    await with_a_canary_and_a_shadow(world, admin)

    response = await admin.get("/v1/families/digits")

    family = response.json()
    production = family["production"]
    assert response.headers["etag"] == f'"{family["revision"]}"' == '"3"'
    assert (production["version"], production["by"], production["reason"]) == ("1.0.0", "ada", "first release")
    assert production["since"].startswith("2030-01-01T00:00:")
    assert production["weight"] == 97.5
    assert [(canary["version"], canary["weight"], canary["state"]) for canary in family["canaries"]] == [("1.1.0", 2.5, "ready")]
    assert [(shadow["version"], shadow["weight"]) for shadow in family["shadows"]] == [("1.2.0", 100.0)]
    assert family["tags"] == {"production": ["1.0.0"], "shadow": ["1.2.0"]}
    assert family["rollback"]["drops"] == ["1.1.0"]
    assert family["epoch"] == 3


async def test_a_family_that_was_only_published_is_there_at_revision_nought(admin: httpx.AsyncClient) -> None:
    response = await admin.get("/v1/families/digits")

    assert response.headers["etag"] == '"0"'
    assert response.json()["production"] is None
    assert response.json()["rollback"]["possible"] is False


async def test_all_families_are_listed(admin: httpx.AsyncClient) -> None:
    families = (await admin.get("/v1/families")).json()["families"]

    assert [family["family"] for family in families] == ["customer-intent", "digits"]


async def test_a_record_that_cannot_be_believed_is_told(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    world.state.documents["digits"] = b"{"

    listed = (await admin.get("/v1/families")).json()["families"]
    alone = await admin.get("/v1/families/digits")

    assert [bool(family["problem"]) for family in listed] == [False, True]
    assert alone.status_code == 500
    assert set(alone.json()) == {"error", "hint"}


async def test_versions_tell_their_parts_and_how_far_they_are_loaded(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    await with_a_canary_and_a_shadow(world, admin)
    world.runs("1.2.0", state=LoadState.FAILED, detail="golden examples failed")

    versions = (await admin.get("/v1/families/digits/versions")).json()["versions"]

    assert [(one["version"], one["tags"], one["canary"], one["shadow"], one["state"], one["detail"]) for one in versions] == [
        ("1.2.0", ["shadow"], 0.0, 100.0, "failed", "golden examples failed"),
        ("1.1.0", [], 2.5, 0.0, "ready", ""),
        ("1.0.0", ["production"], 0.0, 0.0, "ready", ""),
    ]
    assert versions[0]["digest"] == digest_of("digits", "1.2.0")


async def test_history_tells_the_newest_first(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    await with_a_canary_and_a_shadow(world, admin)

    of_all = (await admin.get("/v1/history", params={"limit": 2})).json()["entries"]
    of_family = (await admin.get("/v1/families/digits/history")).json()["entries"]

    assert [entry["action"] for entry in of_all] == ["shadow 1.2.0 100 %", "canary 1.1.0 2.5 %"]
    assert [entry["action"] for entry in of_family] == ["shadow 1.2.0 100 %", "canary 1.1.0 2.5 %", "promote 1.0.0"]
    assert of_family[-1]["actor"] == "ada"
    assert of_family[-1]["after"] != of_family[-1]["before"]


@pytest.mark.parametrize("limit", ["0", "1001", "x", "-1"])
async def test_a_history_of_a_length_that_makes_no_sense_is_refused(admin: httpx.AsyncClient, limit: str) -> None:
    response = await admin.get("/v1/history", params={"limit": limit})

    assert response.status_code == 400
    assert response.json()["error"].startswith("limit: ")


async def test_the_fleet_is_what_runs(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    world.runs("1.1.0", "1.0.0")
    world.runs("1.2.0", state=LoadState.LOADING)

    versions = (await admin.get("/v1/fleet")).json()["versions"]

    assert [(one["version"], one["state"]) for one in versions] == [("1.0.0", "ready"), ("1.1.0", "ready"), ("1.2.0", "loading")]


async def test_gateways_tell_how_far_behind_they_are(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    await with_a_canary_and_a_shadow(world, admin)
    await world.gateway_serves(3, "gateway-1")
    await world.gateway_serves(1, "gateway-2")

    answer = (await admin.get("/v1/gateways")).json()

    assert answer["epoch"] == 3
    assert [(one["gateway"], one["epoch"], one["behind"]) for one in answer["gateways"]] == [("gateway-1", 3, 0), ("gateway-2", 1, 2)]


async def test_info_says_where_to_ask_for_predictions(admin: httpx.AsyncClient) -> None:
    info = (await admin.get("/v1/info")).json()

    assert info == {"name": "pointsman", "version": "0.1.0", "public_url": "http://127.0.0.1:8080", "environment": "staging"}


async def test_metrics_are_prometheus_text(admin: httpx.AsyncClient) -> None:
    response = await admin.get("/metrics")

    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert response.text == "pointsman_epoch 1\n"


async def test_it_is_alive_but_not_ready_while_the_store_is_down(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    world.state.down = "disk full"

    live, ready = await admin.get("/health/live"), await admin.get("/health/ready")

    assert (live.status_code, ready.status_code) == (200, 503)


@pytest.mark.parametrize("path", FROM_THE_STORE)
async def test_while_the_store_is_down_reads_say_so(world: AdminWorld, admin: httpx.AsyncClient, path: str) -> None:
    world.state.down = "disk full"

    response = await admin.get(path)

    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    assert set(response.json()) == {"error", "hint"}


@pytest.mark.parametrize("path", READS)
async def test_every_read_answers(admin: httpx.AsyncClient, path: str) -> None:
    assert (await admin.get(path)).status_code == 200


@pytest.mark.parametrize("path", READS)
async def test_no_read_answers_a_foreign_host(admin: httpx.AsyncClient, path: str) -> None:
    assert (await admin.get(path, headers={"Host": "evil.example"})).status_code == 421


@pytest.mark.parametrize("path", OF_A_FAMILY)
async def test_a_family_that_nobody_knows_is_not_found(admin: httpx.AsyncClient, path: str) -> None:
    response = await admin.get(path.replace("digits", "nobody"))

    assert response.status_code == 404
    assert set(response.json()) == {"error", "hint"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/docs", 404),
        ("GET", "/v1/families/digits/", 404),
        ("POST", "/v1/families", 405),
        ("PATCH", "/metrics", 405),
    ],
)
async def test_the_frameworks_own_refusals_have_the_same_shape(admin: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    response = await admin.request(method, path)

    assert response.status_code == status
    assert set(response.json()) == {"error", "hint"}


async def test_an_unforeseen_error_has_the_same_shape_and_tells_nothing_of_the_inside_but_to_the_log() -> None:
    world = AdminWorld()
    world.registry.families = lambda: 1 / 0  # type: ignore[assignment, method-assign, return-value] # what nobody foresaw

    async with world.client() as admin:
        with capture_logs() as logs:
            response = await admin.get("/v1/families")

    assert response.status_code == 500
    assert set(response.json()) == {"error", "hint"}
    assert "division" not in response.text
    [event] = logs
    assert (event["event"], event["method"], event["path"]) == ("request_failed", "GET", "/v1/families")
    assert isinstance(event["exc_info"], ZeroDivisionError)


async def test_a_configured_host_is_answered() -> None:
    app = AdminWorld().app(hosts=frozenset({"admin.example"}))

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as admin:
        response = await admin.get("/health/live", headers={"Host": "admin.example:8081"})

    assert response.status_code == 200


async def test_a_sweep_is_told_what_must_stay_and_why(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    # given
    await with_a_canary_and_a_shadow(world, admin)

    # when
    document = (await admin.get("/v1/keep?days=7")).json()

    # then
    assert document["since"].startswith("2029-12-25")
    assert [(one["family"], one["version"], one["reasons"]) for one in document["versions"]] == [
        ("digits", "1.0.0", ["in production", "loaded"]),
        ("digits", "1.1.0", ["canary", "loaded"]),
        ("digits", "1.2.0", ["shadow", "loaded"]),
    ]
    assert document["versions"][0]["digest"] == digest_of("digits", "1.0.0")


async def test_notes_of_a_version_are_shown_the_oldest_first(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    # given
    world.registry.annotate("digits", "1.0.0", "not for the night shift", "ada", "2030-01-02T03:04:05Z")

    # when
    noted, bare, unknown = [await admin.get(f"/v1/families/digits/versions/{version}/notes") for version in ("1.0.0", "1.1.0", "9.9.9")]

    # then
    assert [(one["text"], one["by"], one["at"]) for one in noted.json()["notes"]] == [
        ("not for the night shift", "ada", "2030-01-02T03:04:05Z")
    ]
    assert (bare.json(), unknown.status_code) == ({"notes": []}, 404)


@pytest.mark.parametrize(
    "path", ["/v1/info", "/v1/families/digits", "/v1/families/digits/versions", "/v1/families/digits?at=2030-01-01T01:00:00Z"]
)
async def test_what_is_deployed_is_told_with_where(world: AdminWorld, admin: httpx.AsyncClient, path: str) -> None:
    await with_a_canary_and_a_shadow(world, admin)
    world.clock.advance(7200)  # type: ignore[attr-defined] # a fake one

    assert (await admin.get(path)).json()["environment"] == "staging"


async def test_every_family_is_told_with_where(admin: httpx.AsyncClient) -> None:
    assert {family["environment"] for family in (await admin.get("/v1/families")).json()["families"]} == {"staging"}


async def test_a_version_is_told_as_it_should_be_and_as_it_is(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    # given
    world.runs("1.1.0")
    await admin.put("/v1/families/digits/tags/candidate", json={"version": "1.0.0"}, headers=ANY)
    world.runs("1.0.0", state=LoadState.LOADING)

    # when
    told = {one["version"]: one for one in (await admin.get("/v1/families/digits/versions")).json()["versions"]}

    # then
    assert (told["1.0.0"]["wanted"], told["1.0.0"]["state"]) == (True, "loading")
    assert (told["1.2.0"]["wanted"], told["1.2.0"]["state"]) == (False, None)
    assert told["1.0.0"]["digest"] == digest_of("digits", "1.0.0")
