"""What the processes do that are killed: an admin process that is asked for changes, and a controller that loads, judges and rolls back.

Both are the real use cases over a real SQLite file; what stands in for Ray and for gateways is kept in a folder, since it outlives them.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from registry_client.versions import ModelVersion
from serving import failpoints
from serving.api import problems
from serving.api.changing import ChangeRoutes
from serving.control.controller import Controller, Policies, RolloutParts, Surroundings
from serving.control.entitlement import Entitlement
from serving.control.leading import Lead, Leading
from serving.control.operations import Operations
from serving.control.reconciler import LoadPolicy
from serving.control.rollouts.verifying import RollbackCheck
from serving.control.verification import Verification
from serving.core.authority import Operators
from serving.core.policy import GuardPolicy
from serving.core.routing import Arm, Target
from serving.ports import ArmCounts, Failure, GatewayReport, LoadState, LoadStatus
from serving.stores.rollout_files import RolloutFiles
from serving.stores.sqlite import SqliteStore
from serving.telemetry.clock import SystemClock
from tests.fakes.fleet import MemoryControlRecorder
from tests.fakes.observations import FakeObservations
from tests.fakes.public_side import FakePublicSide
from tests.fakes.registry import FakeRegistry, digest_of
from tests.fakes.rollout_plant import Told

FAMILY = "digits"
PUBLISHED = ("1.0.0", "1.1.0", "1.2.0")
LEASE_S = 0.3
PATIENCE_S = 15.0
OK = 200

Scene = Callable[[SqliteStore], Awaitable[Any]]


def target(version: str) -> Target:
    """A version of the family that everything here is about."""
    return Target(FAMILY, ModelVersion.parse(version), digest_of(FAMILY, version))


async def opened(folder: Path) -> SqliteStore:
    """The store of a folder."""
    return await SqliteStore.open(folder / "state.db", SystemClock())


def change(*, folder: str, armed: str, path: str, method: str, body: Mapping[str, object], key: str) -> object:
    """An admin process takes one request under an operation id: status and document of its answer."""
    failpoints.arm(armed, Path(folder) / "died")
    return asyncio.run(_change(Path(folder), path, method, body, key))


async def _change(folder: Path, path: str, method: str, body: Mapping[str, object], key: str) -> tuple[int, Any]:
    store = await opened(folder)
    app = FastAPI()
    operations = Operations(store, store, store, FakeRegistry(**{FAMILY: PUBLISHED}), SystemClock())
    app.include_router(ChangeRoutes(operations, Entitlement(Operators())).router())
    problems.install(app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        headers = {"Idempotency-Key": key, "If-Match": "*"}
        answer = await client.request(method, f"/families/{FAMILY}/{path}", json=body, headers=headers)
    await store.close()
    return answer.status_code, answer.json()


def control(*, folder: str, armed: str) -> object:
    """A controller takes office and acts until a canary that turned bad is rolled back and unloaded: how long it took."""
    failpoints.arm(armed, Path(folder) / "died")
    return asyncio.run(_control(Path(folder)))


async def _control(folder: Path) -> float:
    began, clock = time.monotonic(), SystemClock()
    store, fleet = await opened(folder), FolderFleet(folder / "fleet")
    observations = FakeObservations(clock)
    lead = Lead(store, f"controller-{os.getpid()}", clock, LEASE_S)
    operations = Operations(store, store, store, FakeRegistry(**{FAMILY: PUBLISHED}), clock, lead.token)
    recorder, traffic = MemoryControlRecorder(), Traffic()
    registry = FakeRegistry(**{FAMILY: PUBLISHED})
    verification = Verification(store, store, registry, FakePublicSide(store, registry), clock)
    check = RollbackCheck(verification, store, observations, clock)
    parts = RolloutParts(RolloutFiles(folder / "rollouts"), store, Told(), check, lead.token)
    around = Surroundings(store, fleet, store, observations, operations, recorder, clock, lead, parts)
    policies = Policies(GuardPolicy(lease_seconds=0.1), LoadPolicy(grace=0.05), tick=0.02)
    leading = asyncio.create_task(Leading(lead, recorder, lambda: Controller(around, policies).run()).run())
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not await _is_over(store, fleet):
                is_bad = bool((await store.snapshot()).beats) and len(fleet.running()) == len(PUBLISHED[1:])
                observations.hear(traffic.after_one_more(is_bad=is_bad))
                await asyncio.sleep(0.01)
    finally:
        leading.cancel()
        await asyncio.gather(leading, return_exceptions=True)
        await store.close()
    return time.monotonic() - began


async def _is_over(store: SqliteStore, fleet: "FolderFleet") -> bool:
    record = (await store.snapshot()).families[FAMILY]
    posted = {status.target for status in await store.read()}
    return not record.canaries and fleet.running() == {target("1.1.0")} and posted == {target("1.1.0")}


@dataclass
class Traffic:
    """What the one gateway has counted of the canary so far."""

    requests: int = 0
    failures: int = 0

    def after_one_more(self, *, is_bad: bool) -> GatewayReport:
        """Its report after one more request."""
        self.requests += 1
        self.failures += is_bad
        counts = ArmCounts(target("1.2.0"), Arm.CANARY, self.requests, {Failure.MODEL: self.failures}, self.failures)
        return GatewayReport("gateway-1", 1.0, [counts])


@dataclass(frozen=True, slots=True)
class FolderFleet:
    """A fleet whose versions outlive its controllers: a file for each one that runs, and a journal of what was really done."""

    folder: Path

    def running(self) -> set[Target]:
        """What runs."""
        return {target(path.name) for path in (self.folder / "running").iterdir()}

    def journal(self) -> Sequence[str]:
        """What was started and stopped, in turn."""
        path = self.folder / "journal"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    async def load(self, target: Target) -> None:
        """Start it unless it runs, as the real fleet does."""
        path = self.folder / "running" / str(target.version)
        if not path.exists():
            path.touch()
            self._note(f"load {target.version}")

    async def unload(self, target: Target) -> None:
        """Stop it if it runs."""
        path = self.folder / "running" / str(target.version)
        if path.exists():
            path.unlink()
            self._note(f"unload {target.version}")

    async def states(self) -> Sequence[LoadStatus]:
        """All that runs answers at once."""
        return [LoadStatus(target, LoadState.READY, replicas=1) for target in sorted(self.running(), key=lambda one: one.version)]

    def _note(self, line: str) -> None:
        with (self.folder / "journal").open("a", encoding="utf-8") as journal:
            journal.write(f"{line}\n")
