"""Writing overrides to the store: once each, and none dropped in silence."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from registry_client.versions import ModelVersion
from serving.control.overriding import Reconciliation
from serving.core.audit import NOTHING_SEEN, verify_chain
from serving.core.errors import StoreUnavailable
from serving.core.lifecycle import FamilyRecord
from serving.core.overrides import Clearing, Ending, Override, Settlement
from serving.failpoints import Injected, arm
from serving.ports import Transition
from tests.fakes.clock import FakeClock
from tests.fakes.node import NodeFiles
from tests.fakes.store import FakeStore

V1, V2, V3 = (ModelVersion.parse(text) for text in ("1.0.0", "1.1.0", "1.2.0"))
AT = datetime(2030, 1, 1, tzinfo=UTC)
OVERRIDE = Override("override-1", "digits", V1, (V2,), "ada", "errors", AT, epoch=1)
RECORD = FamilyRecord("digits", 1, {V1: "a" * 64, V2: "b" * 64, V3: "c" * 64}, V2, None, (V1,))


class World:
    """A store that holds digits 1.1.0, with 1.0.0 before it, and a node with overrides."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.clock.advance(1)  # what is placed here has lain long enough
        self.store = FakeStore(self.clock)
        self.node = NodeFiles(folder)
        self.reconciliation = self.another()

    def another(self) -> Reconciliation:
        return Reconciliation(self.node.overrides, self.store, self.node.snapshots, self.clock)

    async def write(self, record: FamilyRecord) -> None:
        await self.store.commit(
            Transition(
                record=record,
                expected_revision=record.revision - 1,
                actor="bob",
                action="test",
                reason="",
                before={},
                after={},
                operation_id=f"op-{record.family}-{record.revision}",
                at=AT,
                seen=NOTHING_SEEN,
            )
        )

    def place(self, override: Override = OVERRIDE) -> None:
        self.node.overrides.place(override, self.node.credential)

    async def record(self) -> FamilyRecord:
        return (await self.store.snapshot()).families["digits"]

    @property
    def ending(self) -> Ending | None:
        settlement = self.node.overrides.settlement("override-1")
        return None if settlement is None else settlement.ending


@pytest.fixture
async def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    await world.write(RECORD)
    return world


async def test_an_override_is_committed_once_under_its_own_id_and_put_away(world: World) -> None:
    # given
    world.place()

    # when
    for _ in range(3):
        await world.reconciliation.step()

    # then
    entry = world.store.state.audit[-1]
    assert (entry.operation_id, entry.actor, entry.reason, entry.signal) == ("override-1", "ada", "errors", "override")
    assert (entry.action, entry.before["production"], entry.after["production"]) == ("rollback to 1.0.0", "1.1.0", "1.0.0")
    assert [each.epoch for each in world.store.state.audit] == [1, 2]
    record = await world.record()
    assert (record.production, record.quarantined) == (V1, {V2: "errors"})
    assert world.node.overrides.read().standing == ()
    assert world.node.overrides.settlement("override-1") == Settlement(Ending.RECONCILED, 1, 2)
    assert verify_chain(world.store.state.audit).holds


async def test_what_the_store_says_now_is_kept_before_the_file_is_put_away(world: World) -> None:
    world.place()

    await world.reconciliation.step()

    assert world.node.snapshots.mark() == world.store.state.mark


async def test_it_is_written_at_once_and_lies_until_every_gateway_has_had_the_time_to_read_it(world: World) -> None:
    # given
    fresh = replace(OVERRIDE, at=world.clock.now())
    world.place(fresh)

    # when
    await world.reconciliation.step()
    written, standing = (await world.record()).production, world.node.overrides.read().standing
    world.clock.advance(1)
    await world.reconciliation.step()

    # then
    assert (written, standing) == (V1, (fresh,))
    assert world.ending is Ending.RECONCILED
    assert world.node.overrides.read().standing == ()
    assert [entry.operation_id for entry in world.store.state.audit].count("override-1") == 1


async def test_while_the_store_is_away_it_stands(world: World) -> None:
    world.place()
    world.store.state.down = "gone"

    with pytest.raises(StoreUnavailable):
        await world.reconciliation.step()
    standing = world.node.overrides.read().standing
    world.store.state.down = ""
    await world.reconciliation.step()

    assert standing == (OVERRIDE,)
    assert world.ending is Ending.RECONCILED


async def test_a_lost_answer_does_not_roll_back_twice(world: World) -> None:
    await world.write(replace(RECORD, revision=2, production=V3, previous=(V2, V1)))
    world.place(replace(OVERRIDE, target=V2, condemned=(V3,)))
    world.store.state.answers_to_lose = 1

    with pytest.raises(StoreUnavailable):
        await world.reconciliation.step()
    await world.reconciliation.step()

    assert (await world.record()).production == V2
    assert [entry.operation_id for entry in world.store.state.audit].count("override-1") == 1
    assert world.ending is Ending.RECONCILED


async def test_a_family_that_was_changed_meanwhile_still_loses_the_condemned_version(world: World) -> None:
    world.place()
    await world.write(replace(RECORD, revision=2, candidate=V3))

    await world.reconciliation.step()

    record = await world.record()
    assert (record.production, record.candidate) == (V1, V3)


async def test_a_change_that_slips_in_between_is_read_again(world: World) -> None:
    world.place()

    async def meanwhile() -> None:
        await world.write(replace(RECORD, revision=2, candidate=V3))

    world.store.state.before_commit.append(meanwhile)
    await world.reconciliation.step()

    record = await world.record()
    assert (record.production, record.candidate, record.revision) == (V1, V3, 3)


@pytest.mark.parametrize(
    ("now", "ending", "action"),
    [
        (
            replace(RECORD, revision=2, production=V3, previous=(V1,)),
            Ending.SUPERSEDED,
            "override superseded: digits: 1.0.0 instead of 1.1.0",
        ),
        (replace(RECORD, revision=2, previous=()), Ending.IMPOSSIBLE, "override impossible: digits: 1.0.0 instead of 1.1.0"),
    ],
)
async def test_one_that_cannot_or_need_not_be_written_is_audited_and_changes_nothing(
    world: World, now: FamilyRecord, ending: Ending, action: str
) -> None:
    # given
    world.place()
    await world.write(now)

    # when
    await world.reconciliation.step()

    # then
    entry = world.store.state.audit[-1]
    assert (entry.action, entry.operation_id, entry.actor, entry.before) == (action, "override-1", "ada", {})
    assert await world.record() == replace(now, revision=3)
    assert world.ending is ending


async def test_one_that_was_taken_back_is_audited_as_that(world: World) -> None:
    world.place()
    world.node.overrides.clear(Clearing("override-1", "bob", "it was the data", AT + timedelta(hours=1)), world.node.credential)

    await world.reconciliation.step()

    entry = world.store.state.audit[-1]
    assert (entry.actor, entry.reason) == ("bob", "it was the data")
    assert entry.action.startswith("override cleared")
    assert (await world.record()).production == V2
    assert world.ending is Ending.CLEARED


async def test_taking_back_what_has_ended_comes_too_late_and_is_put_away(world: World) -> None:
    # given
    world.place()
    await world.reconciliation.step()

    # when
    world.node.overrides.clear(Clearing("override-1", "bob", "it was the data", AT + timedelta(hours=1)), world.node.credential)
    with capture_logs() as logs:
        await world.reconciliation.step()

    # then
    assert [entry["event"] for entry in logs] == ["override_cleared_too_late"]
    assert world.node.overrides.read().clearings == {}
    assert (world.ending, (await world.record()).production) == (Ending.RECONCILED, V1)


async def test_one_of_a_family_that_the_store_does_not_know_is_put_away_with_a_line_in_the_log(world: World) -> None:
    world.place(replace(OVERRIDE, family="zebra"))

    with capture_logs() as logs:
        await world.reconciliation.step()

    assert logs[0]["event"] == "override_family_gone"
    assert world.ending is Ending.SUPERSEDED


async def test_a_record_that_cannot_be_believed_leaves_it_standing_and_does_not_hold_up_the_others(world: World) -> None:
    # given
    await world.write(replace(RECORD, family="other"))
    world.place()
    world.place(replace(OVERRIDE, operation_id="override-2", family="other"))
    world.store.state.documents["digits"] = b"{}"

    # when
    with capture_logs() as logs:
        await world.reconciliation.step()
        await world.reconciliation.step()

    # then
    assert [entry["event"] for entry in logs].count("override_not_reconciled") == 1
    assert world.node.overrides.read().standing == (OVERRIDE,)
    assert world.node.overrides.settlement("override-2") is not None


async def test_several_at_once_write_it_once(world: World) -> None:
    world.place()
    others = [world.another() for _ in range(4)]

    await asyncio.gather(*(each.step() for each in others))

    assert [entry.operation_id for entry in world.store.state.audit].count("override-1") == 1
    assert world.ending is Ending.RECONCILED


async def test_one_that_finds_the_rollback_made_already_does_not_call_it_superseded(world: World) -> None:
    # given two that have both seen the override unwritten
    world.place()
    other = world.another()
    world.store.state.before_commit.append(other.step)

    # when one writes it in between the other's look and its commit
    await world.reconciliation.step()

    # then
    assert [entry.action for entry in world.store.state.audit if entry.operation_id == "override-1"] == ["rollback to 1.0.0"]
    assert world.ending is Ending.RECONCILED


@pytest.mark.parametrize("point", ["override.reconciling", "override.committed", "snapshot.written", "snapshot.renamed"])
async def test_broken_off_at_any_step_it_goes_on_where_it_was(world: World, point: str) -> None:
    # given
    world.place()
    arm(f"{point}=error")

    # when
    with pytest.raises(Injected):
        await world.reconciliation.step()
    arm("")
    await world.another().step()

    # then
    assert [entry.operation_id for entry in world.store.state.audit].count("override-1") == 1
    assert world.ending is Ending.RECONCILED
    assert world.node.overrides.read().standing == ()
