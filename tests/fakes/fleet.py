"""A fleet whose versions come up when a test says so, and the dashboards of a controller."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from serving.core.routing import Target
from serving.core.totals import Fault
from serving.ports import LoadState, LoadStatus


@dataclass
class FakeFleet:
    """Loads at once, unless told that a version fails, raises or hangs."""

    statuses: dict[Target, LoadStatus] = field(default_factory=dict[Target, LoadStatus])
    fails: set[Target] = field(default_factory=set[Target])
    raises: set[Target] = field(default_factory=set[Target])
    hangs: set[Target] = field(default_factory=set[Target])
    loads: list[Target] = field(default_factory=list[Target])
    unloads: list[Target] = field(default_factory=list[Target])

    async def load(self, target: Target) -> None:
        self.loads.append(target)
        if target in self.hangs:
            await asyncio.Event().wait()
        if target in self.raises:
            msg = "no such bundle"
            raise FileNotFoundError(msg)
        state = LoadState.FAILED if target in self.fails else LoadState.READY
        self.statuses[target] = LoadStatus(target, state, replicas=1)

    async def unload(self, target: Target) -> None:
        self.unloads.append(target)
        if target in self.raises:
            msg = "it will not go"
            raise TimeoutError(msg)
        self.statuses.pop(target, None)

    async def states(self) -> Sequence[LoadStatus]:
        return tuple(self.statuses.values())


@dataclass
class MemoryControlRecorder:
    """Remembers what the controller had shown."""

    states: Sequence[LoadStatus] = ()
    rollbacks: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    refused: list[tuple[str, Fault]] = field(default_factory=list[tuple[str, Fault]])
    leading: dict[str, bool] = field(default_factory=dict[str, bool])

    def loaded(self, states: Sequence[LoadStatus]) -> None:
        self.states = tuple(states)

    def rolled_back(self, family: str, signal: str) -> None:
        self.rollbacks.append((family, signal))

    def report_refused(self, family: str, fault: Fault) -> None:
        self.refused.append((family, fault))

    def leads(self, controller: str, *, leads: bool) -> None:
        self.leading[controller] = leads
