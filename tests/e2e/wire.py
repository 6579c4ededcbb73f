"""HTTP requests as bytes, for what no client library would send, and for many at the same time."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.e2e.calls import Answer

PATIENCE_S = 60.0


def render(path: str, body: bytes, headers: Mapping[str, str] | None = None, *, method: str = "POST") -> bytes:
    """A request; a Content-Length among the headers wins over the body's own."""
    fields = {"Host": "gateway", "Content-Length": str(len(body))} | dict(headers or {})
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body


@dataclass(frozen=True, slots=True)
class Wire:
    """A connection that sends bytes and reads answers."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def exchange(self, request: bytes) -> Answer:
        """Send a request and read its answer."""
        async with asyncio.timeout(PATIENCE_S):
            self.writer.write(request)
            head = await self.reader.readuntil(b"\r\n\r\n")
            status, *lines = head.decode("latin-1").split("\r\n")[:-2]
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            return Answer(int(status.split()[1]), headers, await self.reader.readexactly(int(headers["content-length"])))


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Wire]:
    """A connection to the public port."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()


async def exchange(port: int, request: bytes) -> Answer:
    """One request on a connection of its own."""
    async with connected(port) as wire:
        return await wire.exchange(request)
