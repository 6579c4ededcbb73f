import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from serving.api.guards import MAX_BODY, AdminGuard, hostname, is_loopback


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    body = await Request(scope, receive).body()
    await PlainTextResponse(b"inside:" + body)(scope, receive, send)


def through_the_guard(base: str = "http://127.0.0.1:8081", hosts: frozenset[str] = frozenset()) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(AdminGuard(echo, hosts)), base_url=base)


@pytest.mark.parametrize(
    "base", ["http://127.0.0.1:8081", "http://localhost", "http://[::1]:8081", "http://127.8.9.1", "http://LOCALHOST:1"]
)
async def test_a_host_that_means_this_machine_is_let_in(base: str) -> None:
    async with through_the_guard(base) as client:
        response = await client.get("/")

    assert response.status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "10.0.0.1",
        "0.0.0.0",  # noqa: S104 - refused
        "[::2]",
        "2130706433",
        "a@127.0.0.1",
        "",
        "[",
        "x:y",
    ],
)
async def test_a_host_that_is_not_configured_is_turned_away(host: str) -> None:
    async with through_the_guard() as client:
        response = await client.get("/", headers={"Host": host})

    assert response.status_code == 421
    assert set(response.json()) == {"error", "hint"}


async def test_two_hosts_are_turned_away() -> None:
    async with through_the_guard() as client:
        response = await client.get("/", headers=[("Host", "127.0.0.1"), ("Host", "evil.example")])

    assert response.status_code == 421


async def test_a_configured_host_is_let_in() -> None:
    async with through_the_guard("http://admin.example", frozenset({"Admin.Example"})) as client:
        response = await client.get("/")

    assert response.status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "BREW"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "ftp://127.0.0.1:8081"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_a_change_from_another_origin_is_turned_away(method: str, headers: dict[str, str]) -> None:
    async with through_the_guard() as client:
        response = await client.request(method, "/", headers=headers)

    assert response.status_code == 403


async def test_a_change_from_the_same_origin_is_let_in() -> None:
    async with through_the_guard() as client:
        response = await client.post("/", headers={"Origin": "http://127.0.0.1:8081", "Sec-Fetch-Site": "same-origin"}, json={})

    assert response.text == "inside:{}"


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/json; charset=utf-16", "application/jsonp", ""],
)
async def test_a_body_that_a_form_could_send_is_turned_away(kind: str) -> None:
    async with through_the_guard() as client:
        response = await client.post("/", content=b"{}", headers={"Content-Type": kind})

    assert response.status_code == 415


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=UTF-8"])
async def test_json_is_let_in(kind: str) -> None:
    async with through_the_guard() as client:
        response = await client.post("/", content=b"{}", headers={"Content-Type": kind})

    assert response.status_code == 200


@pytest.mark.parametrize(("size", "status"), [(MAX_BODY, 200), (MAX_BODY + 1, 413)])
async def test_a_body_above_the_cap_is_turned_away(size: int, status: int) -> None:
    async with through_the_guard() as client:
        response = await client.post("/", content=b" " * size, headers={"Content-Type": "application/json"})

    assert response.status_code == status


async def test_answers_are_neither_cached_nor_guessed_at() -> None:
    async with through_the_guard() as client:
        response = await client.get("/")

    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"


def test_only_addresses_of_this_machine_are_loopback() -> None:
    assert all(map(is_loopback, ["localhost", "127.0.0.1", "127.255.0.9", "::1"]))
    assert not any(map(is_loopback, ["", "0.0.0.0", "::", "192.168.0.1", "localhost.example", "::ffff:10.0.0.1"]))  # noqa: S104 - refused


def test_the_host_name_is_read_without_its_port() -> None:
    assert hostname("Admin.Example:8081") == "admin.example"
    assert hostname("[::1]:80") == "::1"
    assert hostname("host/path") == ""
