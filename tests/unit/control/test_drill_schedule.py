from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from registry_client.versions import ModelVersion
from serving.control import rehearsing
from serving.control.drill_schedule import DrillSchedule, ScheduleParts, Traffic
from serving.control.operations import Author, Operations
from serving.control.policies.holding import HeldPolicies
from serving.control.policies.home import PolicyHome
from serving.control.practising import PATIENCE, Drills, Means
from serving.control.records import Records
from serving.control.seen import SeenStore
from serving.control.verification import Verification
from serving.core.drilling import BeginDrill
from serving.core.lifecycle import FamilyRecord
from serving.core.routing import Arm, Target
from serving.ports import ArmCounts, GatewayReport
from tests.fakes.admin import AdminWorld
from tests.fakes.clock import START
from tests.fakes.following import FollowedStore
from tests.fakes.observations import FakeObservations
from tests.fakes.registry import digest_of
from tests.fakes.rollout_world import ROOT

V1, V2 = ModelVersion.parse("1.0.0"), ModelVersion.parse("2.0.0")
ADA = Author("ada", "", "")
CAREFUL = (ROOT / "configs" / "policies" / "careful.yaml").read_text()
IN_THE_WINDOW = timedelta(days=1, hours=12, minutes=30)
"""From the clock's start, a Tuesday, to Wednesday half past noon."""


class Plant:
    """2.0.0 is in production, a MAJOR step from 1.0.0, and the family's own policy has drills on Wednesdays at noon."""

    def __init__(self, folder: Path, window: str = 'window: "Wed 12:00-13:00", ') -> None:
        (folder / "families").mkdir()
        (folder / "families" / "digits.yaml").write_text(CAREFUL.replace("drill: {", f"drill: {{{window}"))
        self.world = AdminWorld(store=FollowedStore)
        self.world.registry.publish("digits", "2.0.0")
        self.world.runs("1.0.0", "2.0.0")
        world = self.world
        self.operations = Operations(SeenStore(world.store, world.kept), world.store, world.store, world.registry, world.clock)
        proves = Verification(world.store, world.store, world.registry, world.public, world.clock)
        self.observations = FakeObservations(world.clock)
        self.policies = HeldPolicies(PolicyHome(folder))
        self.drills = Drills(Means(self.operations, proves, world.clock))
        means = rehearsing.Means(self.operations, world.store, self.policies, world.registry, world.public, world.clock)
        self.rehearsing = rehearsing.Rehearsing(means)
        self.schedule = self.new_schedule()

    def new_schedule(self) -> DrillSchedule:
        parts = ScheduleParts(Records(self.world.store), self.observations, self.world.profiles, self.policies, self.world.clock)
        return DrillSchedule(parts, self.drills, self.rehearsing)

    async def set_up(self) -> None:
        for version in (V1, V2):
            await self.operations.promote("digits", version, replace(ADA, operation_id=f"promote-{version}"))

    async def at(self, span: timedelta, requests: int | None = None) -> FamilyRecord:
        """The family after a look so long after the start, a gateway having said how many requests it has answered."""
        now = self.world.clock.now()
        self.world.clock.advance((START + span - now).total_seconds())  # type: ignore[attr-defined] # a fake clock
        if requests is not None:
            self.observations.hear(report(requests))
        await self.schedule.step()
        return await self.record()

    async def minutes_from(self, span: timedelta, minutes: int = 5) -> FamilyRecord:
        """The family after a look in each of some minutes from then on."""
        for minute in range(minutes):
            await self.at(span + timedelta(minutes=minute))
        return await self.record()

    async def record(self) -> FamilyRecord:
        return (await self.world.store.snapshot()).families["digits"]


@pytest.fixture
async def plant(tmp_path: Path) -> Plant:
    plant = Plant(tmp_path)
    await plant.set_up()
    return plant


async def test_a_drill_that_is_due_is_held_in_its_window_and_once(plant: Plant) -> None:
    before = await plant.at(timedelta(hours=1))
    held = await plant.at(IN_THE_WINDOW)
    after = await plant.at(IN_THE_WINDOW + timedelta(minutes=10))

    assert before.drills == ()
    [result] = held.drills
    assert result.passed, result.failure
    assert result.receipt.actor == "auto"
    assert "MAJOR" in result.receipt.reason
    assert after.drills == held.drills
    assert after.production == V2


async def test_one_that_failed_is_held_again_in_the_next_days_and_not_in_the_same_hour(plant: Plant) -> None:
    plant.world.store.follows = False  # type: ignore[attr-defined] # a FollowedStore
    failed = await plant.at(IN_THE_WINDOW)
    plant.world.store.follows = True  # type: ignore[attr-defined] # a FollowedStore
    soon = await plant.at(IN_THE_WINDOW + timedelta(minutes=10))
    again = await plant.at(IN_THE_WINDOW + timedelta(days=7))

    assert [one.passed for one in failed.drills] == [False]
    assert soon.drills == failed.drills
    assert [one.passed for one in again.drills] == [True, False]


REHEARSED = 'window: "Wed 12:00-13:00", inject: [slow, errors], '


async def test_rehearsals_that_the_policy_asks_for_are_held_in_the_window_after_the_drill_one_at_a_look(tmp_path: Path) -> None:
    plant = Plant(tmp_path, REHEARSED)
    await plant.set_up()

    before = await plant.at(timedelta(hours=1))
    after = await plant.minutes_from(IN_THE_WINDOW)

    assert before.drills == ()
    assert [one.injected for one in reversed(after.drills)] == ["", "slow", "errors"]
    slow = after.drills[1]
    assert (slow.receipt.actor, slow.receipt.reason) == ("auto", "the policy has slow answers rehearsed")
    assert "nothing was answered on its route" in slow.failure, "no gateway serves it here"
    assert after.rehearsal is None


async def test_a_rehearsal_that_failed_rests_for_the_day_and_is_held_again_in_the_next_window(tmp_path: Path) -> None:
    plant = Plant(tmp_path, REHEARSED)
    await plant.set_up()
    first = await plant.minutes_from(IN_THE_WINDOW)
    again = await plant.minutes_from(IN_THE_WINDOW + timedelta(days=7))

    assert len(first.drills) == 3
    assert [one.injected for one in again.drills[: len(again.drills) - len(first.drills)]] == ["errors", "slow"]


async def test_what_its_guards_could_not_see_is_refused_and_nothing_else_waits_for_it(tmp_path: Path) -> None:
    plant = Plant(tmp_path, REHEARSED)
    own = tmp_path / "families" / "digits.yaml"
    kept = [line for line in own.read_text().splitlines(keepends=True) if "metric: latency" not in line]
    own.write_text("".join(kept).replace(", p50, p99", ""))
    await plant.set_up()

    after = await plant.minutes_from(IN_THE_WINDOW)

    assert [one.injected for one in reversed(after.drills)] == ["", "errors"]


async def test_nothing_is_drilled_while_a_canary_runs(plant: Plant) -> None:
    canary = replace(ADA, operation_id="canary")
    plant.world.runs("1.1.0")
    await plant.operations.canary("digits", ModelVersion.parse("1.1.0"), 500, canary)

    assert (await plant.at(IN_THE_WINDOW)).drills == ()


async def test_a_drill_that_somebody_left_behind_is_ended_when_its_time_is_over(plant: Plant) -> None:
    now = plant.world.clock.now()
    await plant.operations.drill("digits", BeginDrill("op-1", now, now + PATIENCE), replace(ADA, operation_id="op-1"))

    early = await plant.at(timedelta(seconds=20))
    late = await plant.at(timedelta(seconds=200))

    assert early.drill is not None
    assert (late.drill, late.production) == (None, V2)
    assert "interrupted" in late.drills[0].failure


async def test_where_nobody_knows_when_there_is_the_least_traffic_none_is_held(tmp_path: Path) -> None:
    plant = Plant(tmp_path, window="")
    await plant.set_up()

    assert (await plant.at(IN_THE_WINDOW)).drills == ()


async def test_without_a_window_it_is_held_in_the_hour_that_was_the_quietest(tmp_path: Path) -> None:
    plant = Plant(tmp_path, window="")
    await plant.set_up()
    total = 0
    for hour in range(27):
        total += 10 if hour == 4 else 1000
        record = await plant.at(timedelta(hours=hour + 1, minutes=1), total)
        assert record.drills == ()

    held = await plant.at(timedelta(days=1, hours=5, minutes=20))

    assert [one.passed for one in held.drills] == [True]


async def test_what_was_learnt_is_kept_for_whoever_leads_next(tmp_path: Path) -> None:
    plant = Plant(tmp_path, window="")
    await plant.set_up()
    for hour in range(27):
        await plant.at(timedelta(hours=hour + 1, minutes=1), 1000 * hour)

    plant.schedule = plant.new_schedule()
    await plant.at(timedelta(hours=28))

    known = plant.world.profiles.known["digits"]
    assert sum(value is not None for value in known.hours) >= 24


async def test_a_policy_file_that_is_broken_stops_no_other_work(plant: Plant, tmp_path: Path) -> None:
    (tmp_path / "families" / "digits.yaml").write_text("policy: nonsense")

    assert (await plant.at(IN_THE_WINDOW)).drills == ()


def report(requests: int, *, started: float = 1.0, gateway: str = "g1", arm: Arm = Arm.PRODUCTION) -> GatewayReport:
    target = Target("digits", V2, digest_of("digits", "2.0.0"))
    return GatewayReport(gateway, started, (ArmCounts(target, arm, requests, {}, 0),))


def test_traffic_is_what_came_since_the_last_look_and_a_restart_is_no_traffic() -> None:
    traffic = Traffic()

    seen = [
        traffic.since([report(one)]) if started is None else traffic.since([report(one, started=started)])
        for one, started in [(1000, None), (1200, None), (1200, None), (50, 2.0), (80, 2.0)]
    ]

    assert seen == [{}, {"digits": 200}, {"digits": 0}, {}, {"digits": 30}]


def test_copies_are_no_traffic() -> None:
    traffic = Traffic()
    traffic.since([report(0, arm=Arm.SHADOW)])

    assert traffic.since([report(100, arm=Arm.SHADOW)]) == {}
