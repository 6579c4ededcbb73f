"""A gateway's report that does not count: the rollout holds for it, and everybody is told which gateway it is and why."""

from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import capture_logs

from serving.core.standing import State
from serving.core.totals import Fault, Report, Totals
from serving.ports import GatewayReport
from tests.fakes.rollout_plant import FAMILY, POLICY, Plant, replays


@pytest.fixture
def logged() -> Iterator[list[dict[str, object]]]:
    with capture_logs() as lines:
        yield lines  # type: ignore[misc] # they are dictionaries
    structlog.reset_defaults()


async def going_back() -> Plant:
    """A rollout that has looked, and then a gateway whose counters went back and stay there."""
    plant = Plant()
    await plant.begin()
    await plant.start()
    for _ in range(3):
        await plant.second()
    plant.a_second, plant.gateways[0].totals = 0, Totals()
    await plant.second()
    return plant


async def test_it_is_told_at_once_with_the_gateway_and_why(logged: list[dict[str, object]]) -> None:
    plant = await going_back()

    [refused] = plant.written.board[FAMILY].refused

    assert (refused.source, refused.fault) == ("g1", Fault.WENT_BACK)
    assert "counters went back" in refused.why
    assert plant.recorder.refused == [(FAMILY, Fault.WENT_BACK)]
    assert [(line["gateway"], line["fault"]) for line in logged if line["event"] == "rollout_report_refused"] == [("g1", "went_back")]


async def test_it_is_counted_as_long_as_it_lasts_and_logged_once(logged: list[dict[str, object]]) -> None:
    plant = await going_back()

    for _ in range(5):
        await plant.second()

    assert plant.recorder.refused == [(FAMILY, Fault.WENT_BACK)] * 6
    assert [line["event"] for line in logged].count("rollout_report_refused") == 1


@pytest.mark.usefixtures("logged")
async def test_the_hold_that_it_leads_to_says_so_and_the_log_replays() -> None:
    plant = await going_back()

    await plant.until_state(State.HELD, seconds=40)

    held = (await plant.underway()).rollout.held
    assert held is not None
    assert "g1 (its reports are refused: its counters went back" in held.why
    assert "cannot be heard" in held.why
    assert replays(await plant.log(), POLICY)


async def test_a_report_that_cannot_be_read_is_told_of_and_forgotten_when_the_next_can(logged: list[dict[str, object]]) -> None:
    plant = Plant()
    await plant.begin()
    await plant.start()
    await plant.second()
    rollout = (await plant.underway()).id

    plant.observations.hear(GatewayReport("g1", 1.0, (), unreadable={rollout: "counters contradict each other"}))
    plant.clock.advance(1.0)
    await plant.loop.step()
    [refused] = plant.written.board[FAMILY].refused
    await plant.second()

    assert (refused.source, refused.fault, refused.why) == ("g1", Fault.NONSENSE, "counters contradict each other")
    assert plant.written.board[FAMILY].refused == ()
    assert [line["gateway"] for line in logged if line["event"] == "rollout_report_counts_again"] == ["g1"]
    assert replays(await plant.log(), POLICY)


@pytest.mark.usefixtures("logged")
async def test_a_gateway_whose_clock_was_set_back_before_it_started_again_is_told_of() -> None:
    plant = Plant()
    await plant.begin()
    await plant.start()
    await plant.second()
    rollout = (await plant.underway()).id

    plant.observations.hear(GatewayReport("g1", 2.0, (), {rollout: Report("g1", -3599.0, 1, Totals())}))
    plant.clock.advance(1.0)
    await plant.loop.step()

    [refused] = plant.written.board[FAMILY].refused
    assert (refused.fault, refused.why) == (Fault.LATE, "it is of a start 3,600 s earlier than the latest that was heard of")
