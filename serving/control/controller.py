"""What a leader does: one task keeps the versions loaded that should be, another watches the canaries; neither waits for the other.

One `Controller` is made for each term, so that nothing it remembers is from before another led.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from serving.control.guards import Guards, Levers, RollsBack
from serving.control.leading import Standing
from serving.control.leases import Leases
from serving.control.loads import Loads, Yard
from serving.control.reconciler import LoadPolicy
from serving.control.records import Records
from serving.control.rehearsals import EndsRehearsals, Rehearsals
from serving.control.rollouts.following import Check, Moves, Tools
from serving.control.rollouts.loop import Rollouts
from serving.control.rollouts.saying import Herald
from serving.core.errors import StoreUnavailable
from serving.core.policy import GuardPolicy
from serving.ports import Acks, Clock, ControlRecorder, DecisionLog, Fleet, FleetBoard, Observations, RolloutBoard, StateStore

log = structlog.get_logger()


TICK_S = 1.0
"""Between two looks, where nothing asks for more."""


class ControllerOperations(RollsBack, Moves, EndsRehearsals, Protocol):
    """The changes that a controller makes."""


class RolloutHome(DecisionLog, RolloutBoard, Protocol):
    """Where rollouts are written down."""


@dataclass(frozen=True, slots=True)
class RolloutParts:
    """What rollouts need besides. `term` gives the fencing token of the term, or raises `NotLeader`."""

    home: RolloutHome
    acks: Acks
    herald: Herald
    check: Check
    term: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything a controller works on."""

    store: StateStore
    fleet: Fleet
    board: FleetBoard
    observations: Observations
    operations: ControllerOperations
    recorder: ControlRecorder
    clock: Clock
    lead: Standing
    rollouts: RolloutParts


@dataclass(frozen=True, slots=True)
class Policies:
    """What a controller goes by. `tick` is the longest time in seconds between two looks."""

    guards: GuardPolicy = field(default_factory=GuardPolicy)
    loads: LoadPolicy = field(default_factory=LoadPolicy)
    tick: float = TICK_S


@dataclass(frozen=True, slots=True)
class Chore:
    """More for a leader to do, again and again; `pause`: seconds between two steps."""

    step: Callable[[], Awaitable[None]]
    pause: float = TICK_S


class Controller:
    """Runs until cancelled, and acts while the lease is held.

    Each loop steps once a tick and at once when woken; what wakes it while it steps counts as one.
    """

    def __init__(self, around: Surroundings, policies: Policies, also: Mapping[str, Chore] | None = None) -> None:
        """`also`: more for a leader to do, each in a loop of its own, by name."""
        records = Records(around.store)
        yard = Yard(around.fleet, around.board, around.recorder, around.lead)
        levers = Levers(around.operations, around.recorder)
        self.loads = Loads(records, yard, around.clock, policies.loads)
        self.guards = Guards(records, around.observations, levers, around.clock, policies.guards)
        self.rollouts = Rollouts(records, around.observations, around.rollouts.acks, around.rollouts.home, _tools(around))
        self.rehearsals = Rehearsals(records, around.observations, around.operations, around.clock)
        self.leases = Leases(records, around.store, around.observations, around.lead, around.clock, policies.guards)
        self._also = also or {}
        self._lead = around.lead
        self._tick = policies.tick
        self._reports = asyncio.Event()
        self._changes = asyncio.Event()
        around.observations.subscribe(self._reports.set)
        records.subscribe(self._changes.set)

    async def run(self) -> None:
        """Run the loops; on cancellation leave what runs as it is."""
        try:
            async with asyncio.TaskGroup() as loops:
                loops.create_task(self._repeat("reconcile", self.loads.step, self._changes, self._tick))
                loops.create_task(self._repeat("watch", self.watch, self._reports, self._tick))
                for name, chore in self._also.items():
                    loops.create_task(self._repeat(name, chore.step, asyncio.Event(), chore.pause))
        finally:
            await self.loads.close()

    async def watch(self) -> None:
        """One look at the canaries and rollouts: judge them, then renew the leases of those that may go on."""
        await self.guards.step()
        await self.rollouts.step()
        await self.rehearsals.step()
        await self.leases.step(self.guards.harmful | self.rollouts.unfit)

    async def _as_leader(self, step: Callable[[], Awaitable[None]]) -> None:
        if self._lead.is_held:
            await step()

    async def _repeat(self, loop: str, step: Callable[[], Awaitable[None]], wake: asyncio.Event, pause: float) -> None:
        trouble = ""
        while True:
            wake.clear()
            try:
                await self._as_leader(step)
            except StoreUnavailable as error:  # its sentence says it all
                if trouble != repr(error):
                    log.warning("controller_step_failed", loop=loop, why=str(error))
                trouble = repr(error)
            except Exception as error:
                if trouble != repr(error):
                    log.exception("controller_step_failed", loop=loop)
                trouble = repr(error)
            else:
                if trouble:
                    log.info("controller_step_recovered", loop=loop)
                trouble = ""
            with suppress(TimeoutError):
                # Not wait_for: in Python 3.11 it loses a cancellation that comes as the event does, and the term would never end.
                async with asyncio.timeout(pause):
                    await wake.wait()


def _tools(around: Surroundings) -> Tools:
    parts = around.rollouts
    return Tools(around.operations, parts.home, parts.herald, parts.check, around.recorder, around.clock, parts.term)
