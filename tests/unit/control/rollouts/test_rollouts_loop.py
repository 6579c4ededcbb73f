"""A rollout from its start to its end: what is seen leads on, or back, and the decision log says why in the same bytes."""

import asyncio
from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import capture_logs

from registry_client.references import Tag
from serving.control.operations import Changed
from serving.control.rollouts.desk import Request
from serving.core.errors import StaleRevision
from serving.core.happenings import Advance, Hold, Resume, Retry, RollBack, Supersede
from serving.core.rollout import EventRefused
from serving.core.standing import State
from tests.fakes.rollout_plant import FAMILY, POLICY, V1, V2, V3, Plant, replays


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with capture_logs():
        yield
    structlog.reset_defaults()


@pytest.fixture
async def plant() -> Plant:
    plant = Plant()
    await plant.begin()
    return plant


async def test_a_good_candidate_goes_through_every_stage_and_is_live(plant: Plant) -> None:
    await plant.start()

    weights = [await plant.weight()]
    while await plant.stands() is not State.LIVE:
        await plant.second()
        if await plant.weight() != weights[-1]:
            weights.append(await plant.weight())

    assert weights == [500, 5_000, 10_000]
    assert (await plant.record()).production == V2
    assert plant.told.occasions == ["start", "stage", "stage", "live"]
    assert replays(await plant.log(), POLICY)


async def test_a_failing_candidate_is_out_within_seconds_and_the_rollback_ends_verified_with_a_receipt(plant: Plant) -> None:
    plant.errors[V2] = 0.2
    await plant.start()

    await plant.until_state(State.ROLLING_BACK, seconds=3)
    record = await plant.record()
    await plant.until_state(State.ROLLED_BACK, seconds=10)

    assert (record.production, record.canaries) == (V1, ())
    assert V2 in record.quarantined
    receipt = (await plant.underway()).rollout.receipt
    assert receipt is not None
    assert receipt.signal in {"errors", "tripwire"}
    assert receipt.flipped is not None
    assert receipt.verified is not None
    assert receipt.detected <= receipt.decided <= receipt.flipped < receipt.verified
    assert receipt.epoch is not None
    assert plant.told.occasions == ["start", "rollback", "verified"]
    assert plant.recorder.rollbacks == [(FAMILY, receipt.signal)]
    assert not any(b'"kind":"stands"' in line for line in await plant.log())
    assert replays(await plant.log(), POLICY)


async def test_a_live_version_that_turns_bad_is_taken_back_while_the_old_one_is_warm(plant: Plant) -> None:
    await plant.start()
    await plant.until_state(State.LIVE)

    plant.errors[V2] = 1.0
    await plant.until_state(State.ROLLED_BACK, seconds=20)

    assert (await plant.record()).production == V1


async def test_a_live_version_that_fails_now_and_then_is_taken_back_too(plant: Plant) -> None:
    await plant.start()
    await plant.until_state(State.LIVE)

    plant.errors[V2] = 0.1
    await plant.until_state(State.ROLLING_BACK, seconds=3)

    assert (await plant.record()).production == V1


async def test_once_the_old_version_need_not_stay_warm_the_rollout_is_left_alone(plant: Plant) -> None:
    await plant.start()
    await plant.until_state(State.LIVE)
    for _ in range(70):
        await plant.second()
    lines = len(await plant.log())

    for _ in range(20):
        await plant.second()

    assert (await plant.underway()).rollout.warm_until is None
    assert len(await plant.log()) == lines


async def test_no_data_holds_and_data_let_it_go_on(plant: Plant) -> None:
    await plant.start()
    plant.a_second = 0
    await plant.until_state(State.HELD, seconds=60)
    weight = await plant.weight()

    plant.a_second = 1000
    await plant.until_state(State.LIVE)

    assert weight == 500
    assert replays(await plant.log(), POLICY)


async def test_what_people_ask_is_done_at_once_and_written_down_by_the_controller(plant: Plant) -> None:
    await plant.start()
    await plant.second()

    await plant.ask("holds", lambda asked: Hold(asked.at, asked.by, "lunch"))
    held = await plant.stands()
    for _ in range(20):
        await plant.second()
    weight = await plant.weight()
    await plant.ask("resumes", lambda asked: Resume(asked.at, asked.by))
    await plant.until_state(State.LIVE)

    assert (held, weight) == (State.HELD, 500)
    log = await plant.log()
    assert [b'"kind":"hold"' in line for line in log].count(True) == 1
    assert [b'"kind":"resume"' in line for line in log].count(True) == 1
    assert replays(log, POLICY)


async def test_advance_goes_by_what_the_guards_said_last(plant: Plant) -> None:
    await plant.start()
    await plant.ask("holds", lambda asked: Hold(asked.at, asked.by, "lunch"))
    for _ in range(10):
        await plant.second()

    await plant.ask("advances", lambda asked: Advance(asked.at, asked.by, assessment=asked.assessment))

    assert await plant.weight() == 5_000
    await plant.second()
    assert replays(await plant.log(), POLICY)


HASTY = POLICY.replace(b"need: {time: 5s, safe: [errors]}", b"need: {safe: [errors]}")


def advance(asked: Request) -> Advance:
    return Advance(asked.at, asked.by, assessment=asked.assessment)


async def test_nobody_advances_by_what_was_seen_in_the_stage_before() -> None:
    plant = Plant(HASTY)
    await plant.begin()
    await plant.start()
    await plant.until_state(State.RAMPING)
    while await plant.weight() == 500:
        await plant.second()
    before = await plant.rollouts.progress()

    assert before[FAMILY].assessment.units > 0  # of the stage that is over
    with pytest.raises(EventRefused, match="its guards have not looked since the stage began"):
        await plant.ask("advances", advance)
    assert await plant.weight() == 5_000


async def test_of_two_who_advance_at_once_one_does_and_the_other_learns_why() -> None:
    plant = Plant(HASTY)
    await plant.begin()
    await plant.start()
    await plant.ask("holds", lambda asked: Hold(asked.at, asked.by, "lunch"))
    for _ in range(10):
        await plant.second()

    outcomes = await asyncio.gather(plant.ask("advances", advance), plant.ask("advances", advance, by="grace"), return_exceptions=True)

    assert sum(isinstance(outcome, Changed) for outcome in outcomes) == 1
    assert any(isinstance(outcome, EventRefused | StaleRevision) for outcome in outcomes)
    assert await plant.weight() == 5_000


async def test_nobody_advances_by_what_was_seen_before_everybody_stopped_looking(plant: Plant) -> None:
    await plant.start()
    await plant.ask("holds", lambda asked: Hold(asked.at, asked.by, "lunch"))
    for _ in range(10):
        await plant.second()

    plant.clock.advance(3600.0)  # no controller, no report

    with pytest.raises(EventRefused, match=r"its guards last looked 1 h\b.* ago"):
        await plant.ask("advances", advance)
    assert await plant.weight() == 500


async def test_who_goes_back_or_stands_still_is_not_sent_away_because_somebody_else_was_first(plant: Plant) -> None:
    await plant.start()
    await plant.second()
    plant.state.before_commit.append(lambda: plant.operations.tag(FAMILY, V3, Tag.STAGING, plant.author("grace")))

    await plant.desk.insist(FAMILY, "rolls back", lambda asked: RollBack(asked.at, asked.by, "INC-9"), plant.author())

    assert await plant.weight() == 0
    assert (await plant.record()).staging == V3


async def test_a_rollback_needs_no_controller(plant: Plant) -> None:
    await plant.start()

    await plant.ask("rolls back", lambda asked: RollBack(asked.at, asked.by, "it answers 7"))

    assert await plant.weight() == 0
    await plant.until_state(State.ROLLED_BACK, seconds=20)
    assert replays(await plant.log(), POLICY)


async def test_a_plain_rollback_by_hand_ends_in_a_verified_receipt_too(plant: Plant) -> None:
    await plant.start()
    await plant.second()

    changed = await plant.operations.rollback(FAMILY, plant.author("grace", "INC-7"))
    await plant.until_state(State.ROLLED_BACK, seconds=20)

    receipt = (await plant.underway()).rollout.receipt
    assert receipt is not None
    assert (receipt.actor, receipt.reason, receipt.epoch) == ("grace", "INC-7", changed.commit.epoch)
    assert "rollback" in plant.told.occasions


async def test_a_rollback_that_is_not_verified_in_time_pages_once_and_goes_on_being_checked(plant: Plant) -> None:
    plant.errors[V2] = 1.0
    await plant.start()
    await plant.until_state(State.ROLLING_BACK, seconds=5)
    plant.errors[V1] = 0.5  # production does not recover

    for _ in range(120):
        await plant.second()

    assert await plant.stands() is State.ROLLING_BACK
    assert plant.told.occasions.count("page") == 1
    plant.errors[V1] = 0.0
    await plant.ask("retries", lambda asked: Retry(asked.at, asked.by))
    await plant.until_state(State.ROLLED_BACK, seconds=60)
    assert replays(await plant.log(), POLICY)


async def test_a_superseded_rollout_is_out_of_traffic_and_its_log_is_closed(plant: Plant) -> None:
    await plant.start()
    await plant.second()
    await plant.ask("gives way", lambda asked: Supersede(asked.at, asked.by, "1.2.0"))
    await plant.second()

    assert await plant.weight() == 0
    assert (await plant.underway()).asked == ()
    assert (await plant.record()).quarantined == {}
    await plant.start(V3)
    assert await plant.weight(V3) == 500


async def test_edges_are_pinned_once_production_was_seen_enough_and_latency_is_judged_by_them() -> None:
    timed = POLICY.replace(b"deadline:", b"  - {id: p50, metric: latency, quantile: 0.5, worse: {ratio: 2.0}, on: {harm: hold}}\ndeadline:")
    plant = Plant(timed)
    await plant.begin()
    await plant.start()

    for _ in range(3):
        await plant.second()

    edges = (await plant.underway()).edges
    assert len(edges) == 2
    assert edges[1] == pytest.approx(2 * edges[0])
    assert edges[0] == pytest.approx(0.01, rel=0.05)
    await plant.until_state(State.RAMPING)
    assert replays(await plant.log(), timed)
