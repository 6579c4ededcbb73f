"""A controller that dies anywhere on the way: the next one goes on from there, and no stage is skipped, repeated or told of twice."""

from collections.abc import Iterator, Mapping, Sequence

import pytest
import structlog
from structlog.testing import capture_logs

from serving import failpoints
from serving.core.happenings import Hold, Resume
from serving.core.standing import State
from serving.failpoints import Failpoint, Injected
from serving.ports import AuditEntry
from tests.fakes.rollout_plant import POLICY, V1, V2, Plant, replays

WRITTEN = (Failpoint.COURSE_LOOKED, Failpoint.COURSE_KEPT, Failpoint.MOVE_DECIDED, Failpoint.MOVE_COMMITTED)
ONCE = (Failpoint.COURSE_OPENED, Failpoint.COURSE_HEARD)
FORWARD = [(point, 1) for point in ONCE] + [(point, turn) for point in (*WRITTEN, Failpoint.COURSE_MOVED) for turn in (1, 2, 3)]
BACK = [(point, 1) for point in (*ONCE, Failpoint.COURSE_MOVED, Failpoint.COURSE_FLIPPED)] + [
    (point, turn) for point in (*WRITTEN, Failpoint.COURSE_CHECKED) for turn in (1, 2)
]
"""Each step of the way, and the how manieth time it is reached."""


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with capture_logs():
        yield
    structlog.reset_defaults()
    failpoints.arm("")


async def survived(plant: Plant) -> bool:
    """A second, in which the controller may die; then another takes over. Whether it lived."""
    try:
        await plant.second()
    except Injected:
        failpoints.arm("")
        plant.restart()
        return False
    return True


def stages(history: Sequence[AuditEntry]) -> list[int]:
    """The stages that the rollout went through, as the audit has them."""
    ways: list[int] = []
    for entry in reversed(history):
        stands = entry.after.get("rollout")
        if isinstance(stands, Mapping) and stands["stage"] not in ways[-1:]:
            ways.append(stands["stage"])
    return ways


@pytest.mark.parametrize(("point", "turn"), FORWARD)
async def test_a_good_rollout_goes_on_where_it_was(point: Failpoint, turn: int) -> None:
    plant = Plant(seed=turn)
    await plant.begin()
    await plant.start()
    failpoints.arm(f"{point}=error@{turn}")

    deaths = 0
    for _ in range(300):
        deaths += not await survived(plant)
        if await plant.stands() is State.LIVE:
            break

    assert deaths == 1
    assert await plant.stands() is State.LIVE
    assert stages(await plant.store.history("digits", limit=1000)) == [0, 1, 2]
    await plant.second()
    assert plant.told.occasions == ["start", "stage", "stage", "live"]
    assert (await plant.record()).production == V2
    assert replays(await plant.log(), POLICY)


@pytest.mark.parametrize(("point", "turn"), BACK)
async def test_a_bad_candidate_is_rolled_back_once_and_verified(point: Failpoint, turn: int) -> None:
    plant = Plant(seed=turn)
    plant.errors[V2] = 0.5
    await plant.begin()
    await plant.start()
    failpoints.arm(f"{point}=error@{turn}")

    deaths = sum([not await survived(plant) for _ in range(60)])

    assert deaths == 1
    record = await plant.record()
    assert await plant.stands() is State.ROLLED_BACK
    assert (record.production, record.canaries, tuple(record.quarantined)) == (V1, (), (V2,))
    flips = [
        entry for entry in await plant.store.history("digits", limit=1000) if "canaries" in entry.after and entry.after["canaries"] == {}
    ]
    assert len(flips) == 1
    receipt = (await plant.underway()).rollout.receipt
    assert receipt is not None
    assert receipt.epoch == flips[0].epoch
    assert plant.told.occasions == ["start", "rollback", "verified"]
    assert replays(await plant.log(), POLICY)


async def test_what_somebody_asked_while_no_controller_was_there_is_in_the_log_of_the_next() -> None:
    plant = Plant()
    await plant.begin()
    await plant.start()
    await plant.second()
    for _ in range(3):
        await plant.ask("holds", lambda asked: Hold(asked.at, asked.by, "lunch"))
        await plant.ask("resumes", lambda asked: Resume(asked.at, asked.by))

    plant.restart()
    await plant.until_state(State.LIVE)

    log = await plant.log()
    assert sum(b'"kind":"hold"' in line for line in log) == 3
    assert replays(log, POLICY)


async def test_a_controller_that_was_followed_by_another_writes_nothing_more() -> None:
    plant = Plant()
    await plant.begin()
    await plant.start()
    await plant.second()
    old = plant.loop
    plant.restart()
    await plant.second()
    lines = await plant.log()

    plant.clock.advance(1.0)
    with pytest.raises(Exception, match="another controller leads"):
        await old.step()

    assert await plant.log() == lines


async def test_while_the_logs_cannot_be_written_nothing_moves_and_the_candidate_is_unfit() -> None:
    plant = Plant()
    await plant.begin()
    await plant.start()
    await plant.second()
    plant.written.down = "the disk is full"

    for _ in range(20):
        with pytest.raises(Exception, match="the disk is full"):
            await plant.second()

    assert plant.loop.unfit == frozenset({"digits"})
    assert await plant.weight() == 500
    plant.written.down = ""
    await plant.until_state(State.LIVE)
    assert replays(await plant.log(), POLICY)
