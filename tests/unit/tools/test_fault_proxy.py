"""The fault proxy does to a connection what it says, and nothing else: an echo server stands behind it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random

import pytest

from tests.tools.fault_proxy import Done, FaultProxy, Faults, proxy_thread

SHORT_S = 0.05
PATIENCE_S = 5.0

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Echo:
    """Answers every line with itself, and remembers it."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self._serving: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def until_all_have_left(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*self._serving)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while line := await reader.readline():
                self.heard.append(line)
                writer.write(line)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
async def proxy(echo: Echo, tmp_path: Path) -> AsyncIterator[FaultProxy]:
    server = await asyncio.start_unix_server(echo.accept, tmp_path / "echo.sock")
    async with server, FaultProxy(tmp_path / "echo.sock", Random(1)) as proxy:
        yield proxy
    await echo.until_all_have_left()


@asynccontextmanager
async def connected(proxy: FaultProxy) -> AsyncIterator[Stream]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def say(stream: Stream, line: bytes) -> bytes:
    stream[1].write(line)
    return await within(stream[0].readline())


async def within(waiting: Awaitable[bytes]) -> bytes:
    async with asyncio.timeout(PATIENCE_S):
        return await waiting


async def is_silent(stream: Stream, line: bytes) -> bool:
    stream[1].write(line)
    try:
        async with asyncio.timeout(SHORT_S):
            await stream[0].readline()
    except TimeoutError:
        return True
    return False


async def test_without_faults_everything_passes_both_ways(proxy: FaultProxy, echo: Echo) -> None:
    async with connected(proxy) as stream:
        answers = [await say(stream, line) for line in (b"one\n", b"x" * 50_000 + b"\n", b"three\n")]

    assert answers == echo.heard
    assert proxy.done == {Done.CONNECTED: 1}


async def test_latency_makes_every_answer_late(proxy: FaultProxy) -> None:
    loop = asyncio.get_running_loop()
    proxy.faults = Faults(latency=SHORT_S)
    async with connected(proxy) as stream:
        began = loop.time()

        answer = await say(stream, b"hello\n")

    assert answer == b"hello\n"
    assert loop.time() - began >= 2 * SHORT_S


async def test_a_throttle_lets_so_many_bytes_pass_a_second(proxy: FaultProxy) -> None:
    loop = asyncio.get_running_loop()
    proxy.faults = Faults(bytes_per_second=20_000)
    async with connected(proxy) as stream:
        began = loop.time()

        await say(stream, b"x" * 2_000 + b"\n")

    assert loop.time() - began >= 0.2


async def test_a_blackhole_passes_nothing_and_what_it_held_arrives_when_it_ends(proxy: FaultProxy, echo: Echo) -> None:
    async with connected(proxy) as stream:
        proxy.faults = Faults(blackhole=True)
        silent = await is_silent(stream, b"given up\n")
        heard_meanwhile = list(echo.heard)

        proxy.faults = Faults()
        answer = await within(stream[0].readline())

    assert (silent, heard_meanwhile) == (True, [])
    assert (answer, echo.heard) == (b"given up\n", [b"given up\n"])


async def test_a_connection_opened_into_a_blackhole_is_accepted_and_silent(proxy: FaultProxy) -> None:
    proxy.faults = Faults(blackhole=True)

    async with connected(proxy) as stream:
        assert await is_silent(stream, b"anybody?\n")


async def test_a_half_open_connection_stays_silent_for_good_and_a_new_one_works(proxy: FaultProxy, echo: Echo) -> None:
    async with connected(proxy) as old:
        await say(old, b"before\n")
        proxy.faults = Faults(half_open=True)
        proxy.faults = Faults()

        old_is_silent = await is_silent(old, b"into the void\n")
        async with connected(proxy) as fresh:
            answer = await say(fresh, b"after\n")

    assert (old_is_silent, answer) == (True, b"after\n")
    assert echo.heard == [b"before\n", b"after\n"]
    assert proxy.done[Done.HALF_OPENED] == 1


async def test_a_dropped_reply_belongs_to_a_request_that_was_carried_out(proxy: FaultProxy, echo: Echo) -> None:
    proxy.faults = Faults(drop_reply=1.0)
    async with connected(proxy) as stream:
        answer = await say(stream, b"done\n")

    assert (answer, echo.heard) == (b"", [b"done\n"])
    assert proxy.done[Done.DROPPED] == 1


async def test_a_reset_comes_in_the_middle_of_a_reply_that_was_earned(proxy: FaultProxy, echo: Echo) -> None:
    proxy.faults = Faults(reset_mid_reply=1.0)
    async with connected(proxy) as stream:
        with pytest.raises(ConnectionResetError):
            await say(stream, b"half of it\n")

    assert echo.heard == [b"half of it\n"]
    assert proxy.done[Done.RESET] == 1


async def test_replies_are_withheld_from_the_connection_that_asked_for_a_certain_thing(proxy: FaultProxy, echo: Echo) -> None:
    proxy.faults = Faults(withhold=b"XREAD")
    async with connected(proxy) as listening, connected(proxy) as other:
        silent = await is_silent(listening, b"XREAD from 1\n")
        answer = await say(other, b"GET\n")
        still_silent = await is_silent(listening, b"more?\n")
        proxy.faults = Faults()
        after = await say(listening, b"and now?\n")

    assert (silent, answer, still_silent, after) == (True, b"GET\n", True, b"and now?\n")
    assert echo.heard == [b"XREAD from 1\n", b"GET\n", b"more?\n", b"and now?\n"]
    assert proxy.done[Done.WITHHELD] == 2


async def test_refusing_resets_old_connections_and_new_ones(proxy: FaultProxy) -> None:
    async with connected(proxy) as old:
        await say(old, b"before\n")
        proxy.faults = Faults(refuse=True)

        with pytest.raises(ConnectionResetError):
            await say(old, b"after\n")
        with pytest.raises(ConnectionResetError):
            async with connected(proxy) as fresh:
                await say(fresh, b"after\n")

    proxy.faults = Faults()
    async with connected(proxy) as again:
        assert await say(again, b"well again\n") == b"well again\n"


async def test_an_upstream_that_is_not_there_looks_like_a_reset(tmp_path: Path) -> None:
    async with FaultProxy(tmp_path / "nobody.sock", Random(1)) as proxy, connected(proxy) as stream:
        with pytest.raises(ConnectionResetError):
            await say(stream, b"anybody?\n")


async def test_probabilities_are_those_of_the_dice(proxy: FaultProxy, echo: Echo) -> None:
    proxy.faults = Faults(drop_reply=0.3)
    lost = 0
    for _ in range(100):
        async with connected(proxy) as stream:
            lost += await say(stream, b"ask\n") == b""

    assert len(echo.heard) == 100
    assert 15 <= lost <= 45
    assert proxy.done[Done.DROPPED] == lost


def test_a_test_without_a_loop_has_it_in_a_thread(tmp_path: Path) -> None:
    echo = Echo()

    async def talk(port: int) -> bytes:
        stream = await asyncio.open_connection("127.0.0.1", port)
        answer = await say(stream, b"hello\n")
        stream[1].close()
        await stream[1].wait_closed()
        return answer

    async def serve_and_talk() -> list[bytes]:
        async with await asyncio.start_unix_server(echo.accept, tmp_path / "echo.sock"):
            with proxy_thread(tmp_path / "echo.sock", Random(1)) as thread:
                through = await talk(thread.port)
                thread.set(Faults(drop_reply=1.0))
                answers = [through, await talk(thread.port)]
            await echo.until_all_have_left()
            return answers

    assert asyncio.run(serve_and_talk()) == [b"hello\n", b""]
