"""What P2, P3, P4 and P14 promise, over Redis: a real installation whose Redis stands behind a fault proxy, and is hurt in every way."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

import uvloop

from benchmarks.chaos import Figure
from tests.chaos.outage import Outage, endure
from tests.chaos.propagation import POLLED_MS, PROMPT_MS, propagate
from tests.chaos.rollback import roll_back
from tests.chaos.scenario import Full, Scenario, Stage
from tests.chaos.sites import Site, accepted, serving
from tests.chaos.stamped import VERSIONS
from tests.e2e.installation import Installation
from tests.fixtures.redis_server import RedisServer
from tests.tools.fault_proxy import Done, Faults, ProxyThread, proxy_thread

AOF = "appendonlydir"
WAITING = b"XREAD"
"""What a connection sends that waits for notifications."""


@dataclass(frozen=True, slots=True)
class RedisSite(Site):
    """An installation over a Redis of its own, behind a proxy."""

    server: RedisServer
    proxy: ProxyThread


@contextmanager
def over_redis(folder: Path, dice: Random, *, gateways: int = 2) -> Iterator[RedisSite]:
    """Make one."""
    server = RedisServer()
    try:
        server.start()
        with proxy_thread(server.socket, dice) as proxy:
            settings = {"gateways": str(gateways), "store": f"redis://127.0.0.1:{proxy.port}"}
            with serving(Installation.at(folder, **settings)) as installation:
                yield RedisSite(installation, server, proxy)
    finally:
        server.remove()


@contextmanager
def _killed(site: RedisSite) -> Iterator[None]:
    site.server.kill()
    yield
    site.server.start()


@contextmanager
def _frozen(site: RedisSite) -> Iterator[None]:
    site.server.freeze()
    yield
    site.server.thaw()


@contextmanager
def _emptied(site: RedisSite) -> Iterator[None]:
    site.server.kill()
    shutil.rmtree(site.server.folder / AOF)
    site.server.start()
    yield


@contextmanager
def _restored(site: RedisSite) -> Iterator[None]:
    """The files of before the newest change are put back."""
    aof, backup = site.server.folder / AOF, site.server.folder / "backup"
    shutil.copytree(aof, backup)
    accepted(site.change("PUT", "tags/staging", {"version": VERSIONS[0], "reason": "after the backup", "wait": 10}))
    site.server.kill()
    shutil.rmtree(aof)
    backup.rename(aof)
    site.server.start()
    yield


def _faulty(faults: Faults) -> Callable[[RedisSite], AbstractContextManager[None]]:
    @contextmanager
    def hurt(site: RedisSite) -> Iterator[None]:
        site.proxy.set(faults)
        yield
        site.proxy.set(Faults())

    return hurt


REDIS_KINDS = (
    Outage("Redis killed", _killed),
    Outage("Redis frozen", _frozen),
    Outage("Redis blackholed", _faulty(Faults(blackhole=True))),
    Outage("Redis refused", _faulty(Faults(refuse=True))),
    Outage("Redis 5 s late", _faulty(Faults(latency=5.0))),
    Outage("Redis half-open", _faulty(Faults(half_open=True))),
    Outage("Redis reset mid-reply", _faulty(Faults(reset_mid_reply=1.0))),
    Outage("Redis restarted empty", _emptied, is_older=True),
    Outage("Redis restarted with old data", _restored, is_older=True),
)


def _outage(kind: Outage[RedisSite]) -> Scenario:
    def play(stage: Stage) -> Sequence[Figure]:
        return endure(kind, _site(stage), stage, stage.size(Full.OUTAGES, 2))

    return Scenario("P4", kind.name, play)


def _propagated(stage: Stage) -> Sequence[Figure]:
    return uvloop.run(propagate(_big_site(stage).installation, stage.size(Full.PROPAGATED_FLIPS, 10), PROMPT_MS))


def _propagated_unnoticed(stage: Stage) -> Sequence[Figure]:
    site = _big_site(stage)
    site.proxy.set(Faults(withhold=WAITING))
    figures = uvloop.run(propagate(site.installation, stage.size(Full.POLLED_FLIPS, 10), POLLED_MS))
    site.proxy.set(Faults())
    return [*figures, Figure("notifications lost", site.proxy.proxy.done[Done.WITHHELD])]


def _rolled_back(stage: Stage) -> Sequence[Figure]:
    return roll_back(_site(stage), stage, stage.size(Full.ROLLBACKS, 3))


def _site(stage: Stage) -> RedisSite:
    return stage.scenery.of("Redis", partial(over_redis, dice=stage.dice))


def _big_site(stage: Stage) -> RedisSite:
    return stage.scenery.of("Redis, 8 gateways", partial(over_redis, dice=stage.dice, gateways=8))


REDIS_OUTAGES = (
    Scenario("P3", "flips over Redis", _propagated),
    Scenario("P3", "flips over Redis, unnoticed", _propagated_unnoticed),
    Scenario("P14", "rollback over Redis", _rolled_back),
    *(_outage(kind) for kind in REDIS_KINDS),
)
