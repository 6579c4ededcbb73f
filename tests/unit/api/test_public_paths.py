"""The paths of the public listener beside inference: their methods, and what is answered to others."""

import json
from typing import Any

import pytest

from serving.api.inference import InferenceApp
from serving.gateway.catalogue import Catalogue
from serving.gateway.feedback import Feedback
from serving.ports import Failure, Reply
from tests.fakes.gateway import TWO, Bench, table

READ, POST = b"GET, HEAD", b"POST"


class Public:
    """The public side of a gateway, without its sockets."""

    def __init__(self) -> None:
        self.bench = bench = Bench()
        bench.gateway.swap(table())
        feedback = Feedback(bench.request_ids, bench.gateway.watchings, bench.recorder, lambda: 0.0)
        self.app = InferenceApp(Catalogue(bench.gateway, self._replicas), feedback, "1.0")
        self.is_broken = False
        self.lost: str | None = None
        """The digest that has no replica."""

    def _replicas(self, digest: str) -> int:
        if self.is_broken:
            msg = "a secret of the gateway"
            raise RuntimeError(msg)
        return 0 if digest == self.lost else 1

    async def ask(self, method: str, path: str, said: bytes = b"") -> tuple[int, dict[bytes, bytes], bytes]:
        """Status, headers and body of an answer."""
        sent = list[dict[str, Any]]()

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": said, "more_body": False}

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


async def test_the_statistics_of_a_family_are_those_of_all_its_versions_and_of_a_version_its_own(public: Public) -> None:
    for selector, reply in ((None, Reply(200, b"{}")), (None, Reply(500, b"{}", failure=Failure.MODEL))):
        public.bench.ask(selector=selector)
        public.bench.invoker.answer(reply)

    counts = {}
    for path in ("/v2/models/stats", "/v2/models/digits/stats", "/v2/models/digits/versions/1.1.0/stats"):
        _, _, body = await public.ask("GET", path)
        counts[path] = [
            (of["version"], of["inference_count"], of["execution_count"], of["inference_stats"]["fail"]["count"])
            for of in json.loads(body)["model_stats"]
        ]

    assert counts == {
        "/v2/models/stats": [("1.0.0", 1, 1, 1), ("1.1.0", 0, 0, 0)],
        "/v2/models/digits/stats": [("1.0.0", 1, 1, 1), ("1.1.0", 0, 0, 0)],
        "/v2/models/digits/versions/1.1.0/stats": [("1.1.0", 0, 0, 0)],
    }


@pytest.mark.parametrize(
    ("said", "versions"),
    [(b"", ["1.0.0", "1.1.0"]), (b"{}", ["1.0.0", "1.1.0"]), (b'{"ready": false}', ["1.0.0", "1.1.0"]), (b'{"ready": true}', ["1.0.0"])],
)
async def test_the_index_has_every_version_or_those_that_are_ready(public: Public, said: bytes, versions: list[str]) -> None:
    public.lost = TWO.digest

    status, _, body = await public.ask("POST", "/v2/repository/index", said)

    assert status == 200
    assert [entry["version"] for entry in json.loads(body)] == versions


@pytest.mark.parametrize("said", [b"ready", b'{"ready": 1}', b"[]", b"\xff"])
async def test_an_index_request_that_is_none_is_told_what_it_may_say(public: Public, said: bytes) -> None:
    status, _, body = await public.ask("POST", "/v2/repository/index", said)

    assert status == 400
    assert "ready" in json.loads(body)["error"]
