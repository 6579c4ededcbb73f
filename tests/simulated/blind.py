"""Rollouts whose metrics cannot be trusted: desk, operations, loop and decision log as they are, reports spoilt on their real way.

Real: everything that decides, both ends of the reports' way, and the bytes between them. Made up: the answers, which are thrown as dice
by gateways that count; the store, the logs and the registry, by fakes that pass the contract suites of the real ones.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from random import Random

from serving.core.standing import State
from serving.ports import Observations, Reports
from serving.telemetry.reports import DatagramObservations, DatagramReports
from tests.fakes.rollout_plant import V2, Plant, replays
from tests.simulated.hush import hushed
from tests.simulated.spoiling import WAYS, SpoilingOutbox, Trouble, Way
from tests.simulated.wire import Wire

POLICY = """
policy: 1
unit: {{count: request}}
stages:
  - {{name: canary, weight: 0.05, need: {{units: 100, time: 5s, safe: [errors]}}}}
  - {{name: half, weight: 0.5, need: {{time: 5s, safe: [errors]}}}}
  - {{name: full, weight: 1.0, soak: 10s}}
guards:
  - {{id: errors, metric: error, worse: {{ratio: 1.5, floor: 0.002}}, ok: {{below: 0.02}}, on: {{harm: rollback}}}}
deadline: {{per_stage: 20s, then: {then}, silence: 3s}}
rollback: {{verify: {{stray: 0 in 2s, probes: 3, recovered: errors in 1m}}, cooldown: 30s, keep_warm: 60s}}
"""

SECONDS = 40
"""Simulated, of each rollout; one whose metrics are sound is live after 21."""

ERRORS = (0.0, 0.001, 0.05)
PACES = (200, 1000, 3000)
BAD, ENOUGH = 0.05, 1000


class SpoiltPlant(Plant):
    """A plant whose gateways report in datagrams, which are spoilt in one way; None leaves them as they are."""

    def __init__(self, way: Way | None, seed: int) -> None:
        self._dice = Random(seed)
        self._way, self._wire = way, Wire()
        document = POLICY.format(then=self._dice.choice(("hold", "rollback"))).encode()
        super().__init__(document, seed=seed, a_second=self._dice.choice(PACES))
        self.errors = {**self.errors, V2: self._dice.choice(ERRORS)}

    def line(self) -> tuple[Reports, Observations]:
        """The real ends of the way, with trouble between them."""
        began = self.clock.monotonic()
        trouble = Trouble(self._dice, lambda: self.clock.monotonic() - began)
        self.inbox = DatagramObservations(self._wire, self.clock)
        return DatagramReports(SpoilingOutbox(self._wire, self._way, trouble)), self.inbox

    async def begin(self) -> None:
        """Listen, then begin."""
        await self.inbox.start()
        await super().begin()

    async def follow(self) -> None:
        """Let what was reported arrive, too."""
        await super().follow()
        await self._wire.drained()

    async def end(self) -> None:
        """Stop listening."""
        await self.inbox.stop()


@dataclass(frozen=True, slots=True)
class Blind:
    """What came of one. `errors`: how many of its answers the candidate failed."""

    way: str
    seed: int
    errors: float
    is_promoted: bool
    state: State
    looks: int
    is_replayed: bool
    a_second: int

    @property
    def is_promotable(self) -> bool:
        """Whether it would be live in time if its metrics were sound: it is good, and enough callers come to show it."""
        return self.errors < BAD and self.a_second >= ENOUGH


async def played(name: str, seed: int) -> Blind:
    """One rollout; `name` is of a way, or none."""
    plant = SpoiltPlant(WAYS.get(name), seed)
    try:
        await plant.begin()
        await plant.start()
        for _ in range(SECONDS):
            await plant.second()
            if await plant.stands() in {State.LIVE, State.ROLLED_BACK}:
                break
        state, log = await plant.stands(), await plant.log()
        is_promoted = state is State.LIVE or (await plant.record()).production == V2
    finally:
        await plant.end()
    looks = sum(b'"kind":"look"' in line for line in log)
    return Blind(name, seed, plant.errors[V2], is_promoted, state, looks, replays(log, plant.policy), plant.a_second)


def play(names: Sequence[str], number: int, seed: int) -> list[Blind]:
    """So many rollouts, the ways by turns."""

    async def all_of_them() -> list[Blind]:
        return [await played(name, seed + index) for index, name in enumerate(islice(cycle(names), number))]

    with hushed():
        return asyncio.run(all_of_them())
