"""The paths of the public listener beside inference: their methods, and what is answered to others."""

import json
from typing import Any

import pytest

from serving.api.inference import InferenceApp
from serving.gateway.catalogue import Catalogue
from serving.gateway.feedback import Feedback
from tests.fakes.gateway import Bench, table

READ, POST = b"GET, HEAD", b"POST"


class Public:
    """The public side of a gateway, without its sockets."""

    def __init__(self) -> None:
        bench = Bench()
        bench.gateway.swap(table())
        feedback = Feedback(bench.request_ids, bench.gateway.watchings, bench.recorder, lambda: 0.0)
        self.app = InferenceApp(Catalogue(bench.gateway, self._replicas), feedback, "1.0")
        self.is_broken = False

    def _replicas(self, _: str) -> int:
        if self.is_broken:
            msg = "a secret of the gateway"
            raise RuntimeError(msg)
        return 1

    async def ask(self, method: str, path: str) -> tuple[int, dict[bytes, bytes], bytes]:
        """Status, headers and body of an answer."""
        sent = list[dict[str, Any]]()

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.app({"type": "http", "method": method, "raw_path": path.encode()}, receive, send)
        return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


@pytest.fixture
def public() -> Public:
    return Public()


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/v2", READ),
        ("POST", "/v2/health/ready", READ),
        ("POST", "/v2/models/digits", READ),
        ("PUT", "/v2/models/digits/versions/1.0.0/ready", READ),
        ("OPTIONS", "/v2/models/digits/infer", POST),
        ("GET", "/v2/models/digits/versions/1.0.0/infer", POST),
        ("HEAD", "/v1/families/digits/predict", POST),
        ("GET", "/v1/feedback", POST),
        ("GET", "/v2/repository/index", POST),
        ("GET", "/v2/repository/models/digits/load", POST),
    ],
)
async def test_a_path_that_takes_another_method_says_which(public: Public, method: str, path: str, allowed: bytes) -> None:
    status, headers, body = await public.ask(method, path)

    assert (status, headers[b"allow"]) == (405, allowed)
    assert set(json.loads(body)) == {"error"}


@pytest.mark.parametrize("path", ["", "*", "/", "/v2/", "/v2/models", "/v2/models/digits/infer/", "/v1/families/digits/versions/predict"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
async def test_a_path_that_is_none_is_not_found_whatever_is_asked_of_it(public: Public, method: str, path: str) -> None:
    status, headers, body = await public.ask(method, path)

    assert status == 404
    assert b"allow" not in headers
    assert "no such path" in json.loads(body)["error"]


@pytest.mark.parametrize("path", ["/v2", "/v2/health/live", "/v2/models/nobody", "/nonesuch"])
async def test_the_headers_of_a_head_request_are_those_of_a_get(public: Public, path: str) -> None:
    asked, meant = await public.ask("HEAD", path), await public.ask("GET", path)

    assert asked[:2] == meant[:2]
    assert int(asked[1][b"content-length"]) == len(meant[2]) > 0


async def test_a_fault_of_the_gateway_is_told_in_the_shape_of_every_error_and_tells_nothing_more(public: Public) -> None:
    public.is_broken = True

    status, _, body = await public.ask("GET", "/v2/health/ready")

    assert (status, json.loads(body)) == (500, {"error": "the gateway failed on this request"})
