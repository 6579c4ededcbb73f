"""The rest of the public listener, as raw ASGI: the Open Inference Protocol's health, metadata and the like, and feedback on answers.

Inference itself never comes here: the listener takes it on a short cut. Every error is `{"error": ...}`.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from urllib.parse import unquote

import msgspec
import structlog

from registry_client.errors import InvalidReference
from serving.core.errors import Refusal
from serving.core.routing import Target
from serving.gateway.catalogue import Catalogue, NotReady
from serving.gateway.feedback import Feedback, FeedbackRefused
from serving.gateway.messages import problem, refused

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Result = tuple[int, object]
Header = tuple[bytes, bytes]

READ, POST = ("GET", "HEAD"), ("POST",)
"""The methods of a path; the first one is what is meant."""

log = structlog.get_logger()

LARGEST_RATING = 4096
"""Bytes of a feedback body."""

EXTENSIONS = ("binary_tensor_data", "model_repository", "statistics")

_encode = msgspec.json.Encoder().encode


class _Rating(msgspec.Struct, forbid_unknown_fields=True):
    request_id: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
    score: float


class _IndexWish(msgspec.Struct):
    ready: bool = False


_RATING = msgspec.json.Decoder(_Rating)
_INDEX_WISH = msgspec.json.Decoder(_IndexWish)


class InferenceApp:
    """Answers everything on the public listener that is not an inference request."""

    def __init__(self, catalogue: Catalogue, feedback: Feedback, version: str) -> None:
        self._catalogue = catalogue
        self._feedback = feedback
        self._version = version

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            return
        method, parts = scope["method"], [unquote(part) for part in scope["raw_path"].decode("latin-1").split("/")[1:]]
        body = await _drain(receive)
        allowed = _methods(parts)
        if allowed and method not in allowed:
            error = f"{_path(parts)} needs {allowed[0]}" if method in {"GET", "POST"} else f"{method} is not allowed here"
            await _send(send, 405, problem(error), (b"allow", ", ".join(allowed).encode()))
            return
        await _send(send, *await self._answer(method, parts, body))

    async def _answer(self, method: str, parts: list[str], body: bytes) -> tuple[int, bytes, Header | None]:
        try:
            status, document = self._post(parts, body) if method == "POST" else await self._get(parts)
            return status, _encode(document), None
        except (Refusal, InvalidReference) as error:
            answer = refused(error)
            return answer.status, answer.body, (b"retry-after", b"%d" % answer.retry_after) if answer.retry_after else None
        except NotReady as error:
            return 503, problem(str(error)), (b"retry-after", b"1")
        except Exception:
            log.exception("request_failed")
            return 500, problem("the gateway failed on this request"), None

    async def _get(self, parts: list[str]) -> Result:
        catalogue = self._catalogue
        match parts:
            case ["v2"]:
                return 200, {"name": "pointsman", "version": self._version, "extensions": EXTENSIONS}
            case ["v2", "health", "live"]:
                return 200, {"live": True}
            case ["v2", "health", "ready"]:
                return (200, {"ready": True}) if catalogue.is_ready() else (503, {"ready": False})
            case ["v2", "models", "stats"]:
                return 200, {"model_stats": catalogue.statistics(catalogue.served())}
            case ["v2", "models", family, *rest]:
                return await self._model(family, rest)
            case _:
                return _no_such(parts)

    async def _model(self, family: str, rest: list[str]) -> Result:
        selector = None
        if len(rest) > 1 and rest[0] == "versions":
            selector, rest = rest[1], rest[2:]
        target = self._catalogue.target(family, selector)
        match rest:
            case []:
                return 200, await self._catalogue.metadata(target)
            case ["ready"]:
                return self._model_ready(target)
            case ["config"]:
                return 200, await self._catalogue.config(target)
            case ["stats"]:
                asked = self._catalogue.served(family) if selector is None else [target]
                return 200, {"model_stats": self._catalogue.statistics(asked)}
            case _:
                return 404, {"error": f"no such path under /v2/models/{family}"}

    def _model_ready(self, target: Target) -> Result:
        ready = self._catalogue.is_target_ready(target)
        return (200 if ready else 503), {"name": target.family, "ready": ready}

    def _post(self, parts: list[str], body: bytes) -> Result:
        match parts:
            case ["v1", "feedback"]:
                return self._rate(body)
            case ["v2", "repository", "index"]:
                return self._index(body)
            case ["v2", "repository", "models", _, "load" | "unload"]:
                return 403, {"error": "what is loaded follows from the tags; change them through the admin API"}
            case _:
                return _no_such(parts)

    def _index(self, body: bytes) -> Result:
        try:
            wish = _INDEX_WISH.decode(body or b"{}")
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return 400, {"error": f'{error}; the body of an index request is empty, or {{"ready": true}}'}
        return 200, self._catalogue.index(is_ready=wish.ready)

    def _rate(self, body: bytes) -> Result:
        if len(body) > LARGEST_RATING:
            return 413, {"error": f"feedback is at most {LARGEST_RATING} bytes"}
        try:
            rating = _RATING.decode(body)
            outcome = self._feedback.take(rating.request_id, rating.score)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return 400, {"error": f'{error}; feedback is {{"request_id": "the X-Request-Id of an answer", "score": 0.5}}'}
        except FeedbackRefused as error:
            return 400, {"error": f"{error} ({error.hint})"}
        return 202, {"outcome": outcome.value}


def _methods(parts: list[str]) -> tuple[str, ...]:
    """What may be asked of a path, by every path that there is; nothing where there is no such path."""
    match parts:
        case (
            ["v2", "repository", "index"]
            | ["v2", "repository", "models", _, "load" | "unload"]
            | ["v2", "models", _, "infer"]
            | ["v2", "models", _, "versions", _, "infer"]
            | ["v1", "families", _, "predict"]
            | ["v1", "families", _, "versions", _, "predict"]
            | ["v1", "feedback"]
        ):
            return POST
        case (
            ["v2"]
            | ["v2", "health", "live" | "ready"]
            | ["v2", "models", _]
            | ["v2", "models", _, "ready" | "config" | "stats"]
            | ["v2", "models", _, "versions", _]
            | ["v2", "models", _, "versions", _, "ready" | "config" | "stats"]
        ):
            return READ
        case _:
            return ()


def _path(parts: list[str]) -> str:
    return "/" + "/".join(parts)[:119]


def _no_such(parts: list[str]) -> Result:
    return 404, {"error": f"no such path: {_path(parts)}; inference is at /v2/models/FAMILY/infer and /v1/families/FAMILY/predict"}


async def _drain(receive: Receive) -> bytes:
    """Read the body (an index request may have one, too), of which only the beginning is kept; the listener has capped it."""
    body, more = b"", True
    while more:
        message = await receive()
        if len(body) <= LARGEST_RATING:
            body += message.get("body", b"")
        more = message.get("more_body", False) and message["type"] == "http.request"
    return body


async def _send(send: Send, status: int, body: bytes, more: Header | None = None) -> None:
    """Answer; of a HEAD request's answer uvicorn sends the headers alone, which are those of a GET."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, more] if more else headers})
    await send({"type": "http.response.body", "body": body})
