"""POST /v1/feedback on the public listener."""

import json
from typing import Any

import pytest

from serving.api.inference import LARGEST_RATING, InferenceApp
from serving.core.traffic import WHOLE
from serving.core.watches import Rewards, Watch
from serving.gateway.catalogue import Catalogue
from serving.gateway.feedback import Feedback
from serving.ports import Reply
from tests.fakes.gateway import ONE, TWO, Bench, table


class Public:
    """The public side of a gateway with a rollout that looks at feedback, without its sockets."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.bench.gateway.swap(table(canary=WHOLE, watch=Watch("r1", TWO.digest, ONE.digest, rewards=Rewards())))
        feedback = Feedback(self.bench.request_ids, self.bench.gateway.watchings, self.bench.recorder, lambda: 0.0)
        self.app = InferenceApp(Catalogue(self.bench.gateway, lambda _: 1), feedback, "1.0")

    def answer(self) -> str:
        self.bench.ask()
        self.bench.invoker.answer(Reply(200, b"{}"))
        return self.bench.answers[-1].request_id

    async def post(self, body: bytes, *, parts: int = 1) -> tuple[int, Any]:
        """Send the body in so many parts."""
        step = max(-(-len(body) // parts), 1)
        pieces = [body[at : at + step] for at in range(0, len(body), step)] or [b""]
        sent = list[dict[str, Any]]()

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.app({"type": "http", "method": "POST", "raw_path": b"/v1/feedback"}, receive, send)
        return sent[0]["status"], json.loads(sent[1]["body"])


@pytest.fixture
def public() -> Public:
    return Public()


async def test_a_rating_is_taken_once(public: Public) -> None:
    body = json.dumps({"request_id": public.answer(), "score": 1}).encode()

    first, second = await public.post(body, parts=3), await public.post(body)

    assert first == (202, {"outcome": "counted"})
    assert second == (202, {"outcome": "repeated"})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"request_id": "x"}',
        b'{"request_id": "", "score": 1}',
        b'{"request_id": "x", "score": "1"}',
        b'{"request_id": "x", "score": NaN}',
        b'{"request_id": "x", "score": 1e999}',
        b'{"request_id": "x", "score": true}',
        b'{"request_id": "x", "score": 1, "comment": "nice"}',
        b'{"request_id": "\xff", "score": 1}',
        b'{"request_id": "\\ud800:a", "score": 1}',
        b'{"request_id": "x", "score": 1}',
    ],
)
async def test_what_is_no_rating_is_refused_with_a_sentence(public: Public, body: bytes) -> None:
    status, document = await public.post(body)

    assert status == 400
    assert document["error"]


async def test_a_score_outside_of_the_bounds_is_refused(public: Public) -> None:
    status, document = await public.post(json.dumps({"request_id": public.answer(), "score": 1.5}).encode())

    assert status == 400
    assert "outside of 0 to 1" in document["error"]


async def test_a_body_that_is_far_too_long_is_refused(public: Public) -> None:
    status, _ = await public.post(b" " * (LARGEST_RATING * 4), parts=50)

    assert status == 413
