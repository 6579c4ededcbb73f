"""A whole rehearsal without a process or a socket: the real holder, the real leader's part and two real gateways, over fakes."""

import asyncio
from collections.abc import Callable, Mapping
from itertools import cycle
from pathlib import Path
from random import Random

import msgspec

from registry_client.versions import ModelVersion
from serving.control.operations import Author, Operations
from serving.control.policies.holding import HeldPolicies
from serving.control.policies.home import PolicyHome
from serving.control.records import Records
from serving.control.rehearsals import Rehearsals
from serving.control.rehearsing import Means, Rehearsing
from serving.control.seen import SeenStore
from serving.core.drills import DrillResult
from serving.core.lifecycle import FamilyRecord
from serving.core.tables import table_of
from serving.gateway.messages import Answer, Request
from serving.gateway.rehearsing import Later
from serving.ports import Call, CallKind, GatewayReport, PublicAnswer, Reply, Said
from serving.telemetry.clock import SystemClock
from tests.fakes.admin import AdminWorld
from tests.fakes.following import FollowedStore
from tests.fakes.gateway import Bench
from tests.fakes.observations import FakeObservations
from tests.fakes.request_path import HandInvoker

FAMILY = "digits"
V1, V2 = ModelVersion.parse("1.0.0"), ModelVersion.parse("1.1.0")
STEP_S = 0.005


LABELS = cycle("0123456789")


class GoodInvoker(HandInvoker):
    """A version that answers at once, and well: each request with the next label."""

    def invoke(self, call: Call, deadline: float, done: Callable[[Reply], None], *, patient: bool) -> None:
        super().invoke(call, deadline, done, patient=patient)
        label = next(LABELS)
        self.answer(Reply(200, f'{{"label":"{label}"}}'.encode(), said=Said(label) if call.sorting else None))


def waiting(bench: Bench) -> Later:
    """Lets as much time pass on a gateway as it is to wait."""

    def wait(seconds: float, call: Callable[[], None]) -> None:
        bench.now += seconds
        call()

    return wait


class Stage:
    """1.1.0 is in production of digits, 1.0.0 was before it; two gateways serve what the store says."""

    def __init__(self, policies: Path) -> None:
        self.world = AdminWorld(SystemClock(), store=FollowedStore)
        self.world.runs("1.0.0", "1.1.0")
        store = self.store = self.world.store
        seen, clock = SeenStore(store, self.world.kept), self.world.clock
        self.operations = Operations(seen, store, store, self.world.registry, clock)
        self.gateways = {name: Bench(invoker=GoodInvoker()) for name in ("g1", "g2")}
        for bench in self.gateways.values():
            bench.gateway.rehearsals.wait = waiting(bench)
        self._turns, self._dice, self._epoch = cycle(self.gateways), Random(7), -1
        self.observations, self.leads = FakeObservations(clock), True
        self.records = Records(store)
        self.leader = Rehearsals(self.records, self.observations, self.operations, clock)
        self.heard: list[DrillResult] = []
        self.callers: list[Answer] = []
        self.keys = ["k" * 32]
        self._policies = policies
        held = HeldPolicies(PolicyHome(policies))
        means = Means(self.operations, seen, held, self.world.registry, self, clock, self._hear)
        self.rehearsing = Rehearsing(means, lambda: self.keys[0])

    async def set_up(self) -> None:
        for version in (V1, V2):
            await self.operations.promote(FAMILY, version, Author("ada", "better", f"promote-{version}"))

    def policy(self, text: str) -> None:
        """Give the family a policy of its own."""
        own = self._policies / "families"
        own.mkdir(exist_ok=True)
        (own / f"{FAMILY}.yaml").write_text(text, encoding="utf-8")

    async def record(self) -> FamilyRecord:
        return (await self.store.snapshot()).families[FAMILY]

    async def lead(self) -> None:
        """Gateways report, and whoever leads looks, until cancelled."""
        while True:
            for name, bench in self.gateways.items():
                bench.dice = self._dice.random()
                self.observations.hear(
                    GatewayReport(name, 1.0, [], bench.gateway.watchings.reports(name, 1.0), bench.gateway.watchings.baselines())
                )
            if self.leads:
                await self.records.refresh()
                await self.leader.step()
            await asyncio.sleep(STEP_S)

    async def call(self) -> None:
        """Callers ask, until cancelled."""
        while True:
            self.callers.append(await self._answer(FAMILY, {"x": 1}, None))
            await asyncio.sleep(STEP_S / 5)

    async def predict(self, family: str, request: Mapping[str, object], seconds: float, selector: str = "") -> PublicAnswer:
        """The public side: one gateway after the other, each by the newest routes."""
        del seconds
        answer = await self._answer(family, request, selector or None)
        await asyncio.sleep(0.001)
        reason = dict(line.split(b": ") for line in answer.route_headers.split(b"\r\n") if line).get(b"x-route-reason", b"")
        return PublicAnswer(answer.status, "1.1.0", 1, msgspec.json.decode(answer.body), reason=reason.decode())

    async def _answer(self, family: str, request: Mapping[str, object], selector: str | None) -> Answer:
        snapshot = await self.store.snapshot()
        if snapshot.epoch != self._epoch:
            self._epoch = snapshot.epoch
            for bench in self.gateways.values():
                bench.gateway.swap(table_of(snapshot.epoch, snapshot.families.values()))
        bench, answers = self.gateways[next(self._turns)], list[Answer]()
        bench.dice = self._dice.random()
        body = msgspec.json.encode(request)
        bench.gateway.handle(Request(CallKind.PREDICT, family, selector, body, {}), answers.append)
        return answers[0]

    async def _hear(self, family: str, result: DrillResult) -> None:
        assert family == FAMILY
        self.heard.append(result)
