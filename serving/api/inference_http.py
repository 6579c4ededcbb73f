"""Inference requests and answers as HTTP/1.1 has them: what path and headers of a request say, and the bytes of an answer."""

from dataclasses import dataclass
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from serving.gateway.messages import Answer, Request
from serving.ports import NO_JSON_PART, CallKind, Encoding

MIB = 2**20
ENCODINGS = {b"": Encoding.IDENTITY, b"identity": Encoding.IDENTITY, b"gzip": Encoding.GZIP, b"deflate": Encoding.DEFLATE}
OK = 200
_GOOD_JSON = b"HTTP/1.1 200 OK\r\n%bcontent-type: application/json\r\ncontent-length: %%d\r\n%%bx-request-id: %%b\r\n\r\n%%b"


SINGLE = frozenset({b"host", b"content-encoding", b"inference-header-content-length", b"x-request-timeout-ms"})
"""Headers that decide how a request is read: of two, this listener and a proxy before it could each go by another."""


@dataclass(frozen=True, slots=True)
class ListenerLimits:
    """Caps in bytes and counts; times in seconds."""

    body: int = 64 * MIB
    header_bytes: int = 32 * 1024
    headers: int = 100
    receive_timeout: float = 30.0
    idle_timeout: float = 75.0
    held: int = 1024 * MIB
    """Of large bodies and unread answers of all connections together."""


@dataclass(frozen=True, slots=True)
class Route:
    """What the path of an inference request says."""

    kind: CallKind
    family: str
    selector: str | None


def origin_form(target: bytes) -> bytes:
    """The path of a request's target, which a proxy may be sent with `http://host` before it (RFC 9112, 3.2.2); empty where it has none."""
    if target.startswith(b"/"):
        return target
    try:
        return httptools.parse_url(target).path or b""
    except httptools.HttpParserInvalidURLError:
        return b""


def read_route(path: bytes) -> Route | None:
    """Read `/v2/models/F[/versions/S]/infer` or `/v1/families/F[/versions/S]/predict`; None for any other path."""
    parts = path.partition(b"?")[0].split(b"/")
    match parts:
        case [b"", b"v2", b"models", family, b"infer"]:
            return _route(CallKind.INFER, family, None)
        case [b"", b"v2", b"models", family, b"versions", selector, b"infer"]:
            return _route(CallKind.INFER, family, selector)
        case [b"", b"v1", b"families", family, b"predict"]:
            return _route(CallKind.PREDICT, family, None)
        case [b"", b"v1", b"families", family, b"versions", selector, b"predict"]:
            return _route(CallKind.PREDICT, family, selector)
        case _:
            return None


def _route(kind: CallKind, family: bytes, selector: bytes | None) -> Route:
    return Route(kind, _text(family), None if selector is None else _text(selector))


def _text(part: bytes) -> str:
    text = part.decode("latin-1")
    return unquote(text) if "%" in text else text


class BadRequest(Exception):
    """A request that is refused before it is routed."""

    def __init__(self, status: int, sentence: str) -> None:
        self.status, self.sentence = status, sentence
        super().__init__(sentence)


def read_framing(headers: list[tuple[bytes, bytes]], version: str) -> dict[bytes, bytes]:
    """The headers by name, once it is certain that every server on the way reads the request alike. Raises `BadRequest`."""
    found = dict(headers)
    # One look at what nearly all requests are: this is asked of every one of them.
    if len(found) != len(headers) or b"host" not in found or b"content-length" not in found or version != "1.1":
        _refuse_odd_framing(headers, found, version)
    return found


def _refuse_odd_framing(headers: list[tuple[bytes, bytes]], found: dict[bytes, bytes], version: str) -> None:
    if len(found) != len(headers):
        _refuse_repeated([name for name, _ in headers])
    if version not in {"1.0", "1.1"}:
        raise BadRequest(505, f"HTTP/{version} is not spoken here; send HTTP/1.1")
    if version == "1.1" and b"host" not in found:
        raise BadRequest(400, "a request in HTTP/1.1 needs a Host header")
    if b"content-length" not in found and found.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
        raise BadRequest(501, "the only Transfer-Encoding is chunked; say with Content-Encoding how the body is compressed")


def _refuse_repeated(names: list[bytes]) -> None:
    for name in sorted(SINGLE):
        if names.count(name) > 1:
            raise BadRequest(400, f"the header {name.decode().title()} is given twice; give it once")


def read_request(route: Route, headers: list[tuple[bytes, bytes]], version: str, limits: ListenerLimits) -> Request:
    """Read what the headers of an inference request say. Raises `BadRequest`."""
    found = read_framing(headers, version)
    length = found.get(b"content-length")
    if length is not None and int(length) > limits.body:
        raise BadRequest(413, f"the body of {int(length)} bytes exceeds the limit of {limits.body} bytes")
    request = Request(route.kind, route.family, route.selector, b"", found)
    if b"content-encoding" in found:
        request.encoding = _read_encoding(found[b"content-encoding"])
    if b"inference-header-content-length" in found:
        request.json_length = _read_number("Inference-Header-Content-Length", found[b"inference-header-content-length"], 2**31 - 1)
    if b"x-request-timeout-ms" in found:
        request.timeout = max(1, _read_number("X-Request-Timeout-Ms", found[b"x-request-timeout-ms"], 2**31 - 1)) / 1000
    return request


def _read_encoding(value: bytes) -> Encoding:
    encoding = ENCODINGS.get(value.strip().lower())
    if encoding is None:
        raise BadRequest(415, f"Content-Encoding {value[:40].decode('latin-1')!r} is not supported; use gzip, deflate or none")
    return encoding


def _read_number(name: str, value: bytes, most: int) -> int:
    if not (value.isdigit() and len(value) <= 10 and int(value) <= most):  # noqa: PLR2004 - digits of 2**31
        raise BadRequest(400, f"{name} must be a whole number between 0 and {most}, not {value[:40].decode('latin-1')!r}")
    return int(value)


class SharedHeaders:
    """The headers that uvicorn gives all its answers, as lines: Date (RFC 9110, 6.6.1), which it makes anew once a second."""

    def __init__(self) -> None:
        self.renew([])

    def renew(self, pairs: list[tuple[bytes, bytes]]) -> None:
        """Take over uvicorn's newest headers."""
        self.pairs = pairs
        self.lines = b"".join(b"%b: %b\r\n" % pair for pair in pairs)
        self.good_json = _GOOD_JSON % self.lines.replace(b"%", b"%%")


def render(answer: Answer, shared: SharedHeaders, *, keep_alive: bool) -> bytes:
    """The bytes of an answer."""
    body = answer.body
    if keep_alive and answer.status == OK and answer.json_length == NO_JSON_PART:  # nearly all of them
        return shared.good_json % (len(body), answer.route_headers, answer.request_id.encode(), body)
    lines = [STATUS_LINE[answer.status], shared.lines]
    if answer.json_length == NO_JSON_PART:
        lines.append(b"content-type: application/json\r\n")
    else:
        lines.append(b"content-type: application/octet-stream\r\ninference-header-content-length: %d\r\n" % answer.json_length)
    lines.append(b"content-length: %d\r\n" % len(body))
    lines.append(answer.route_headers)
    if answer.request_id:
        lines.append(b"x-request-id: %b\r\n" % answer.request_id.encode())
    if answer.retry_after:
        lines.append(b"retry-after: %d\r\n" % answer.retry_after)
    if not keep_alive:
        lines.append(b"connection: close\r\n")
    lines += (b"\r\n", body)
    return b"".join(lines)
