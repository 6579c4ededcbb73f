"""The public HTTP listener: uvicorn's own protocol, except that inference requests take a short cut past ASGI.

More than half of what a request cost at the gateway was uvicorn's ASGI layer (a task, a scope, three awaited messages). The
short cut keeps uvicorn's parser, flow control, keep-alive, pipelining and shutdown, and adds what uvicorn lacks: caps on headers
and body, and timeouts for slow and idle connections.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import httptools
import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from serving.gateway.messages import Answer, Request, problem
from serving.gateway.predict import Gateway
from serving.ports import NO_JSON_PART, CallKind, Encoding

log = structlog.get_logger()

MIB = 2**20
ENCODINGS = {b"": Encoding.IDENTITY, b"identity": Encoding.IDENTITY, b"gzip": Encoding.GZIP, b"deflate": Encoding.DEFLATE}
PATHS_KEPT = 4096
LONGEST_PATH_KEPT = 256
"""Bytes; the paths that are kept are callers' text, and together they must stay small."""


@dataclass(frozen=True, slots=True)
class ListenerLimits:
    """Caps in bytes and counts; times in seconds."""

    body: int = 64 * MIB
    header_bytes: int = 32 * 1024
    headers: int = 100
    receive_timeout: float = 30.0
    idle_timeout: float = 75.0


@dataclass(frozen=True, slots=True)
class Route:
    """What the path of an inference request says."""

    kind: CallKind
    family: str
    selector: str | None


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


class InferenceCycle:
    """One inference request on a connection; stands where uvicorn keeps its own request-response cycle."""

    __slots__ = ("body", "disconnected", "keep_alive", "message_event", "more_body", "protocol", "request", "response_complete", "started")

    def __init__(self, protocol: "InferenceProtocol", request: Request, *, keep_alive: bool) -> None:
        self.protocol = protocol
        self.request = request
        self.keep_alive = keep_alive
        self.body: bytes | bytearray = b""
        self.more_body = True
        self.started = False
        self.response_complete = False
        self.disconnected = False
        self.message_event = _NO_EVENT

    def take(self, body: bytes) -> None:
        """Add what arrived of the body. One buffer: a list of tiny chunks would weigh many times what they hold."""
        if not self.body:
            self.body = body
            return
        if isinstance(self.body, bytes):
            self.body = bytearray(self.body)
        self.body += body

    def start_when_whole(self) -> None:
        """Hand the request to the gateway once it is this one's turn and all of it has arrived."""
        if self.started and not self.more_body and not self.response_complete:
            self.request.body, self.body = bytes(self.body), b""
            self.protocol.gateway.handle(self.request, self.respond)

    def respond(self, answer: Answer) -> None:
        """Write the answer, unless the caller has hung up."""
        self.response_complete = True
        self.request.body = b""  # the connection keeps this cycle until its next request
        if not self.disconnected:
            self.protocol.write_answer(answer, keep_alive=self.keep_alive)


class _NoEvent:
    """uvicorn sets its cycle's event when a connection is lost; nothing of ours waits for one."""

    def set(self) -> None:
        pass


_NO_EVENT = _NoEvent()


class InferenceProtocol(HttpToolsProtocol):
    """A connection. Subclassed by `protocol_for`, which binds the gateway it serves."""

    gateway: Gateway
    limits: ListenerLimits
    routes: dict[bytes, Route]
    parser: httptools.HttpRequestParser  # pyright: ignore[reportIncompatibleVariableOverride]  # None only after the connection is lost

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - uvloop's transports are no subclass of asyncio's
        """Start the clocks that the sweep looks at: a caller that never says anything is idle, too."""
        super().connection_made(transport)
        self.receiving_since: float | None = None
        self.idle_since = self.loop.time()
        self.is_held = False
        self.unread = 0

    def connection_lost(self, exc: Exception | None) -> None:
        """What was pipelined and not begun has nobody left to answer to."""
        self.pipeline.clear()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Start counting what the caller sends. The ASGI scope is made later, for requests that need one."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self.header_bytes = 0
        self.body_bytes = 0
        self.receiving_since = self.loop.time()

    def on_url(self, url: bytes) -> None:
        """Cap the request line together with the headers."""
        self.url += url
        self.header_bytes += len(url)
        if self.header_bytes > self.limits.header_bytes:
            raise self._too_many_headers()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, up to the cap. Called for every header of every request: written out rather than handed on."""
        name = name.lower()
        headers = self.headers
        headers.append((name, value))
        self.header_bytes += len(name) + len(value)
        if self.header_bytes > self.limits.header_bytes or len(headers) > self.limits.headers:
            raise self._too_many_headers()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True

    def _too_many_headers(self) -> BadRequest:
        return BadRequest(431, f"the headers exceed {self.limits.header_bytes} bytes or {self.limits.headers} lines; send fewer")

    def _make_scope(self) -> None:
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.headers, self.expect_100_continue = url, headers, expects
        self.scope["headers"] = headers

    def on_headers_complete(self) -> None:
        """Take the short cut for an inference request; leave anything else to uvicorn."""
        if self.parser.should_upgrade():
            raise BadRequest(400, "this listener does not upgrade connections; send plain HTTP/1.1")
        route = self._inference_route()
        if route is None:
            self._refuse_without_path()
            self._make_scope()
            super().on_headers_complete()
            return
        http_1_1 = self.parser.get_http_version() == "1.1"
        request = read_request(route, self.headers, self.limits)
        cycle = InferenceCycle(self, request, keep_alive=http_1_1 and self.parser.should_keep_alive())
        before: RequestResponseCycle | None = self.cycle
        self.cycle = cycle  # type: ignore[assignment]  # it stands in for one
        if self.expect_100_continue:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if (before is None or before.response_complete) and not self.is_held:
            cycle.started = True
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))  # type: ignore[arg-type]

    def _refuse_without_path(self) -> None:
        try:
            path = httptools.parse_url(self.url).path
        except httptools.HttpParserInvalidURLError:
            path = None
        if path is None:
            raise BadRequest(400, "the request line names no path")

    def _inference_route(self) -> Route | None:
        if self.parser.get_method() != b"POST":
            return None
        route = self.routes.get(self.url)
        if route is None:
            route = read_route(self.url)
            if route is not None and len(self.url) <= LONGEST_PATH_KEPT:
                if len(self.routes) >= PATHS_KEPT:
                    self.routes.clear()
                self.routes[self.url] = route
        return route

    def on_body(self, body: bytes) -> None:
        """Collect the body up to the cap; chunked bodies count as they come."""
        self.body_bytes += len(body)
        if self.body_bytes > self.limits.body:
            raise BadRequest(413, f"the body exceeds the limit of {self.limits.body} bytes")
        cycle: InferenceCycle | RequestResponseCycle = self.cycle
        if type(cycle) is InferenceCycle:
            cycle.take(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Answer the request that is now whole."""
        self.receiving_since = None
        cycle: InferenceCycle | RequestResponseCycle = self.cycle
        if type(cycle) is InferenceCycle:
            cycle.more_body = False
            cycle.start_when_whole()
        else:
            super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Feed the parser; what is refused here closes the connection, since the rest of the request is still on the wire."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            if isinstance(cause, BadRequest):
                self._refuse(cause.status, cause.sentence)
            else:
                log.exception("request_failed", exc_info=cause)
                self._refuse(500, "the gateway failed on this request")
        except httptools.HttpParserUpgrade:
            self._refuse(400, "this listener does not upgrade connections")
        except httptools.HttpParserError:
            self._refuse(400, "this is not an HTTP/1.1 request")

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:  # noqa: ANN401 - uvicorn's own hook, either kind of cycle
        if type(cycle) is InferenceCycle:
            cycle.started = True
            cycle.start_when_whole()
        else:
            super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """Go on with the next pipelined request; an idle connection is closed by the sweep, not by a timer of its own."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.idle_since = self.loop.time()
        if self.flow.write_paused:  # answers must not pile up for a caller that does not read them
            self.is_held = True
            self.flow.pause_reading()
        else:
            self._go_on()

    def resume_writing(self) -> None:
        """Go on once the caller has read enough of its answers."""
        super().resume_writing()
        if self.is_held:
            self.is_held = False
            if not self.transport.is_closing():
                self._go_on()

    def _go_on(self) -> None:
        following = self.pipeline.pop() if self.pipeline else None
        if not self.pipeline and self.flow.read_paused:
            self.flow.resume_reading()
            if self.receiving_since is not None:  # it was not the caller who paused
                self.receiving_since = self.loop.time()
        if following is not None:
            # Not at once: answers that need no waiting would nest, one call deeper for every request that was pipelined.
            self.loop.call_soon(self._start_asgi_task, *following)

    def write_answer(self, answer: Answer, *, keep_alive: bool) -> None:
        """Write one answer as a whole."""
        if self.transport.is_closing():  # a connection that was refused for what followed this request
            return
        self.transport.write(render(answer, keep_alive=keep_alive))
        if not keep_alive:
            self._hang_up()
        self.on_response_complete()

    def sweep(self, now: float) -> None:
        """Close the connection if the caller is too slow, idle, or does not read."""
        is_idle = now - self.idle_since > self.limits.idle_timeout
        cycle: RequestResponseCycle | None = self.cycle
        if self.is_held or self.transport.is_closing():
            self._sweep_unread(now, is_idle=is_idle)
        elif self.receiving_since is not None:
            if not self.flow.read_paused and now - self.receiving_since > self.limits.receive_timeout:
                self._refuse(408, f"the request was not received within {self.limits.receive_timeout:g} seconds")
        elif is_idle and (cycle is None or cycle.response_complete):
            self._hang_up()

    def _sweep_unread(self, now: float, *, is_idle: bool) -> None:
        unread = self.transport.get_write_buffer_size()
        if unread != self.unread:  # slowly, but it reads
            self.unread, self.idle_since = unread, now
        elif is_idle:
            self.transport.abort()

    def _refuse(self, status: int, sentence: str) -> None:
        if not self.transport.is_closing():
            self.transport.write(render(Answer(status, problem(sentence)), keep_alive=False))
            self._hang_up()

    def _hang_up(self) -> None:
        self.idle_since = self.loop.time()
        self.transport.close()


def read_request(route: Route, headers: list[tuple[bytes, bytes]], limits: ListenerLimits) -> Request:
    """Read what the headers of an inference request say. Raises `BadRequest`."""
    found = dict(headers)
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


def render(answer: Answer, *, keep_alive: bool) -> bytes:
    """The bytes of an answer."""
    body = answer.body
    lines = [STATUS_LINE[answer.status]]
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


def protocol_for(gateway: Gateway, limits: ListenerLimits) -> Callable[..., InferenceProtocol]:
    """The protocol class of one gateway's listener, for uvicorn's `http=`."""
    return type("BoundInferenceProtocol", (InferenceProtocol,), {"gateway": gateway, "limits": limits, "routes": {}})
