"""The public HTTP listener: uvicorn's own protocol, except that inference requests take a short cut past ASGI.

More than half of what a request cost at the gateway was uvicorn's ASGI layer (a task, a scope, three awaited messages). The
short cut keeps uvicorn's parser, flow control, keep-alive, pipelining and shutdown, and adds what uvicorn lacks: caps on headers
and body, and timeouts for slow and idle connections.
"""

from typing import Any

import httptools
import msgspec
import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from serving.api.held import Held
from serving.api.inference_http import (
    BadRequest,
    ListenerLimits,
    Route,
    SharedHeaders,
    origin_form,
    read_framing,
    read_request,
    read_route,
    render,
)
from serving.api.lingering import Lingering
from serving.gateway.messages import RETRY_AFTER_S, Answer, Request, problem
from serving.gateway.predict import SERVICE_UNAVAILABLE, Gateway

log = structlog.get_logger()

PATHS_KEPT = 4096
LONGEST_PATH_KEPT = 256
"""Bytes; the paths that are kept are callers' text, and together they must stay small."""


class _NoEvent:
    """uvicorn sets its cycle's event when a connection is lost; nothing of ours waits for one."""

    def set(self) -> None:
        pass


_NO_EVENT = _NoEvent()


class InferenceCycle(msgspec.Struct):
    """One inference request on a connection; stands where uvicorn keeps its own request-response cycle."""

    protocol: "InferenceProtocol"
    request: Request
    keep_alive: bool
    body: bytes | bytearray = b""
    more_body: bool = True
    started: bool = False
    response_complete: bool = False
    disconnected: bool = False
    message_event: _NoEvent = _NO_EVENT
    held: int = 0
    """Bytes of the body that count as held."""

    def take(self, body: bytes) -> None:
        """Add what arrived of the body. One buffer: a list of tiny chunks would weigh many times what they hold."""
        if not self.body:
            self.body = body
            return
        if isinstance(self.body, bytes):
            self.body = bytearray(self.body)
        self.body += body
        self.held += len(body)
        self.protocol.held.take(len(body))
        if self.protocol.held.is_full:
            sentence = f"this gateway holds {self.protocol.held.most} bytes for its callers, which is its limit; try again"
            raise BadRequest(SERVICE_UNAVAILABLE, sentence)

    def let_go(self) -> None:
        """The body is needed no more."""
        self.protocol.held.release(self.held)
        self.held = 0

    def start_when_whole(self) -> None:
        """Hand the request to the gateway once it is this one's turn and all of it has arrived."""
        if self.started and not self.more_body and not self.response_complete:
            self.request.body, self.body = bytes(self.body), b""
            self.protocol.gateway.handle(self.request, self.respond)

    def respond(self, answer: Answer) -> None:
        """Write the answer, unless the caller has hung up."""
        self.response_complete = True
        self.request.body = b""  # the connection keeps this cycle until its next request
        if self.held:
            self.let_go()
        if not self.disconnected:
            self.protocol.write_answer(answer, keep_alive=self.keep_alive)


class InferenceProtocol(HttpToolsProtocol):
    """A connection. Subclassed by `protocol_for`, which binds the gateway it serves."""

    gateway: Gateway
    limits: ListenerLimits
    held: Held
    shared: SharedHeaders
    routes: dict[bytes, Route]
    parser: httptools.HttpRequestParser  # pyright: ignore[reportIncompatibleVariableOverride]  # None only after the connection is lost

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - uvloop's transports are no subclass of asyncio's
        """Start the clocks that the sweep looks at: a caller that never says anything is idle, too."""
        super().connection_made(transport)
        self.receiving_since: float | None = None
        self.idle_since = self.loop.time()
        self.is_held = False
        self.unread = 0
        self.is_in_head = self.is_head_split = False
        self.offers_upgrade = False
        self.arrived_bytes = self.body_bytes = 0

    def connection_lost(self, exc: Exception | None) -> None:
        """What was pipelined and not begun has nobody left to answer to."""
        newest: InferenceCycle | RequestResponseCycle | None = self.cycle
        for cycle in (newest, *(cycle for cycle, _ in self.pipeline)):
            if type(cycle) is InferenceCycle and (cycle.more_body or not cycle.started):  # what the gateway has is let go with its answer
                cycle.let_go()
        self.pipeline.clear()
        self.held.read(self)
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Start counting what the caller sends. The ASGI scope is made later, for requests that need one."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self.is_in_head = True
        self.is_head_split = False
        self.head_bytes = 0
        self.body_bytes = 0
        self.receiving_since = self.loop.time()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header. Called for every one of every request, so what they may cost is looked at once, when all are there."""
        name = name.lower()
        self.headers.append((name, value))
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True

    def _cap_head(self) -> None:
        """Raise when request line and headers are too large, of which `head_bytes` are known to be there."""
        limits = self.limits
        # What has just arrived may hold a body, or other requests.
        exact = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if len(self.headers) > limits.headers or max(exact, self.head_bytes) > limits.header_bytes:
            raise BadRequest(431, f"the headers exceed {limits.header_bytes} bytes or {limits.headers} lines; send fewer")

    def _make_scope(self) -> None:
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.headers, self.expect_100_continue = url, headers, expects
        self.scope["headers"] = headers

    def on_headers_complete(self) -> None:
        """Take the short cut for an inference request; leave anything else to uvicorn."""
        self.is_in_head = False
        limits = self.limits
        if self.is_head_split or len(self.headers) > limits.headers or self.arrived_bytes > limits.header_bytes:
            self._cap_head()
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            self.offers_upgrade = True  # the parser passes over the body now, so the request is read once more, without the offer
            return
        version = self.parser.get_http_version()
        route = self._inference_route()
        if route is None:
            read_framing(self.headers, version)
            self._refuse_without_path()
            self._make_scope()
            super().on_headers_complete()
            return
        request = read_request(route, self.headers, version, limits)
        cycle = InferenceCycle(self, request, version == "1.1" and self.parser.should_keep_alive())
        before: RequestResponseCycle | None = self.cycle
        self.cycle = cycle  # type: ignore[assignment]  # it stands in for one
        if self.expect_100_continue and version == "1.1":
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
        if path is None or self.parser.get_method() == b"CONNECT":
            raise BadRequest(400, "the request line names no path")

    def _inference_route(self) -> Route | None:
        if self.parser.get_method() != b"POST":
            return None
        route = self.routes.get(self.url)
        if route is None:
            route = read_route(origin_form(self.url))
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
        if self.offers_upgrade:
            return
        self.receiving_since = None
        cycle: InferenceCycle | RequestResponseCycle = self.cycle
        if type(cycle) is InferenceCycle:
            cycle.more_body = False
            cycle.start_when_whole()
        else:
            super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Feed the parser; what is refused here closes the connection, since the rest of the request is still on the wire."""
        while True:
            was_in_head, began, had = self.is_in_head, self.receiving_since, self.body_bytes
            self.arrived_bytes = len(data)
            try:
                self.parser.feed_data(data)
                if self.receiving_since is not None:
                    self._cap_pieces(was_in_head=was_in_head, grew=began is not self.receiving_since or self.body_bytes > had)
            except BadRequest as error:
                self._refuse(error.status, error.sentence)
            except httptools.HttpParserCallbackError as error:
                self._refuse_after(error.__context__)
            except httptools.HttpParserUpgrade as offer:
                data = self._without_offer() + data[offer.args[0] :]
                continue
            except httptools.HttpParserError:
                self._refuse(400, "this is not an HTTP/1.1 request")
            return

    def _without_offer(self) -> bytes:
        """The head of the request again. An offer may be ignored (RFC 9110, 7.8): Java's HttpClient makes one to every server."""
        self.offers_upgrade = False
        line = b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        return line + b"".join(b"%b: %b\r\n" % (name, value) for name, value in self.headers if name != b"upgrade") + b"\r\n"

    def _cap_pieces(self, *, was_in_head: bool, grew: bool) -> None:
        """Raise when a request that comes in pieces has too much that is no body: the parser keeps to itself what it has of a value."""
        if self.is_in_head:
            self.is_head_split = True  # how much of the first piece was head is known once all of it is there
            self.head_bytes += self.arrived_bytes if was_in_head else 0
            self._cap_head()
        elif not grew and not was_in_head:  # what lies between chunks, and the trailers behind the last one
            self.head_bytes += self.arrived_bytes
            self._cap_head()

    def _refuse_after(self, cause: BaseException | None) -> None:
        if isinstance(cause, BadRequest):
            self._refuse(cause.status, cause.sentence)
        else:
            log.error("request_failed", exc_info=cause)
            self._refuse(500, "the gateway failed on this request")

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
        elif self.pipeline or self.flow.read_paused:
            self._go_on()

    def pause_writing(self) -> None:
        """The caller does not read its answer as fast as it comes."""
        super().pause_writing()
        self.held.unread(self, self.transport.get_write_buffer_size(), self.loop.time(), self.transport.abort)

    def resume_writing(self) -> None:
        """Go on once the caller has read enough of its answers."""
        super().resume_writing()
        self.held.read(self)
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
        self._write(answer, keep_alive=keep_alive)
        if not keep_alive:
            self._hang_up()
        self.on_response_complete()

    def _write(self, answer: Answer, *, keep_alive: bool) -> None:
        shared = self.shared
        if shared.pairs is not self.server_state.default_headers:
            shared.renew(self.server_state.default_headers)
        self.transport.write(render(answer, shared, keep_alive=keep_alive))

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
        if self.transport.is_closing():
            return
        retry_after = RETRY_AFTER_S if status == SERVICE_UNAVAILABLE else 0
        self._write(Answer(status, problem(sentence), retry_after=retry_after), keep_alive=False)
        if self.pipeline:  # an earlier request is under way, whose answer must not follow
            self._hang_up()
            return
        Lingering(self.loop, self.transport)
        self.connection_lost(ConnectionAbortedError())

    def _hang_up(self) -> None:
        self.idle_since = self.loop.time()
        self.transport.close()


def protocol_for(gateway: Gateway, limits: ListenerLimits) -> type[InferenceProtocol]:
    """The protocol class of one gateway's listener, for uvicorn's `http=`."""
    bound = {"gateway": gateway, "limits": limits, "held": Held(limits.held), "shared": SharedHeaders(), "routes": {}}
    return type("BoundInferenceProtocol", (InferenceProtocol,), bound)
