"""Callers who stick to their arm, asking real gateways of one node: routed, counted and reported as requests are.

Real: routing by the caller's key, retry on production, lanes, what is a trial, units in windows, counters, reports, and everything that
decides by them. Made up: the versions, which answer at once as their dice say, and the room of the node's claims, kept in a set.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from serving.core.policy import Counting
from serving.core.standing import State
from serving.core.tables import table_of
from serving.gateway.messages import Answer, Request
from serving.gateway.predict import Gateway, GatewayLimits
from serving.gateway.request_ids import RequestIds
from serving.gateway.shadow import Mirror, MirrorLimits
from serving.gateway.watching import Around, Watchings
from serving.gateway.yielding import Yielding, never_waits
from serving.ports import Call, CallKind, Failure, GatewayAck, GatewayReport, Reply, Said, Sorting
from tests.fakes.claims import MemoryRoom
from tests.fakes.request_path import MemoryRecorder
from tests.fakes.rollout_plant import FAMILY, Plant, replays
from tests.simulated.hush import hushed

POLICY = """
policy: 1
unit: {{key: [header:x-user-id], missing: production, count: {count}}}
risk: {{false_rollback: 0.01, false_safe: 0.05}}
stages:
  - {{name: canary, weight: 0.05, need: {{units: 10, time: 15s, safe: [errors]}}}}
  - {{name: half, weight: 0.5, need: {{time: 5s, safe: [errors]}}}}
  - {{name: full, weight: 1.0, soak: 5s}}
guards:
  - {{id: errors, metric: error, worse: {{ratio: 1.5, floor: 0.002}}, ok: {{below: 0.3}}, share: 4, on: {{harm: rollback}}}}
  - {{id: p50, metric: latency, quantile: 0.5, worse: {{ratio: 1.2}}, share: 1, on: {{harm: rollback}}}}
  - {{id: drift, metric: output, worse: {{js: 0.1}}, share: 1, on: {{harm: rollback}}}}
  - {{id: collapse, metric: output_constant_or_invalid, worse: {{rate: 0.02}}, share: 1, on: {{harm: rollback}}}}
  - {{id: split, metric: assignment, share: 1, on: {{harm: rollback}}}}
deadline: {{per_stage: 10m, then: hold, silence: 5s}}
rollback: {{verify: {{stray: 0 in 2s, probes: 3, recovered: errors in 1m}}, cooldown: 30s, keep_warm: 60s}}
"""

CALLERS, A_SECOND = 1500, 700
BROKEN, RARE = 0.005, 0.001
"""The share of callers that fail always (a client that sends rubbish which the model chokes on), and how often anybody's call fails."""

CLASSES = (0.5, 0.3, 0.2)
MEDIAN_S, SIGMA = 0.01, 0.5

GOOD = b"{}"
RUBBISH = b'{"rubbish": true}'


@dataclass
class Versions:
    """An `Invoker` whose versions all answer alike and at once: rubbish fails, anything else seldom does."""

    dice: np.random.Generator
    lag: float = 0.0
    """Seconds that the answer under way has taken."""
    _drawn: list[tuple[float, float, int]] = field(default_factory=list[tuple[float, float, int]])

    def invoke(self, call: Call, deadline: float, done: Callable[[Reply], None], *, patient: bool) -> None:
        """Answer."""
        del deadline, patient
        luck, seconds, label = self._throw()
        self.lag += seconds
        if call.body == RUBBISH or luck < RARE:
            done(Reply(500, b"{}", failure=Failure.MODEL))
        else:
            done(Reply(200, b"{}", said=Said(label=str(label)) if call.sorting is Sorting.LABEL else None))

    def was_reached(self, digest: str) -> bool:
        """Every version was."""
        del digest
        return True

    def _throw(self) -> tuple[float, float, int]:
        if not self._drawn:
            luck, normal = self.dice.random(A_SECOND), self.dice.standard_normal(A_SECOND)
            labels = self.dice.choice(len(CLASSES), p=CLASSES, size=A_SECOND)
            self._drawn = list(zip(luck.tolist(), (MEDIAN_S * np.exp(SIGMA * normal)).tolist(), labels.tolist(), strict=True))
        return self._drawn.pop()


class CallersPlant(Plant):
    """A plant with two real gateways of one node, and callers who come back again and again."""

    def __init__(self, count: Counting, seed: int) -> None:
        self.room = MemoryRoom()
        super().__init__(POLICY.format(count=count.value).encode(), seed=seed, a_second=A_SECOND)
        self.versions = Versions(self.dice)
        self.callers = [
            Request(CallKind.INFER, FAMILY, None, RUBBISH if is_broken else GOOD, {b"x-user-id": f"user-{seed}-{number}".encode()})
            for number, is_broken in enumerate(self.dice.random(CALLERS) < BROKEN)
        ]
        self.lanes = {gateway.name: self._gateway() for gateway in self.gateways}

    def _gateway(self) -> Gateway:
        monotonic: Callable[[], float] = lambda: self.clock.monotonic() + self.versions.lag  # noqa: E731 - a clock
        dice: Callable[[], float] = self.dice.random
        recorder = MemoryRecorder()
        around = Around(self.room, monotonic, monotonic, dice)
        watchings = Watchings(around, lambda: None)
        mirror = Mirror(self.versions, recorder, monotonic, MirrorLimits(), watchings, Yielding(never_waits))
        return Gateway(
            invoker=self.versions,
            recorder=recorder,
            mirror=mirror,
            watchings=watchings,
            request_ids=RequestIds(b"secret"),
            monotonic=monotonic,
            dice=dice,
            limits=GatewayLimits(),
        )

    async def follow(self) -> None:
        """Let the gateways take the newest routes, say so, and report."""
        snapshot = await self.store.snapshot()
        table = table_of(snapshot.epoch, snapshot.families.values())
        for name, gateway in self.lanes.items():
            if gateway.table.epoch != table.epoch:
                gateway.swap(table)
            await self.store.ack(GatewayAck(name, snapshot.epoch, self.clock.now(), since=self.clock.now()))
            watchings = gateway.watchings
            counts = tuple(tally.counts() for tally in gateway.tallies)
            self.reports.send(GatewayReport(name, 1.0, counts, watchings.reports(name, 1.0), watchings.baselines()))

    async def traffic(self) -> None:
        """A second's calls: whoever calls, on whichever gateway."""
        lanes = [*self.lanes.values()]
        who = self.dice.integers(0, CALLERS, A_SECOND).tolist()
        where = self.dice.integers(0, len(lanes), A_SECOND).tolist()
        for caller, gateway in zip(who, where, strict=True):
            self.versions.lag = 0.0
            lanes[gateway].handle(self.callers[caller], _answered)
        self.versions.lag = 0.0


def _answered(answer: Answer) -> None:
    del answer


SECONDS = 40
"""Simulated, of each rollout: it is live after 25 where all guards are content."""


@dataclass(frozen=True, slots=True)
class Identical:
    """What came of a candidate that is like production. `signal`: the guard that blamed it, if one did."""

    count: Counting
    seed: int
    state: State
    signal: str
    trials: int
    is_replayed: bool


async def _played(count: Counting, seed: int) -> Identical:
    plant = CallersPlant(count, seed)
    await plant.begin()
    await plant.start()
    for _ in range(SECONDS):
        await plant.second()
        if await plant.stands() in {State.LIVE, State.ROLLING_BACK}:
            break
    stands, log = (await plant.underway()).rollout, await plant.log()
    seen = (await plant.rollouts.progress())[FAMILY].totals
    trials = seen.canary.trials + seen.production.trials
    signal = "" if stands.receipt is None else stands.receipt.signal
    return Identical(count, seed, stands.state, signal, trials, replays(log, plant.policy))


def play_identical(count: Counting, seeds: Sequence[int]) -> list[Identical]:
    """A rollout for each seed; the same seed has the same callers, however they are counted."""

    async def all_of_them() -> list[Identical]:
        return [await _played(count, seed) for seed in seeds]

    with hushed():
        return asyncio.run(all_of_them())
