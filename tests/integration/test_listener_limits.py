"""What the listener refuses, and whom it hangs up on."""

import asyncio

import pytest

from serving.ports import Reply
from tests.fixtures.listening import listening, post, read_answer


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


@pytest.mark.parametrize("first", [10, 40, 120, 1000, 1900, 2050])
async def test_a_head_in_two_pieces_is_capped_wherever_it_is_cut(first: int) -> None:
    whole = post(headers="X-Big: " + "x" * 2000 + "\r\n")
    async with listening() as there:
        reader, writer = await there.connect()
        writer.write(whole[:first])
        await asyncio.sleep(0.02)  # so that each piece arrives alone
        writer.write(whole[first:])
        status, _, body = await read_answer(reader)
        writer.close()

    assert (status, there.invoker.invoked) == (431, [])
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
