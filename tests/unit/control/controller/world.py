"""A controller among fakes, a family with a canary, and the traffic that a test lets it see."""

import asyncio
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from registry_client.versions import ModelVersion
from serving.control.controller import Controller, Policies, RolloutParts, Surroundings
from serving.control.operations import Author, Changed, Operations
from serving.control.rollouts.verifying import RollbackCheck
from serving.control.verification import Verification
from serving.core.audit import NOTHING_SEEN
from serving.core.errors import InvalidRecord
from serving.core.lifecycle import Canary, FamilyRecord
from serving.core.routing import Arm, Target
from serving.core.traffic import End, Slice
from serving.ports import ArmCounts, Failure, GatewayReport, Transition
from tests.fakes.clock import FakeClock
from tests.fakes.fleet import FakeFleet, MemoryControlRecorder
from tests.fakes.observations import FakeObservations
from tests.fakes.public_side import FakePublicSide
from tests.fakes.registry import FakeRegistry, digest_of
from tests.fakes.rollout_plant import Told
from tests.fakes.rollouts import FakeRollouts
from tests.fakes.store import FakeStore

V1, V2 = ModelVersion.parse("1.1.0"), ModelVersion.parse("1.2.0")

PRODUCTION = Target("digits", V1, digest_of("digits", "1.1.0"))

CANARY = Target("digits", V2, digest_of("digits", "1.2.0"))


@dataclass
class Traffic:
    """One gateway's counters, which a test adds to."""

    counts: dict[Arm, ArmCounts] = field(default_factory=dict[Arm, ArmCounts])

    def add(self, arm: Arm, requests: int, failures: int = 0, *, row: int = 0, kind: Failure = Failure.MODEL) -> None:
        old = self.counts.get(arm) or ArmCounts(CANARY if arm is Arm.CANARY else PRODUCTION, arm, 0, {}, 0)
        failed = {**old.failures, kind: old.failures.get(kind, 0) + failures}
        self.counts[arm] = replace(old, requests=old.requests + requests, failures=failed, failures_in_a_row=row)

    def report(self) -> GatewayReport:
        return GatewayReport("g1", 1.0, tuple(self.counts.values()))


@dataclass
class Standing:
    """Whether the controller leads, as a test says."""

    is_held: bool = True


class MoodyOperations(Operations):
    """The real operations, which may be told to refuse."""

    is_refusing = False

    async def rollback(self, family: str, author: Author, *, to: ModelVersion | None = None, expected: int | None = None) -> Changed:
        if self.is_refusing:
            raise InvalidRecord(family, "a test said so")
        return await super().rollback(family, author, to=to, expected=expected)


class World:
    """A controller among fakes, with the real operations."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = FakeStore(self.clock)
        self.fleet = FakeFleet()
        self.observations = FakeObservations(self.clock)
        self.recorder = MemoryControlRecorder()
        self.traffic = Traffic()
        registry = FakeRegistry(digits=["1.1.0", "1.2.0"])
        self.operations = MoodyOperations(self.store, self.store, self.store, registry, self.clock)
        self.lead = Standing()
        verification = Verification(self.store, self.store, registry, FakePublicSide(self.store, registry), self.clock)
        check = RollbackCheck(verification, self.store, self.observations, self.clock)
        parts = RolloutParts(FakeRollouts(), self.store, Told(), check, lambda: 0)
        around = Surroundings(
            self.store, self.fleet, self.store, self.observations, self.operations, self.recorder, self.clock, self.lead, parts
        )
        self.controller = Controller(around, Policies(tick=60.0))
        self._ids = count()

    async def record(self) -> FamilyRecord:
        return (await self.store.snapshot()).families.get("digits", FamilyRecord("digits"))

    async def change(self, **parts: object) -> None:
        """Write the record as it shall be."""
        old = await self.record()
        digests = {V1: PRODUCTION.digest, V2: CANARY.digest}
        new = replace(old, revision=old.revision + 1, digests=digests, **parts)  # type: ignore[arg-type] # fields by name
        about: dict[str, Any] = {"actor": "test", "action": "test", "reason": "", "before": {}, "after": {}}
        operation_id = f"test-{next(self._ids)}"
        about |= {"seen": NOTHING_SEEN, "at": self.clock.now()}
        await self.store.commit(Transition(record=new, expected_revision=old.revision, operation_id=operation_id, **about))

    async def start_canary(self, weight: int = 500) -> None:
        await self.change(production=V1, canaries=(Canary(V2, Slice(End.LOW, weight)),))

    async def look(self) -> None:
        """Let the gateway report, and the controller judge."""
        self.observations.hear(self.traffic.report())
        await self.controller.watch()

    async def reconcile(self) -> None:
        await self.controller.loads.step()
        await asyncio.sleep(0)  # the tasks that it started
        await asyncio.sleep(0)

    async def is_running_canary(self) -> bool:
        return bool((await self.record()).canaries)
