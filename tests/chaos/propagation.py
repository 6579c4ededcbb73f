"""P3: how long a flip takes to reach every gateway, seen by callers on all of them: the first answer of its epoch from the last gateway."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

import httpx

from benchmarks.chaos import Figure
from benchmarks.figures import percentile
from tests.chaos.sites import CHANGE, accepted, load_both
from tests.chaos.stamped import FAMILY, VERSIONS
from tests.chaos.stream import HOST, request
from tests.e2e.installation import Installation

GAP_S = 0.04
"""Between an answer and the next request of a connection. What is measured is late by at most this, over the connections of a gateway."""

MOST_CONNECTIONS = 256
FEWEST_CONNECTIONS = 64
PATIENCE_S = 20.0
PROMPT_MS, POLLED_MS = 250, 1_250
"""What is promised of the p99: when notifications arrive, and when all of them are lost."""
_ANSWER = re.compile(
    rb"^HTTP/1\.1 200 .*^x-route-epoch: (\d+)\r$.*^x-request-id: (?:[^:]+:){4}\d+:[0-9a-f]+:([0-9a-f]{12})", re.MULTILINE | re.DOTALL
)
_LENGTH = re.compile(rb"^content-length: (\d+)\r$", re.MULTILINE)
END_OF_HEAD = b"\r\n\r\n"

Flip = Callable[[str], Awaitable[int]]
"""Puts a version into production and gives the epoch."""


@dataclass(slots=True)
class Sightings:
    """The newest epoch that each gateway has answered with, and when it first did (monotonic seconds)."""

    newest: dict[bytes, tuple[int, float]] = field(default_factory=dict[bytes, tuple[int, float]])
    failures: int = 0

    def saw(self, gateway: bytes, epoch: int) -> None:
        """Take note of an answer."""
        if epoch > self.newest.get(gateway, (-1, 0.0))[0]:
            self.newest[gateway] = (epoch, time.monotonic())

    def everywhere_at(self, epoch: int) -> float | None:
        """When the last gateway came to an epoch; None while one has not."""
        if any(newest < epoch for newest, _ in self.newest.values()):
            return None
        return max(at for _, at in self.newest.values())


class Watcher(asyncio.Protocol):
    """One connection that asks now and then."""

    def __init__(self, sightings: Sightings) -> None:
        self._sightings = sightings
        self._buffer = b""
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
        length = _LENGTH.search(self._buffer)
        if end < 0 or length is None or len(self._buffer) < end + len(END_OF_HEAD) + int(length[1]):
            return
        answer, self._buffer = _ANSWER.match(self._buffer), b""
        if answer is None:
            self._sightings.failures += 1
        else:
            self._sightings.saw(answer[2], int(answer[1]))
        asyncio.get_running_loop().call_later(GAP_S, self._ask)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """A connection that the gateway ended is a failure."""
        self._sightings.failures += self._transport is not None

    def close(self) -> None:
        """Ask no more."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()

    def _ask(self) -> None:
        if self._transport is not None:
            self._transport.write(request(b"7"))


async def propagate(installation: Installation, flips: int, at_most_ms: float, flip: Flip | None = None) -> list[Figure]:
    """Flip so many times, each when all gateways have followed the one before."""
    load_both(installation)
    sightings = Sightings()
    async with httpx.AsyncClient(timeout=30.0, trust_env=False) as admin:
        flip = flip or by_admin(installation, admin)
        with _closing(await _on_every_gateway(installation, sightings)) as watchers:
            await _follow(flip, sightings, VERSIONS[1])
            took = [await _follow(flip, sightings, VERSIONS[number % 2]) for number in range(flips)]
            if flips % 2 == 0:  # the first version is left in production, as it was found
                await _follow(flip, sightings, VERSIONS[0])
    return [
        Figure("gateways", len(sightings.newest), at_least=installation.gateways),
        Figure("flips", len(took)),
        Figure("connections", len(watchers)),
        Figure("at the last gateway, p50", round(percentile(took, 50) * 1000), "ms"),
        Figure("at the last gateway, p99", round(percentile(took, 99) * 1000), "ms", at_most=at_most_ms),
        Figure("at the last gateway, longest", round(max(took) * 1000), "ms"),
        Figure("failed inferences", sightings.failures, at_most=0),
    ]


def by_admin(installation: Installation, admin: httpx.AsyncClient) -> Flip:
    """Flip as everybody does."""

    async def flip(version: str) -> int:
        url = f"{installation.admin_url}/v1/families/{FAMILY}/promote"
        answer = await admin.post(url, json={"version": version, "override": True, "reason": "chaos"}, headers=CHANGE)
        return int(accepted(answer).json()["epoch"])

    return flip


async def _follow(flip: Flip, sightings: Sightings, version: str) -> float:
    """Seconds from the start of the flip until the last gateway answers by it."""
    began = time.monotonic()
    epoch = await flip(version)
    async with asyncio.timeout(PATIENCE_S):
        while (at := sightings.everywhere_at(epoch)) is None:  # noqa: ASYNC110 - answers come by the thousand
            await asyncio.sleep(GAP_S / 4)
    return at - began


async def _on_every_gateway(installation: Installation, sightings: Sightings) -> list[Watcher]:
    """The kernel spreads connections by hash: more are opened until every gateway has some."""
    loop, watchers = asyncio.get_running_loop(), list[Watcher]()
    while len(watchers) < FEWEST_CONNECTIONS or (len(sightings.newest) < installation.gateways and len(watchers) < MOST_CONNECTIONS):
        watchers.append((await loop.create_connection(lambda: Watcher(sightings), HOST, installation.port))[1])
        await asyncio.sleep(GAP_S / 4)
    return watchers


@contextmanager
def _closing(watchers: list[Watcher]) -> Iterator[list[Watcher]]:
    try:
        yield watchers
    finally:
        for watcher in watchers:
            watcher.close()
