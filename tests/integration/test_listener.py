"""What the listener reads and answers."""

import asyncio
import gzip
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest

from serving.ports import CallKind, Encoding, Reply
from tests.fixtures.listening import listening, post, read_answer


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


async def test_any_number_of_pipelined_requests_is_answered_without_nesting() -> None:
    async with listening() as there:
        reader, writer = await there.connect()
        writer.write(post() + post(path="/v2/models/nobody/infer") * 400)
        await there.invoked()
        there.invoker.answer(Reply(200, b"{}"))
        statuses = [(await read_answer(reader))[0] for _ in range(401)]
        writer.close()

    assert statuses == [200, *[404] * 400]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(post(), 200, id="an answer"),
        pytest.param(post(headers="Content-Encoding: br\r\n"), 415, id="a request that cannot be read"),
        pytest.param(post(headers=f"X-Long: {'x' * 2000}\r\n"), 431, id="a refusal before the request is whole"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 200, id="what is no inference"),
    ],
)
async def test_every_answer_says_once_when_it_was_given(sent: bytes, status: int) -> None:
    async with listening() as there:
        reader, writer = await there.connect()
        writer.write(sent)
        if status == 200 and sent.startswith(b"POST"):
            await there.invoked()
            there.invoker.answer(Reply(200, b"[1]"))
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).decode()
        writer.close()

    dates = [line.partition(": ")[2] for line in head.split("\r\n") if line.lower().startswith("date:")]
    assert head.startswith(f"HTTP/1.1 {status} ")
    assert len(dates) == 1
    assert abs((datetime.now(UTC) - parsedate_to_datetime(dates[0])).total_seconds()) < 60
