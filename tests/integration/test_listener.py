import asyncio
import gzip
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest
import uvicorn
import uvloop

from registry_client.versions import ModelVersion
from serving.api.held import PATIENCE_S, Held
from serving.api.inference_http import ListenerLimits
from serving.api.listener import InferenceProtocol, protocol_for
from serving.core.routing import FamilyRoute, RouteTable, Target
from serving.gateway.predict import Gateway, GatewayLimits
from serving.gateway.request_ids import RequestIds
from serving.gateway.shadow import Mirror, MirrorLimits
from serving.gateway.watching import Around, Watchings
from serving.gateway.yielding import Yielding, never_waits
from serving.ports import CallKind, Encoding, Reply
from tests.fakes.claims import MemoryRoom
from tests.fakes.request_path import HandInvoker, MemoryRecorder

ONE = Target("digits", ModelVersion.parse("1.0.0"), "ab" * 32)
LIMITS = ListenerLimits(body=1000, header_bytes=2000, headers=20, receive_timeout=0.2, idle_timeout=0.3)


async def hello(scope: dict[str, object], receive: object, send: object) -> None:
    """An ASGI application that is slow enough to be overtaken."""
    del scope, receive
    await asyncio.sleep(0.02)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})  # type: ignore[operator]
    await send({"type": "http.response.body", "body": b"hello"})  # type: ignore[operator]


@dataclass
class Listening:
    invoker: HandInvoker
    server: uvicorn.Server
    port: int
    held: Held

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def invoked(self, number: int = 1) -> None:
        deadline = asyncio.get_running_loop().time() + 5
        while len(self.invoker.invoked) < number:
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.005)

    def sweep(self) -> None:
        for connection in list(self.server.server_state.connections):
            assert isinstance(connection, InferenceProtocol)
            connection.sweep(asyncio.get_running_loop().time())


@asynccontextmanager
async def listening(limits: ListenerLimits = LIMITS) -> AsyncIterator[Listening]:
    loop = asyncio.get_running_loop()
    invoker, recorder, watchings = (
        HandInvoker(),
        MemoryRecorder(),
        Watchings(Around(MemoryRoom(), loop.time, loop.time, lambda: 0.5), lambda: None),
    )
    gateway = Gateway(
        invoker=invoker,
        recorder=recorder,
        mirror=Mirror(invoker, recorder, loop.time, MirrorLimits(), watchings, Yielding(never_waits)),
        watchings=watchings,
        request_ids=RequestIds(b"secret"),
        monotonic=loop.time,
        dice=lambda: 0.5,
        limits=GatewayLimits(),
    )
    gateway.swap(RouteTable(1, {"digits": FamilyRoute("digits", ONE, served={ONE.version: ONE}, live=frozenset({ONE.version}))}))
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    protocol = protocol_for(gateway, limits)
    config = uvicorn.Config(hello, http=protocol, log_level="critical", lifespan="off", access_log=False)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    while not server.started:  # noqa: ASYNC110 - uvicorn offers no event
        await asyncio.sleep(0.005)
    try:
        yield Listening(invoker, server, sock.getsockname()[1], protocol.held)
    finally:
        server.should_exit = True
        server.force_exit = True  # a connection that a failed test has left open is waited for by nobody
        await serving
        sock.close()


def post(body: bytes = b"{}", *, path: str = "/v2/models/digits/infer", headers: str = "") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).decode()
    status, *lines = head.split("\r\n")[:-2]
    headers = dict(line.split(": ", 1) for line in lines)
    return int(status.split()[1]), headers, await reader.readexactly(int(headers["content-length"]))


async def test_an_inference_request_is_answered_with_its_headers() -> None:
    async with listening() as there:
        reader, writer = await there.connect()
        writer.write(post(b'{"inputs":[]}', headers="X-Request-Timeout-Ms: 1500\r\n"))
        await there.invoked()
        invoked = there.invoker.answer(Reply(200, b"[1]"))
        status, headers, body = await read_answer(reader)
        writer.close()

    assert (status, body) == (200, b"[1]")
    assert (headers["x-model-version"], headers["x-route-epoch"], headers["x-route-reason"]) == ("1.0.0", "1", "production")
    assert headers["content-type"] == "application/json"
    assert (invoked.call.kind, invoked.call.body) == (CallKind.INFER, b'{"inputs":[]}')


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v2/models/digits/versions/1.0.0/infer", CallKind.INFER),
        ("/v2/models/digits/versions/%5E1.0/infer", CallKind.INFER),
        ("/v2/models/digits/versions/^1.0/infer", CallKind.INFER),
        ("/v1/families/digits/predict?verbose=1", CallKind.PREDICT),
        ("/v1/families/digits/versions/production/predict", CallKind.PREDICT),
        ("http://gateway:8080/v2/models/digits/infer", CallKind.INFER),
    ],
)
async def test_every_form_of_the_path_is_understood(path: str, kind: CallKind) -> None:
    async with listening() as there:
        _, writer = await there.connect()
        writer.write(post(path=path))
        await there.invoked()
        writer.close()

    assert there.invoker.invoked[0].call.kind is kind


async def test_binary_answers_carry_their_json_length() -> None:
    async with listening() as there:
        reader, writer = await there.connect()
        writer.write(post(b"{}abcd", headers="Inference-Header-Content-Length: 2\r\n"))
        await there.invoked()
        invoked = there.invoker.answer(Reply(200, b"{}efgh", json_length=2))
        _, headers, body = await read_answer(reader)
        writer.close()

    assert invoked.call.json_length == 2
    assert (headers["inference-header-content-length"], headers["content-type"], body) == ("2", "application/octet-stream", b"{}efgh")


async def test_compressed_and_chunked_bodies_are_passed_on_whole() -> None:
    packed = gzip.compress(b"{}")
    async with listening() as there:
        _, writer = await there.connect()
        head = b"POST /v2/models/digits/infer HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(head + b"%x\r\n%b\r\n" % (5, packed[:5]))
        await writer.drain()
        writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(packed) - 5, packed[5:]))
        await there.invoked()
        writer.close()

    call = there.invoker.invoked[0].call
    assert (call.body, call.encoding) == (packed, Encoding.GZIP)


async def test_pipelined_requests_are_answered_in_their_order() -> None:
    async with listening() as there:
        reader, writer = await there.connect()
        writer.write(b"GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n" + post(b"1") + post(b"2") + b"GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n")
        bodies = [(await read_answer(reader))[2]]
        for _ in range(2):
            await there.invoked()
            (invoked,) = there.invoker.invoked
            there.invoker.answer(Reply(200, b"re " + invoked.call.body))
            bodies.append((await read_answer(reader))[2])
        bodies.append((await read_answer(reader))[2])
        writer.close()

    assert bodies == [b"hello", b"re 1", b"re 2", b"hello"]


async def test_a_caller_that_hangs_up_harms_nobody() -> None:
    async with listening() as there:
        _, writer = await there.connect()
        writer.write(post())
        await there.invoked()
        writer.close()
        await asyncio.sleep(0.02)
        there.invoker.answer(Reply(200, b"{}"))

        reader, writer = await there.connect()
        writer.write(b"GET /v2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await read_answer(reader))[0] == 200
        writer.close()


@pytest.mark.parametrize(
    ("request_bytes", "status", "says"),
    [
        (post(b"x" * 1001), 413, "1000 bytes"),
        (b"POST /v2/models/digits/infer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3ea\r\n" + b"x" * 1002, 413, "1000 bytes"),
        (b"POST /v2 HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n" + b"x" * 1001, 413, "1000 bytes"),
        (post(headers="X-Big: " + "x" * 2000 + "\r\n"), 431, "2000 bytes"),
        (post(path="/v2/models/" + "x" * 2000 + "/infer"), 431, "2000 bytes"),
        (post(headers="".join(f"X-{number}: 1\r\n" for number in range(30))), 431, "20 lines"),
        (post(headers="Content-Encoding: br\r\n"), 415, "Content-Encoding"),
        (post(headers="Inference-Header-Content-Length: -1\r\n"), 400, "Inference-Header-Content-Length"),
        (post(headers="Inference-Header-Content-Length: 99999999999\r\n"), 400, "Inference-Header-Content-Length"),
        (post(headers="X-Request-Timeout-Ms: soon\r\n"), 400, "X-Request-Timeout-Ms"),
        (b"NOT HTTP\r\n\r\n", 400, "HTTP/1.1"),
        (b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", 400, "no path"),
        (post().replace(b"Host: x\r\n", b""), 400, "Host"),
        (b"GET /v2 HTTP/1.1\r\n\r\n", 400, "Host"),
        (post(headers="Host: y\r\n"), 400, "Host is given twice"),
        (post(headers="Inference-Header-Content-Length: 2\r\n" * 2), 400, "Inference-Header-Content-Length is given twice"),
        (post(headers="Content-Encoding: gzip\r\n" * 2), 400, "Content-Encoding is given twice"),
        (post(headers="X-Request-Timeout-Ms: 10\r\n" * 2), 400, "X-Request-Timeout-Ms is given twice"),
        (post(headers="Transfer-Encoding: gzip, chunked\r\n").replace(b"Content-Length: 2\r\n", b""), 501, "Transfer-Encoding"),
        (post().replace(b"HTTP/1.1", b"HTTP/2.0"), 505, "HTTP/1.1"),
        (b"GET http://x HTTP/1.1\r\nHost: x\r\n\r\n", 400, "no path"),
        (b"GET http://[::: HTTP/1.1\r\nHost: x\r\n\r\n", 400, "no path"),
    ],
)
async def test_what_breaks_a_limit_is_refused_and_hung_up_on(request_bytes: bytes, status: int, says: str) -> None:
    async with listening() as there:
        reader, writer = await there.connect()
        writer.write(request_bytes)
        got, _, body = await read_answer(reader)
        rest = await reader.read()
        writer.close()

    assert (got, rest) == (status, b"")
    assert body.startswith(b'{"error":')
    assert says.encode() in body
    assert not there.invoker.invoked


async def test_a_head_that_comes_in_pieces_is_capped_before_its_header_ends() -> None:
    async with listening() as there:
        reader, writer = await there.connect()
        writer.write(b"POST /v2/models/digits/infer HTTP/1.1\r\nHost: x\r\nX-Endless: ")
        for _ in range(3):
            await writer.drain()
            await asyncio.sleep(0.01)  # so that each piece arrives alone
            writer.write(b"x" * 900)

        status, _, body = await read_answer(reader)
        writer.close()

    assert status == 431
    assert b"2000 bytes" in body


async def test_a_head_in_small_pieces_and_a_body_beyond_the_heads_cap_are_taken() -> None:
    async with listening() as there:
        _, writer = await there.connect()
        whole = post(b"x" * 990, headers="X-Long: " + "y" * 1500 + "\r\n")
        for at in range(0, len(whole), 700):
            writer.write(whole[at : at + 700])
            await writer.drain()
            await asyncio.sleep(0.01)
        await there.invoked()
        writer.close()

    assert there.invoker.invoked[0].call.body == b"x" * 990


@pytest.mark.parametrize(
    ("begins", "goes_on", "says"), [(b"", b"X-Trailer: 1\r\n" * 10, b"20 lines"), (b"X-Endless: ", b"x" * 500, b"2000 bytes")]
)
async def test_trailers_without_end_are_refused(begins: bytes, goes_on: bytes, says: bytes) -> None:
    head = b"POST /v2/models/digits/infer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
    async with listening() as there:
        reader, writer = await there.connect()
        writer.write(head + begins)
        for _ in range(10):
            await asyncio.sleep(0.005)  # so that each piece arrives alone
            writer.write(goes_on)
        status, _, body = await read_answer(reader)
        writer.close()

    assert status == 431
    assert says in body


async def test_a_caller_that_is_refused_while_it_sends_gets_to_read_why() -> None:
    async with listening() as there:
        reader, writer = await there.connect()
        writer.write(b"POST /v2/models/digits/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n")
        for _ in range(8):
            await asyncio.sleep(0.005)  # most of it comes after the refusal
            writer.write(b"x" * 1_000_000)
        await writer.drain()
        status, headers, _ = await read_answer(reader)
        rest = await reader.read()
        writer.close()

        assert (status, headers["connection"], rest) == (413, "close", b"")
        assert not there.server.server_state.connections


async def test_trailers_within_the_limits_are_passed_over() -> None:
    async with listening() as there:
        _, writer = await there.connect()
        writer.write(b"POST /v2/models/digits/infer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n")
        writer.write(b"X-Checksum: 1\r\nX-Request-Timeout-Ms: 1\r\n\r\n")
        await there.invoked()
        writer.close()

    assert there.invoker.invoked[0].call.body == b"{}"


@pytest.mark.parametrize("offered", ["h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA", "websocket"])
async def test_an_offer_to_upgrade_is_passed_over_and_the_connection_goes_on(offered: str) -> None:
    asked = post(b"1", headers=f"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: {offered}\r\n")
    metadata = f"GET /v2 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: {offered}\r\n\r\n".encode()
    async with listening() as there:
        reader, writer = await there.connect()
        writer.write(asked + metadata + metadata + asked)
        bodies = []
        for number in range(4):
            if number in {0, 3}:
                await there.invoked()
                there.invoker.answer(Reply(200, b"re 1"))
            bodies.append((await read_answer(reader))[2])
        writer.close()

    assert bodies == [b"re 1", b"hello", b"hello", b"re 1"]


async def test_any_number_of_pipelined_offers_to_upgrade_is_passed_over_without_nesting() -> None:
    async with listening() as there:
        reader, writer = await there.connect()
        writer.write(post(path="/v2/models/nobody/infer", headers="Connection: Upgrade\r\nUpgrade: h2c\r\n") * 1200)
        statuses = [(await read_answer(reader))[0] for _ in range(1200)]
        writer.close()

    assert statuses == [404] * 1200


async def test_a_caller_that_speaks_http_1_0_is_told_to_go_on_by_its_answer_alone() -> None:
    async with listening() as there:
        reader, writer = await there.connect()
        writer.write(post(headers="Expect: 100-continue\r\n").replace(b"HTTP/1.1", b"HTTP/1.0"))
        await there.invoked()
        there.invoker.answer(Reply(200, b"{}"))

        assert (await read_answer(reader))[0] == 200
        writer.close()


async def test_a_slow_caller_is_told_so_and_an_idle_one_hung_up_on() -> None:
    async with listening() as there:
        slow, slow_writer = await there.connect()
        slow_writer.write(b"POST /v2/models/digits/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
        idle, idle_writer = await there.connect()
        idle_writer.write(post())
        await there.invoked()
        there.invoker.answer(Reply(200, b"{}"))
        await read_answer(idle)
        await asyncio.sleep(0.35)
        there.sweep()

        assert (await read_answer(slow))[0] == 408
        assert await idle.read() == b""
        slow_writer.close()
        idle_writer.close()


async def test_a_caller_that_expects_100_is_told_to_go_on() -> None:
    async with listening() as there:
        reader, writer = await there.connect()
        writer.write(b"POST /v2/models/digits/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
        writer.write(b"{}")
        await there.invoked()
        writer.close()


async def test_a_caller_that_never_says_anything_is_hung_up_on() -> None:
    async with listening() as there:
        reader, writer = await there.connect()
        await asyncio.sleep(0.35)
        there.sweep()

        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_any_number_of_pipelined_requests_is_answered_without_nesting() -> None:
    async with listening() as there:
        reader, writer = await there.connect()
        writer.write(post() + post(path="/v2/models/nobody/infer") * 400)
        await there.invoked()
        there.invoker.answer(Reply(200, b"{}"))
        statuses = [(await read_answer(reader))[0] for _ in range(401)]
        writer.close()

    assert statuses == [200, *[404] * 400]


def test_a_refused_connection_costs_nobody_else_anything_when_its_earlier_request_is_answered() -> None:
    async def scenario() -> None:
        async with listening() as there:
            reader, writer = await there.connect()
            writer.write(post() + post(headers="Transfer-Encoding: xchunked\r\n").replace(b"Content-Length: 2\r\n", b""))
            await there.invoked()
            assert (await read_answer(reader))[0] == 501
            assert await reader.read() == b""
            while there.server.server_state.connections:  # noqa: ASYNC110 - uvicorn offers no event
                await asyncio.sleep(0.005)
            there.invoker.answer(Reply(200, b"{}"))  # does not raise: what answers is the link that all callers share
            writer.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # only uvloop raises when a closed transport is written to
        runner.run(scenario())


async def test_answers_do_not_pile_up_for_a_caller_that_does_not_read_them() -> None:
    async with listening() as there:
        reader, writer = await there.connect()
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # a stream's transport can
        writer.write(post() * 40)
        answered = 0
        while len(there.invoker.invoked) or answered == 0:
            await there.invoked()
            there.invoker.answer(Reply(200, b"x" * 1_000_000))
            answered += 1
            await asyncio.sleep(0.01)
        assert answered < 20

        writer.transport.resume_reading()  # type: ignore[attr-defined]
        for _ in range(answered):
            await read_answer(reader)
        for _ in range(40 - answered):  # it goes on where it was held
            await there.invoked()
            there.invoker.answer(Reply(200, b"{}"))
            await read_answer(reader)
        writer.close()


async def test_a_caller_that_stops_reading_is_hung_up_on_in_the_end() -> None:
    async with listening() as there:
        _, writer = await there.connect()
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(post())
        await there.invoked()
        there.invoker.answer(Reply(200, b"x" * 20_000_000))
        there.sweep()
        await asyncio.sleep(0.35)
        there.sweep()
        await asyncio.sleep(0.02)

        assert not there.server.server_state.connections
        writer.close()


LARGE = replace(LIMITS, body=3_000_000, held=1_000_000)


async def test_a_large_body_is_refused_while_there_is_no_room_and_taken_once_there_is() -> None:
    async with listening(LARGE) as there:
        first, first_writer = await there.connect()
        first_writer.write(post(b"x" * 2_500_000, headers="Connection: close\r\n"))
        status, headers, _ = await read_answer(first)
        await first.read()
        first_writer.close()

        second, second_writer = await there.connect()
        second_writer.write(post(b"x" * 900_000))
        await there.invoked()
        held = there.held.bytes
        there.invoker.answer(Reply(200, b"{}"))
        answered = (await read_answer(second))[0]
        second_writer.close()

        assert (status, headers["retry-after"]) == (503, "1")
        assert 0 < held <= 900_000
        assert (answered, there.held.bytes) == (200, 0)


async def test_a_caller_that_hangs_up_in_the_middle_of_a_large_body_leaves_nothing_held() -> None:
    async with listening(LARGE) as there:
        _, writer = await there.connect()
        writer.write(b"POST /v2/models/digits/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 800_000)
        while not there.held.bytes:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.005)
        writer.close()
        while there.server.server_state.connections:  # noqa: ASYNC110 - uvicorn offers no event
            await asyncio.sleep(0.005)

        assert there.held.bytes == 0


async def test_who_has_read_longest_is_hung_up_on_where_there_is_no_room() -> None:
    async with listening(replace(LARGE, held=25_000_000)) as there:
        writers = []
        for _ in range(2):
            _, writer = await there.connect()
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(post())
            await there.invoked()
            there.invoker.answer(Reply(200, b"x" * 20_000_000))
            writers.append(writer)
        held, now = there.held.bytes, asyncio.get_running_loop().time()
        there.held.relieve(now)
        await asyncio.sleep(0.01)
        early = len(there.server.server_state.connections)
        there.held.relieve(now + PATIENCE_S)
        await asyncio.sleep(0.02)
        late = len(there.server.server_state.connections)
        for writer in writers:
            writer.close()

        assert held > there.held.most
        assert (early, late) == (2, 1)
