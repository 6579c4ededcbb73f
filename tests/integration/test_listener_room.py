"""What the listener holds for callers who do not read, send slowly or go away."""

import asyncio
from dataclasses import replace

import uvloop

from serving.api.held import PATIENCE_S
from serving.ports import Reply
from tests.fixtures.listening import LIMITS, listening, post, read_answer


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
