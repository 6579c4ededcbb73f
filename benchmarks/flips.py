"""How long a flip takes: from the start of the admin call to the last answer of the old version, seen by a steady stream."""

import asyncio
import tempfile
from pathlib import Path

import httpx
import msgspec
import uvloop

from benchmarks import tiny
from benchmarks.errors import FlipNeverFinished, GatewayUnobserved, PointsmanRefused
from benchmarks.figures import percentile
from benchmarks.pointsman import CHANGE_HEADERS, WAIT_SECONDS, Pointsman
from benchmarks.processes import OK
from benchmarks.progress import say
from benchmarks.sockets import processes_behind
from benchmarks.stream import Answered, Caller, open_caller

GATEWAYS = 4
FEWEST, MOST = 24, 96
"""Connections: the kernel spreads them over the gateways by hash, so more are opened until every gateway has some."""
GAP = 0.01
SETTLED = 0.5
"""Seconds without an old answer after which a flip is over: twice what a flip may take, so that a late one is not missed."""
PATIENCE = 20.0
TARGET_P99_MS = 250.0


class FlipFigures(msgspec.Struct, frozen=True):
    """Milliseconds from the start of the admin call: to the last old answer, and to the call's own answer (all gateways acked)."""

    gateways: int
    connections: int
    flips: int
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    acked_p50_ms: float
    acked_p99_ms: float
    failed_requests: int
    target_p99_ms: float = TARGET_P99_MS


class Flip(msgspec.Struct, frozen=True):
    """One flip, in milliseconds."""

    last_old_ms: float
    acked_ms: float


class Watch:
    """What the stream sees. Between two flips it knows which version is the new one."""

    def __init__(self) -> None:
        self.answers = self.failures = 0
        self._new = tiny.FIRST
        self._last_old: float | None = None
        self._fresh: set[int] = set()

    def expect(self, version: str) -> None:
        """From now on every other version is old."""
        self._new, self._last_old = version, None
        self._fresh.clear()

    def saw(self, answer: Answered) -> None:
        """Take note of one answer."""
        self.answers += 1
        if answer.status != OK:
            self.failures += 1
        elif answer.version == self._new:
            self._fresh.add(answer.connection)
        else:
            self._fresh.discard(answer.connection)
            self._last_old = answer.at

    def is_over(self, connections: int, now: float, started: float) -> bool:
        """Whether every connection is answered by the new version, and long enough by nothing else."""
        return len(self._fresh) == connections and now - (self._last_old or started) >= SETTLED

    def last_old_after(self, started: float) -> float:
        """Seconds from the start to the last old answer; 0 when there was none."""
        return 0.0 if self._last_old is None else max(self._last_old - started, 0.0)


def measure_flips(flips: int) -> FlipFigures:
    """Start Pointsman with four gateways, flip between two versions and watch."""
    say(f"flips: {GATEWAYS} gateways, {flips} flips")
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch, Pointsman(Path(scratch), gateways=GATEWAYS) as server:
        server.load(tiny.SECOND)
        return uvloop.run(_flip_under_stream(server, flips))


async def _flip_under_stream(server: Pointsman, flips: int) -> FlipFigures:
    loop, watch = asyncio.get_running_loop(), Watch()
    callers = await _reach_all_gateways(server, watch)
    try:
        async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as admin:
            # One flip there and back warms both versions and the admin listener.
            for version in (tiny.SECOND, tiny.FIRST):
                await _flip(server, admin, watch, version, len(callers))
            started, watch.answers = loop.time(), 0
            seen = [await _flip(server, admin, watch, (tiny.SECOND, tiny.FIRST)[index % 2], len(callers)) for index in range(flips)]
            rate = watch.answers / (loop.time() - started)
    finally:
        for caller in callers:
            caller.close()
    return figures_of(seen, connections=len(callers), requests_per_s=rate, failed=watch.failures)


async def _reach_all_gateways(server: Pointsman, watch: Watch) -> list[Caller]:
    callers: list[Caller] = []
    reached: set[int] = set()
    while len(callers) < FEWEST or (len(reached) < GATEWAYS and len(callers) < MOST):
        callers.append(await open_caller(server.port, len(callers), GAP, watch.saw))
        if len(callers) >= FEWEST:
            await asyncio.sleep(0.2)  # until the gateway has accepted it
            reached = processes_behind(server.port, [caller.port for caller in callers], server.process.pid)
    if len(reached) < GATEWAYS:
        raise GatewayUnobserved(seen=len(reached), expected=GATEWAYS)
    return callers


async def _flip(server: Pointsman, admin: httpx.AsyncClient, watch: Watch, version: str, connections: int) -> Flip:
    loop = asyncio.get_running_loop()
    body = {"version": version, "reason": "benchmark", "wait": WAIT_SECONDS}
    watch.expect(version)
    started = loop.time()
    response = await admin.post(server.change_url("promote"), json=body, headers=CHANGE_HEADERS)
    acked = loop.time() - started
    if not response.is_success:
        raise PointsmanRefused(asked=("promote", version), answer=f"{response.status_code} {response.text}")
    while not watch.is_over(connections, loop.time(), started):
        if loop.time() - started > PATIENCE:
            raise FlipNeverFinished(version, PATIENCE)
        await asyncio.sleep(0.02)
    return Flip(watch.last_old_after(started) * 1e3, acked * 1e3)


def figures_of(flips: list[Flip], *, connections: int, requests_per_s: float, failed: int) -> FlipFigures:
    """Percentiles over all flips."""
    last_old, acked = [flip.last_old_ms for flip in flips], [flip.acked_ms for flip in flips]
    return FlipFigures(
        gateways=GATEWAYS,
        connections=connections,
        flips=len(flips),
        requests_per_s=round(requests_per_s, 1),
        p50_ms=round(percentile(last_old, 50), 2),
        p99_ms=round(percentile(last_old, 99), 2),
        max_ms=round(max(last_old), 2),
        acked_p50_ms=round(percentile(acked, 50), 2),
        acked_p99_ms=round(percentile(acked, 99), 2),
        failed_requests=failed,
    )
