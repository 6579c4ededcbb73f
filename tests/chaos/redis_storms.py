"""The storms of P1 over Redis: a bad network stands between it and its writers, and the server itself is killed again and again."""

import asyncio
from collections.abc import Sequence

from benchmarks.chaos import Figure
from tests.chaos.mishaps import KILLED_WRITER
from tests.chaos.scenario import Full, Scenario, Stage
from tests.chaos.storm import Mishap, Storm, weather
from tests.chaos.storm import Stage as Sea
from tests.chaos.storms import FEW_FLIPS, figures_of
from tests.fixtures.redis_server import RedisServer
from tests.tools.fault_proxy import FaultProxy, Faults

SHORT_S, LONG_S = 0.2, 2.0
"""A bad moment, and one that outlasts what a call waits for its answer (1.5 s)."""

WEATHER = {
    "late": (Faults(latency=0.02), SHORT_S),
    "throttled": (Faults(bytes_per_second=50_000), SHORT_S),
    "replies dropped": (Faults(drop_reply=0.1), LONG_S),
    "reset mid-reply": (Faults(reset_mid_reply=0.1), LONG_S),
    "refused": (Faults(refuse=True), SHORT_S),
    "half-open": (Faults(half_open=True), SHORT_S),
    "blackholed": (Faults(blackhole=True), LONG_S),
}


def mishaps_of(server: RedisServer, proxy: FaultProxy, *, longest_s: float = LONG_S) -> list[Mishap]:
    """Everything that a network and a server do to writers."""
    network = [_network(name, faults, min(seconds, longest_s), proxy) for name, (faults, seconds) in WEATHER.items()]
    return [KILLED_WRITER, _restarted(server), *network]


def _network(name: str, faults: Faults, seconds: float, proxy: FaultProxy) -> Mishap:
    async def happen(sea: Sea) -> None:
        del sea
        proxy.faults = faults
        await asyncio.sleep(seconds)
        proxy.faults = Faults()

    return Mishap(name, happen)


def _restarted(server: RedisServer) -> Mishap:
    async def happen(sea: Sea) -> None:
        del sea
        server.kill()
        await asyncio.sleep(SHORT_S)
        await asyncio.to_thread(server.start)

    return Mishap("Redis killed", happen)


def _over_redis(stage: Stage) -> Sequence[Figure]:
    server = RedisServer()

    async def rage() -> Sequence[Figure]:
        async with FaultProxy(server.socket, stage.dice) as proxy:
            flips = stage.size(Full.STORM_FLIPS, FEW_FLIPS)
            calm_s = 0.5 if stage.is_quick else 3.0
            storm = Storm(f"redis://127.0.0.1:{proxy.port}", server.url, flips, mishaps_of(server, proxy), lost=0.0, calm_s=calm_s)
            return figures_of(storm, await weather(storm, stage.folder, stage.seed), stage)

    try:
        server.start()
        return asyncio.run(rage())
    finally:
        server.remove()


REDIS_STORMS = (Scenario("P1", "storm over Redis", _over_redis),)
