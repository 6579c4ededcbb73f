"""Makes what runs agree with what the records want: looks, plans, and starts the loads and unloads of the plan.

Every load and unload is a task of its own, so one that hangs holds up nothing else.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from serving.control.leading import Standing
from serving.control.reconciler import Action, Load, LoadPolicy, Look, Memory, Unload, aspired, plan
from serving.control.records import Records
from serving.core.routing import Target
from serving.failpoints import Failpoint, reach
from serving.ports import Clock, ControlRecorder, Fleet, FleetBoard, LoadState, LoadStatus

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Yard:
    """Where versions run: the fleet that runs them, the board their states are posted on, and the dashboards' gauges."""

    fleet: Fleet
    board: FleetBoard
    recorder: ControlRecorder
    lead: Standing


@dataclass(frozen=True, slots=True)
class Work:
    """An action that is under way."""

    action: Action
    task: asyncio.Task[None]


class Loads:
    """One step per look; it returns without waiting for the work that it started."""

    def __init__(self, records: Records, yard: Yard, clock: Clock, policy: LoadPolicy) -> None:
        self._records = records
        self._yard = yard
        self._clock = clock
        self._policy = policy
        self._memory = Memory()
        self._under_way: dict[Target, Work] = {}
        self._refused: dict[Target, LoadStatus] = {}
        self._told: dict[Target, LoadState] = {}

    async def step(self) -> None:
        """Look once, start what is due, and post the states."""
        snapshot = await self._records.refresh()
        # A load that ends while the states are read is not in them yet: it counts as under way.
        under_way = dict(self._under_way)
        states = self._with_refused(await self._yard.fleet.states())
        under_way |= self._under_way
        look = Look(aspired(snapshot), states, self._clock.monotonic(), frozenset(under_way), frozenset(snapshot.invalid))
        decided = plan(self._policy, look, self._memory)
        # Posted before anything is started: a controller that takes over knows only what the board says is there to be stopped.
        begun = (*(work.action for work in under_way.values()), *decided.actions)
        shown = (*states, *_begun(begun, states))
        reach(Failpoint.BOARD_POSTING)
        await self._yard.board.post(shown)
        if not self._yard.lead.is_held:
            return
        self._memory = decided.memory
        self._refused = {target: status for target, status in self._refused.items() if target in look.aspired}
        for action in decided.actions:
            self._start(action)
        self._tell(shown)
        self._yard.recorder.loaded(shown)

    async def close(self) -> None:
        """Give up on the work that is still under way; what runs goes on running."""
        tasks = tuple(work.task for work in self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _tell(self, states: Sequence[LoadStatus]) -> None:
        now = {status.target: status.state for status in states}
        for status in states:
            if self._told.get(status.target) is not status.state:
                say = log.error if status.state is LoadState.FAILED else log.info
                target = status.target
                why = {"detail": status.detail} if status.detail else {}
                say("version_state", family=target.family, version=str(target.version), state=status.state.value, **why)
        self._told = now

    def _with_refused(self, states: Sequence[LoadStatus]) -> tuple[LoadStatus, ...]:
        known = {status.target for status in states}
        return (*states, *(status for target, status in self._refused.items() if target not in known))

    def _start(self, action: Action) -> None:
        task = asyncio.create_task(self._act(action))
        self._under_way[action.target] = Work(action, task)
        task.add_done_callback(partial(self._ended, action.target))

    def _ended(self, target: Target, _: asyncio.Task[None]) -> None:
        del self._under_way[target]

    async def _act(self, action: Action) -> None:
        target = action.target
        event = log.bind(action=type(action).__name__.lower(), family=target.family, version=str(target.version), digest=target.digest)
        event.info("fleet_action_started")
        try:
            match action:
                case Load():
                    self._refused.pop(target, None)
                    reach(Failpoint.LOAD_DECIDED)
                    await self._yard.fleet.load(target)
                    reach(Failpoint.LOAD_STARTED)
                case Unload():
                    reach(Failpoint.UNLOAD_DECIDED)
                    await self._yard.fleet.unload(target)
                    reach(Failpoint.UNLOAD_STARTED)
        except Exception as error:  # noqa: BLE001 - the top of a task, whose failure is a state to show and to retry
            event.exception("fleet_action_failed")
            self._memory = self._memory.patient_with(target)
            if isinstance(action, Load):
                self._refused[target] = LoadStatus(target, LoadState.FAILED, f"{type(error).__name__}: {error}", since=self._clock.now())


def _begun(actions: Sequence[Action], states: Sequence[LoadStatus]) -> Iterator[LoadStatus]:
    known = {status.target for status in states}
    for action in actions:
        if isinstance(action, Load) and action.target not in known:
            yield LoadStatus(action.target, LoadState.LOADING)
