"""The overrides that a gateway carries out: from when they are found to when the store says the same."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from registry_client.versions import ModelVersion
from serving.core.audit import GENESIS
from serving.core.lifecycle import FamilyRecord
from serving.core.overrides import Clearing, Ending, Override, Settlement
from serving.gateway.overriding import OverridesInForce
from serving.ports import Mark, Placed
from serving.stores.override_files import OverrideFiles
from tests.fakes.node import NodeFiles

V1, V2 = ModelVersion.parse("1.0.0"), ModelVersion.parse("1.1.0")
AT = datetime(2030, 1, 1, tzinfo=UTC)
OVERRIDE = Override("override-1", "digits", V1, (V2,), "ada", "errors", AT, epoch=4)
RECORD = FamilyRecord("digits", 7, {V1: "a" * 64, V2: "b" * 64}, V2, None, (V1,))


@dataclass
class Bench:
    """What a gateway does on a node's files."""

    node: NodeFiles
    epoch: int = 4
    events: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.in_force = OverridesInForce(self.node.overrides, self.node.recorder)

    async def look(self, record: FamilyRecord = RECORD) -> ModelVersion | None:
        """Look twice, as a gateway would in a tenth of a second; the version in production then."""
        with capture_logs() as logs:
            for _ in range(2):
                await self.in_force.look()
            enforced = self.in_force.carry_out([record], Mark(1, self.epoch, GENESIS))
        self.events += [str(entry["event"]) for entry in logs]
        return enforced.records["digits"].production

    def place(self, override: Override = OVERRIDE) -> Path:
        return self.node.overrides.place(override, self.node.credential)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(NodeFiles(tmp_path))


async def test_it_is_found_carried_out_and_told_of_once(bench: Bench) -> None:
    before = await bench.look()
    bench.place()

    assert (before, await bench.look(), await bench.look()) == (V2, V1, V1)
    assert bench.events == ["override_in_force"]
    assert bench.node.recorder.families == [frozenset({"digits"})]


async def test_a_look_that_finds_nothing_new_says_so(bench: Bench) -> None:
    first = await bench.in_force.look()
    bench.place()
    found = [await bench.in_force.look() for _ in range(3)]

    assert (first, found) == (False, [True, False, False])


async def test_two_changes_within_one_tick_of_the_clock_are_both_found(bench: Bench) -> None:
    class Coarse(OverrideFiles):
        def stamp(self) -> int:
            return 1

    coarse = OverridesInForce(Coarse(bench.node.key.parent / "override", bench.node.key), bench.node.recorder)
    bench.place()
    await coarse.look()
    bench.place(replace(OVERRIDE, operation_id="override-2"))

    assert await coarse.look()


async def test_settled_it_holds_until_the_routes_say_so_themselves(bench: Bench) -> None:
    # given
    bench.place()
    await bench.look()

    # when
    bench.node.overrides.settle("override-1", Settlement(Ending.RECONCILED, 1, 5))
    held = await bench.look()
    bench.epoch = 5
    late = await bench.look()

    # then
    assert (held, late) == (V1, V2)
    assert bench.events == ["override_in_force", "override_settled"]
    assert bench.node.recorder.families == [frozenset({"digits"}), frozenset()]


async def test_taken_back_it_ends_at_once(bench: Bench) -> None:
    bench.place()
    await bench.look()
    bench.node.overrides.clear(Clearing("override-1", "bob", "wrong family", AT + timedelta(1)), bench.node.credential)

    assert await bench.look() == V2
    assert bench.events == ["override_in_force", "override_cleared"]


async def test_a_cleared_one_that_is_settled_does_not_come_back(bench: Bench) -> None:
    bench.place()
    await bench.look()
    bench.node.overrides.clear(Clearing("override-1", "bob", "wrong family", AT + timedelta(1)), bench.node.credential)
    bench.node.overrides.settle("override-1", Settlement(Ending.CLEARED, 1, 9))

    assert await bench.look() == V2


async def test_one_whose_file_is_removed_by_hand_ends_and_is_told_of(bench: Bench) -> None:
    path = bench.place()
    await bench.look()
    path.unlink()

    assert await bench.look() == V2
    assert bench.events[-1] == "override_vanished"


async def test_what_was_believed_stays_though_its_file_is_spoilt(bench: Bench) -> None:
    path = bench.place()
    await bench.look()
    path.write_bytes(b"scribble")

    (bench.node.key.parent / "override" / "touch").touch()
    assert await bench.look() == V1
    assert bench.events == ["override_in_force", "override_refused"]


async def test_what_was_never_believed_does_nothing_and_is_told_of_once(bench: Bench) -> None:
    bench.place().chmod(0o666)

    assert (await bench.look(), await bench.look()) == (V2, V2)
    assert bench.events == ["override_refused"]


async def test_a_directory_that_cannot_be_read_changes_nothing_and_is_tried_again(bench: Bench) -> None:
    class Failing(OverrideFiles):
        fails = False

        def read(self) -> Placed:
            if self.fails:
                raise OSError(24, "Too many open files")
            return super().read()

    files = Failing(bench.node.key.parent / "override", bench.node.key)
    bench.in_force = OverridesInForce(files, bench.node.recorder)
    bench.place()
    await bench.look()
    files.fails = True
    (bench.node.key.parent / "override" / "touch").touch()
    failing = await bench.look()
    files.fails = False

    assert (failing, await bench.look()) == (V1, V1)
    assert bench.events == ["override_in_force", "override_refused"]


async def test_one_that_cannot_be_carried_out_is_told_of_once(bench: Bench) -> None:
    bench.place()
    alone = replace(RECORD, previous=())

    assert (await bench.look(alone), await bench.look(alone)) == (V2, V2)
    assert bench.events == ["override_impossible"]
