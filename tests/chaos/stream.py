"""A stream of requests as fast as the gateways answer, every answer kept by what it says of its origin, for a judge to compare.

A million answers are not worth a million objects: answers that claim the same are counted together, and each is checked for its own number.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple, cast

from tests.chaos.stamped import FAMILY

HOST = "127.0.0.1"
END_OF_HEAD = b"\r\n\r\n"
_HEAD = re.compile(
    rb"HTTP/1\.1 200 OK\r\n"
    rb"(?=.*^content-length: (?P<length>\d+)\r$)"
    rb"(?=.*^x-model-version: (?P<version>[^\r]+)\r$)"
    rb"(?=.*^x-route-epoch: (?P<epoch>\d+)\r$)"
    rb"(?=.*^x-request-id: (?P<id_version>[^:]+:[^:]+):[0-9a-f]{8}:[^:]+:(?P<id_epoch>\d+):)",
    re.MULTILINE | re.DOTALL,
)
_BODY = re.compile(rb'"model_version":"(?P<version>[^"]+)".*"data":\[(?P<number>\d+)\.0,(?P<stamps>[^\]]+)\]')
MOST_NUMBER = 2**24
"""float32 holds every whole number up to here."""


class Claim(NamedTuple):
    """What an answer says of where it came from, in each of the places that say it."""

    version: bytes
    epoch: bytes
    id_version: bytes
    """`family:version`, as in the signed request id."""
    id_epoch: bytes
    body_version: bytes
    stamps: bytes


@dataclass(slots=True)
class Tally:
    """Everything that was answered."""

    claims: Counter[Claim] = field(default_factory=Counter[Claim])
    failures: list[str] = field(default_factory=list[str])
    ended: int = 0
    """Callers that ask no more, since they were answered something else than an inference."""
    went_back: int = 0
    """Answers on one connection, so of one gateway, whose epoch was older than that of the answer before."""

    @property
    def answered(self) -> int:
        """How many answers there were."""
        return self.claims.total() + len(self.failures)


class Caller(asyncio.Protocol):
    """One connection that asks again as soon as it is answered."""

    def __init__(self, tally: Tally, numbers: Iterator[int]) -> None:
        self._tally, self._numbers = tally, numbers
        self._buffer = b""
        self._number = b""
        self._epoch = 0
        self._transport: asyncio.Transport | None = None

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
        head = _HEAD.match(self._buffer[: end + 2])
        if head is None:
            self._fail(self._buffer[:300])
            return
        start = end + len(END_OF_HEAD)
        if len(self._buffer) < start + int(head["length"]):
            return
        body, self._buffer = self._buffer[start:], b""
        self._keep(head, body)
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        """A connection that the gateway ended is a failure."""
        if self._transport is not None:
            self._tally.failures.append(f"the connection was lost: {exc!r}")

    def close(self) -> None:
        """Ask no more."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()

    def _keep(self, head: re.Match[bytes], answer: bytes) -> None:
        body = _BODY.search(answer)
        if body is None or body["number"] != self._number:
            self._tally.failures.append(f"asked for {self._number!r}, was answered {answer[:300]!r}")
            return
        claim = Claim(head["version"], head["epoch"], head["id_version"], head["id_epoch"], body["version"], body["stamps"])
        self._tally.claims[claim] += 1
        epoch = int(claim.epoch)
        self._tally.went_back += epoch < self._epoch
        self._epoch = epoch

    def _fail(self, answer: bytes) -> None:
        self._tally.failures.append(repr(answer))
        self._tally.ended += 1
        self.close()

    def _ask(self) -> None:
        if self._transport is not None:
            self._number = b"%d" % (next(self._numbers) % MOST_NUMBER)
            self._transport.write(request(self._number))


def request(number: bytes) -> bytes:
    """An inference of one number, as bytes of HTTP."""
    body = b'{"inputs":[{"name":"x","shape":[1,1],"datatype":"FP32","data":[%b]}]}' % number
    return b"POST /v2/models/%b/infer HTTP/1.1\r\nHost: gateway\r\nContent-Length: %d\r\n\r\n%b" % (FAMILY.encode(), len(body), body)


async def open_callers(port: int, connections: int, tally: Tally) -> list[Caller]:
    """So many connections that ask without a pause; no two ask for the same number at the same time."""
    loop, numbers = asyncio.get_running_loop(), count()
    return [(await loop.create_connection(lambda: Caller(tally, numbers), HOST, port))[1] for _ in range(connections)]


@contextmanager
def closing(callers: list[Caller]) -> Iterator[None]:
    """Close them all in the end."""
    try:
        yield
    finally:
        for caller in callers:
            caller.close()
