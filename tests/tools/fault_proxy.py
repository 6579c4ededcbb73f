"""A TCP proxy that misbehaves on demand: what stands between a program and its store when the network is to be at fault.

It knows no protocol: a reply is whatever the upstream sends at once. Bytes keep their order; what a blackhole holds back arrives when it
ends, as TCP would send it again, so that a request given up long ago may still be carried out: the nastiest thing a network does.
"""

import asyncio
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Self

CHUNK = 65_536
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER on, 0 seconds: closing sends RST instead of FIN."""

Upstream = tuple[str, int] | Path


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong with the network now. Probabilities are of each reply; seconds and bytes are of each direction."""

    latency: float = 0.0
    """Seconds that every chunk is late."""
    bytes_per_second: float = float("inf")
    blackhole: bool = False
    """Nothing passes; connections are accepted, and silent, as behind a dead router. What was held passes when it ends."""
    half_open: bool = False
    """Connections lose their upstream and are not told: what they send goes nowhere, for as long as they live."""
    refuse: bool = False
    """Every connection is reset, as if nobody listened."""
    drop_reply: float = 0.0
    """The request is carried out; its reply is swallowed and the connection closed."""
    reset_mid_reply: float = 0.0
    """Half of the reply passes, then RST."""
    withhold: bytes = b""
    """A connection that sends this text gets no replies from then on: how one kind of message is lost and all else passes."""


class Done(StrEnum):
    """What the proxy has done to somebody, for tests that must know that it did."""

    CONNECTED = "connected"
    DELAYED = "delayed"
    HELD = "held"
    DROPPED = "dropped"
    RESET = "reset"
    REFUSED = "refused"
    HALF_OPENED = "half-opened"
    WITHHELD = "withheld"


@dataclass(slots=True, eq=False)
class _Link:
    """One client's connection with its upstream's."""

    client: asyncio.StreamWriter
    upstream: asyncio.StreamWriter
    pumps: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])
    is_half_open: bool = False
    is_withheld: bool = False

    def stop(self) -> None:
        """Move no more bytes."""
        for pump in self.pumps:
            pump.cancel()

    async def end(self) -> None:
        """Close both ends, and wait until they are closed."""
        self.stop()
        await asyncio.gather(*self.pumps, return_exceptions=True)
        await asyncio.gather(_closed(self.client), _closed(self.upstream))


class FaultProxy:
    """Listens on a loopback port and passes everything to the upstream, as well as `faults` lets it."""

    def __init__(self, upstream: Upstream, dice: Random) -> None:
        self.upstream = upstream
        self.done: Counter[Done] = Counter()
        self.port = 0
        self._dice = dice
        self._faults = Faults()
        self._changed = asyncio.Event()
        self._links: set[_Link] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._is_closing = False

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        # Only what moves bytes is cancelled: asyncio leaks the socket of a connection that is cancelled while it is made.
        self._is_closing = True
        for link in self._links:
            link.stop()
        await asyncio.gather(*self._serving)
        await self._server.wait_closed()

    @property
    def faults(self) -> Faults:
        """What is wrong now."""
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._faults = faults
        self._changed.set()
        self._changed = asyncio.Event()
        for link in list(self._links):
            if faults.refuse:
                self._reset(link, Done.REFUSED)
            elif faults.half_open and not link.is_half_open:
                self._half_open(link)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._faults.refuse:
            self.done[Done.REFUSED] += 1
            _send_reset(writer)
            return
        try:
            opened = await (
                asyncio.open_unix_connection(str(self.upstream))
                if isinstance(self.upstream, Path)
                else asyncio.open_connection(*self.upstream)
            )
        except OSError:
            _send_reset(writer)
            return
        self.done[Done.CONNECTED] += 1
        link = _Link(writer, opened[1])
        self._links.add(link)
        link.pumps = [asyncio.create_task(self._pump(link, reader, opened[1])), asyncio.create_task(self._pump_replies(link, opened[0]))]
        if not self._is_closing:
            await asyncio.wait(link.pumps, return_when=asyncio.FIRST_COMPLETED)
        if link.is_half_open:
            await asyncio.wait(link.pumps)
        self._links.discard(link)
        await link.end()

    async def _pump(self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(CHUNK):
                await self._pass(chunk)
                if self._faults.withhold and self._faults.withhold in chunk:
                    link.is_withheld = True
                if not link.is_half_open:
                    writer.write(chunk)
                    await writer.drain()

    async def _pump_replies(self, link: _Link, reader: asyncio.StreamReader) -> None:
        with suppress(OSError):
            while chunk := await reader.read(CHUNK):
                await self._pass(chunk)
                if link.is_withheld and self._faults.withhold:
                    self.done[Done.WITHHELD] += 1
                    continue
                if self._happens(self._faults.drop_reply):
                    self.done[Done.DROPPED] += 1
                    return
                if self._happens(self._faults.reset_mid_reply):
                    link.client.write(chunk[: len(chunk) // 2])
                    self._reset(link, Done.RESET)
                    return
                link.client.write(chunk)
                await link.client.drain()

    def _happens(self, probability: float) -> bool:
        return probability > 0 and self._dice.random() < probability

    async def _pass(self, chunk: bytes) -> None:
        """Wait as long as the chunk has to."""
        faults = self._faults
        if faults.latency or faults.bytes_per_second != float("inf"):
            self.done[Done.DELAYED] += 1
            await asyncio.sleep(faults.latency + len(chunk) / faults.bytes_per_second)
        if self._faults.blackhole:
            self.done[Done.HELD] += 1
            while self._faults.blackhole:
                await self._changed.wait()

    def _reset(self, link: _Link, why: Done) -> None:
        self.done[why] += 1
        _send_reset(link.client)
        link.upstream.close()

    def _half_open(self, link: _Link) -> None:
        self.done[Done.HALF_OPENED] += 1
        link.is_half_open = True
        link.upstream.close()


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


def _send_reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.close()


@dataclass(frozen=True, slots=True)
class ProxyThread:
    """A proxy whose loop runs in a thread of its own, for tests that have no loop."""

    proxy: FaultProxy
    loop: asyncio.AbstractEventLoop

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.proxy.port

    def set(self, faults: Faults) -> None:
        """Change what is wrong; it holds when this returns."""

        async def change() -> None:
            self.proxy.faults = faults

        asyncio.run_coroutine_threadsafe(change(), self.loop).result()


@contextmanager
def proxy_thread(upstream: Upstream, dice: Random) -> Iterator[ProxyThread]:
    """A proxy in a thread, for the time of the block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="fault-proxy", daemon=True)
    thread.start()
    proxy = FaultProxy(upstream, dice)
    asyncio.run_coroutine_threadsafe(proxy.__aenter__(), loop).result()
    try:
        yield ProxyThread(proxy, loop)
    finally:
        asyncio.run_coroutine_threadsafe(proxy.__aexit__(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
