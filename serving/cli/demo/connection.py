"""One persistent HTTP connection of a client that wants to see status, headers and body, and to cost next to nothing."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

END_OF_HEAD = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Response:
    """What came back; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def parse_head(head: bytes) -> tuple[int, Mapping[str, str]]:
    """The status and the headers. Raises `ValueError` for what is no HTTP response."""
    first, *lines = head.removesuffix(END_OF_HEAD).decode("latin-1").split("\r\n")
    protocol, _, status = first.partition(" ")
    if not protocol.startswith("HTTP/1."):
        msg = f"{first!r} begins no HTTP response"
        raise ValueError(msg)
    pairs = (line.partition(":") for line in lines)
    return int(status[:3]), {name.strip().lower(): value.strip() for name, _, value in pairs}


def post(path: str, host: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """A whole request."""
    own = {"Host": host, "Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in own.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


class Connection:
    """Asks one thing at a time; connects when it must. Raises `OSError`, `EOFError`, `ValueError` or `TimeoutError`."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes, patience: float) -> Response:
        """Send a request and read its answer; after a failure the next one goes over a new connection."""
        try:
            async with asyncio.timeout(patience):
                return await self._ask(request)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _ask(self, request: bytes) -> Response:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        writer.write(request)
        status, headers = parse_head(await reader.readuntil(END_OF_HEAD))
        return Response(status, headers, await reader.readexactly(int(headers["content-length"])))
