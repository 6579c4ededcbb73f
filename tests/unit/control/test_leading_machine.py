"""Two controllers, held up for as long as it pleases, over clocks that jump: only the newest leader's decisions are ever taken."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from serving.control.leading import Lead
from serving.core.errors import NotLeader, StoreUnavailable
from serving.core.lifecycle import FamilyRecord
from serving.ports import Transition
from tests.fakes.clock import FakeClock
from tests.fakes.store import FakeState, FakeStore

LEASE = 3.0
NAMES = ("one", "other")

names = st.sampled_from(NAMES)
seconds = st.sampled_from((0.1, 0.5, 1.0, 2.9, 3.0, 10.0))


@dataclass
class Controller:
    """What one process believes, and the decision that it is about to commit, if it was held up on the way."""

    clock: FakeClock
    store: FakeStore
    lead: Lead
    decisions: list[Transition] = field(default_factory=list[Transition])


class TwoControllers(RuleBasedStateMachine):
    """Time passes for all alike; the store's clock may jump on top, and a decision may be committed at any later time."""

    def __init__(self) -> None:
        super().__init__()
        self.state, self.store_clock = FakeState(), FakeClock()
        self.controllers = {name: self._controller(name) for name in NAMES}
        self.has_jumped = False
        self.granted = 0
        """The newest token that any of them was given."""
        self.taken: list[int] = []
        """The tokens of the decisions that the store took."""
        self.ids = count()

    def _controller(self, name: str) -> Controller:
        clock, store = FakeClock(), FakeStore(self.store_clock, self.state)
        return Controller(clock, store, Lead(store, name, clock, LEASE))

    @rule(dt=seconds)
    def pass_time(self, dt: float) -> None:
        self.store_clock.advance(dt)
        for controller in self.controllers.values():
            controller.clock.advance(dt)

    @rule(dt=seconds)
    def jump_store_clock(self, dt: float) -> None:
        self.store_clock.advance(dt)
        self.has_jumped = True

    @rule(name=names, dt=st.sampled_from((-86_400.0, -60.0, 60.0, 86_400.0)))
    def set_wall_clock(self, name: str, dt: float) -> None:
        self.controllers[name].clock.set_back(dt)

    @rule(name=names)
    def ask(self, name: str) -> None:
        lead = self.controllers[name].lead
        with suppress(StoreUnavailable):
            asyncio.run(lead.ask())
        self.granted = max(self.granted, lead.term or 0)

    @rule(name=names)
    def resign(self, name: str) -> None:
        asyncio.run(self.controllers[name].lead.resign())

    @rule(down=st.booleans())
    def cut_the_store(self, down: bool) -> None:  # noqa: FBT001 - hypothesis gives it
        self.state.down = "a test said so" if down else ""

    @precondition(lambda self: not self.state.down)
    @rule(name=names)
    def decide(self, name: str) -> None:
        """Decide something as the leader, and be held up before it is committed."""
        controller = self.controllers[name]
        if controller.lead.is_held:
            controller.decisions.append(asyncio.run(self._transition(controller, f"digits-{next(self.ids)}")))

    async def _transition(self, controller: Controller, family: str) -> Transition:
        seen = (await controller.store.snapshot()).mark
        return Transition(
            record=FamilyRecord(family, revision=1),
            expected_revision=0,
            actor="auto",
            action="test",
            reason="",
            before={},
            after={},
            operation_id=family,
            at=controller.clock.now(),
            seen=seen,
            leader=controller.lead.token(),
        )

    @rule(name=names)
    def commit(self, name: str) -> None:
        controller = self.controllers[name]
        for decision in controller.decisions:
            asyncio.run(self._commit(controller, decision))
        controller.decisions.clear()

    async def _commit(self, controller: Controller, decision: Transition) -> None:
        token = decision.leader or 0
        try:
            await controller.store.commit(decision)
        except NotLeader:
            assert token < self.granted
        except StoreUnavailable:
            assert self.state.down
        else:
            assert token == self.granted
            self.taken.append(token)

    @invariant()
    def decisions_of_a_deposed_leader_are_never_taken_after_those_of_its_successor(self) -> None:
        assert self.taken == sorted(self.taken)

    @invariant()
    def at_most_one_believes_that_it_leads_under_the_newest_token(self) -> None:
        leading = [controller.lead for controller in self.controllers.values() if controller.lead.is_held]
        assert len([lead for lead in leading if lead.term == self.granted]) <= 1
        if not self.has_jumped:
            assert len(leading) <= 1


TestTwoControllers = TwoControllers.TestCase
TestTwoControllers.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
