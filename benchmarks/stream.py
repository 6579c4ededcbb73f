"""A steady stream of requests over persistent connections, which sees of every answer when it came and from which version."""

import asyncio
from collections.abc import Callable
from typing import cast

import msgspec

from benchmarks import tiny
from benchmarks.processes import LOOPBACK

END_OF_HEAD = b"\r\n\r\n"
LOST = 0
"""The status of a request whose connection broke."""


class Answered(msgspec.Struct, frozen=True):
    """One answer, as its caller saw it. `at`: the event loop's time."""

    connection: int
    at: float
    status: int
    version: str


class Head(msgspec.Struct, frozen=True):
    """What counts of a response's head."""

    status: int
    version: str
    length: int


def parse_head(head: bytes) -> Head:
    """Read status, X-Model-Version and Content-Length."""
    first, *lines = head.split(b"\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
    return Head(int(first.split(b" ", 2)[1]), headers.get(b"x-model-version", b"").decode(), int(headers.get(b"content-length", b"0")))


def request_bytes(path: str, body: bytes) -> bytes:
    """The whole HTTP request."""
    head = f"POST {path} HTTP/1.1\r\nHost: {LOOPBACK}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


REQUEST = request_bytes(tiny.INFER_PATH, tiny.REQUEST)


class Caller(asyncio.Protocol):
    """One connection: asks, waits for the answer, waits `gap` seconds, asks again."""

    def __init__(self, index: int, gap: float, saw: Callable[[Answered], None]) -> None:
        self._index, self._gap, self._saw = index, gap, saw
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._is_closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first time."""
        # cast: uvloop's transports can write, but are no subclass of asyncio.Transport.
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Read on, until the answer is whole."""
        self._buffer += data
        end = self._buffer.find(END_OF_HEAD)
        if end < 0:
            return
        head = parse_head(self._buffer[:end])
        if len(self._buffer) < end + len(END_OF_HEAD) + head.length:
            return
        self._buffer = b""
        self._saw(Answered(self._index, self._loop.time(), head.status, head.version))
        self._loop.call_later(self._gap, self._ask)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature; why does not matter here
        """Tell of a connection that the server ended."""
        if not self._is_closing:
            self._is_closing = True
            self._saw(Answered(self._index, self._loop.time(), LOST, ""))

    @property
    def port(self) -> int:
        """The client's port."""
        return -1 if self._transport is None else int(self._transport.get_extra_info("sockname")[1])

    def close(self) -> None:
        """Stop asking."""
        self._is_closing = True
        if self._transport is not None:
            self._transport.close()

    def _ask(self) -> None:
        if self._transport is not None and not self._is_closing:
            self._transport.write(REQUEST)


async def open_caller(port: int, index: int, gap: float, saw: Callable[[Answered], None]) -> Caller:
    """Connect, and begin to ask."""
    _, caller = await asyncio.get_running_loop().create_connection(lambda: Caller(index, gap, saw), LOOPBACK, port)
    return caller
