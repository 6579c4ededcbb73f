"""Renewals of leases: every third of each, as long as it is by whatever put the candidate there."""

from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest

from registry_client.versions import ModelVersion
from serving.control.leases import Leases
from serving.control.records import Records
from serving.core.audit import NOTHING_SEEN
from serving.core.lifecycle import Canary, FamilyRecord
from serving.core.policy import GuardPolicy
from serving.core.standing import Rollout, State
from serving.core.traffic import End, Slice
from serving.core.underway import Terms, Underway
from serving.ports import GatewayReport, Transition
from tests.fakes.clock import FakeClock
from tests.fakes.observations import FakeObservations
from tests.fakes.store import FakeStore

V1, V2 = ModelVersion.parse("1.0.0"), ModelVersion.parse("1.1.0")
SPLIT = FamilyRecord("digits", 1, {V1: "a" * 64, V2: "b" * 64}, production=V1, canaries=(Canary(V2, Slice(End.LOW, 500)),))
_numbers = count()


class Leads:
    """A controller that leads."""

    is_held = True


class World:
    """Leases over a store in memory; a look each second."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = FakeStore(self.clock)
        self.records = Records(self.store)
        self.observations = FakeObservations(self.clock)
        self.leases = Leases(self.records, self.store, self.observations, Leads(), self.clock, GuardPolicy(lease_seconds=15.0))

    async def commit(self, record: FamilyRecord) -> None:
        await self.store.commit(
            Transition(
                record=record,
                expected_revision=record.revision - 1,
                actor="test",
                action="test",
                reason="",
                before={},
                after={},
                operation_id=f"op-{next(_numbers)}",
                at=self.clock.now(),
                seen=NOTHING_SEEN,
            )
        )

    async def beats_in(self, seconds: int) -> int:
        """How often the lease is renewed in so many seconds."""
        for _ in range(seconds):
            self.observations.hear(GatewayReport("g1", 1.0, ()))
            await self.records.refresh()
            await self.leases.step(())
            self.clock.advance(1.0)
        return self.store.state.beats["digits"]


def by_a_rollout(lease: int, state: State) -> FamilyRecord:
    rollout = Rollout("digits", str(V2), "b" * 64, "p" * 64, "ada", state=state, stage=1)
    underway = Underway("digits-1.1.0-1", rollout, "{}", FakeClock().now(), Terms(lease=timedelta(seconds=lease)))
    return replace(SPLIT, rollout=underway)


@pytest.mark.parametrize(
    ("record", "beats"),
    [
        (SPLIT, 6),
        (by_a_rollout(6, State.RAMPING), 15),
        (by_a_rollout(60, State.RAMPING), 2),
        (by_a_rollout(60, State.HELD), 2),
        (by_a_rollout(60, State.ROLLED_BACK), 6),
    ],
    ids=["by hand", "a short one", "a long one", "held", "by hand after a rollout"],
)
async def test_a_lease_is_renewed_every_third_of_it_by_the_policy_of_the_rollout_that_is_afoot(record: FamilyRecord, beats: int) -> None:
    world = World()
    await world.commit(record)

    assert await world.beats_in(30) == beats
