"""Units that count once in a window, over all gateways of a node."""

from datetime import timedelta

import pytest

from serving.core.policy import Counting, Unit
from serving.core.totals import ArmTotals
from serving.core.traffic import WHOLE
from serving.core.watches import Watch
from serving.gateway.units import number_of
from serving.ports import Failure, Reply
from tests.fakes.claims import MemoryRoom
from tests.fakes.gateway import ONE, TWO, Bench, table

GOOD = Reply(200, b"{}")
BROKEN = Reply(500, b"{}", failure=Failure.MODEL)
CALLERS_FAULT = Reply(400, b"{}", failure=Failure.CLIENT)
FROZEN = 3064047072660155481
"""What every process must make of ada, or the gateways of a node would not count her once."""

HOURLY = Unit(count=Counting.UNIT_WINDOW, window=timedelta(hours=1))


def watch(**parts: object) -> Watch:
    return Watch("r1", TWO.digest, ONE.digest, unit=HOURLY, **parts)  # type: ignore[arg-type]  # a test's shorthand


def trials(*benches: Bench) -> tuple[int, int]:
    totals = [bench.gateway.watchings.reports("g1", 1.0)["r1"].totals for bench in benches]
    return sum(one.canary.trials for one in totals), sum(one.production.trials for one in totals)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def ask(bench: Bench, user: str, reply: Reply = GOOD) -> None:
    bench.ask(user=user)
    bench.invoker.answer(reply)
    if reply is not GOOD:
        bench.invoker.answer(CALLERS_FAULT if reply is CALLERS_FAULT else GOOD)


def test_a_unit_counts_by_its_first_answer_in_a_window(bench: Bench) -> None:
    bench.gateway.swap(table(canary=WHOLE, watch=watch()))

    for user, reply in (("ada", BROKEN), ("ada", GOOD), ("ada", BROKEN), ("bob", GOOD), ("bob", BROKEN)):
        ask(bench, user, reply)

    assert bench.gateway.watchings.reports("g1", 1.0)["r1"].totals.canary == ArmTotals(trials=2, failures=1, again=3)


def test_the_next_window_counts_it_again(bench: Bench) -> None:
    bench.gateway.swap(table(canary=WHOLE, watch=watch()))

    for hours in (0.0, 0.9, 0.2, 0.7, 0.3):
        bench.now += hours * 3600
        ask(bench, "ada")

    assert trials(bench) == (3, 0)


def test_the_next_stage_counts_it_again_and_the_same_stage_does_not(bench: Bench) -> None:
    for epoch, stage in ((3, 1), (4, 1), (5, 2), (6, 2)):
        bench.gateway.swap(table(epoch=epoch, canary=WHOLE, watch=watch(stage=stage)))
        ask(bench, "ada")

    assert trials(bench) == (2, 0)


def test_gateways_of_one_node_count_a_unit_once_together_and_of_two_nodes_each() -> None:
    room = MemoryRoom()
    here, beside, elsewhere = Bench(room=room), Bench(room=room), Bench()

    for bench in (here, beside, elsewhere):
        bench.gateway.swap(table(canary=WHOLE, watch=watch()))
        ask(bench, "ada")

    assert trials(here, beside) == (1, 0)
    assert trials(elsewhere) == (1, 0)


def test_a_request_without_a_key_is_its_own_unit(bench: Bench) -> None:
    bench.gateway.swap(table(canary=WHOLE, watch=watch()))

    for _ in range(3):
        ask(bench, "")

    assert trials(bench) == (3, 0)


def test_a_callers_mistake_does_not_use_up_its_unit(bench: Bench) -> None:
    bench.gateway.swap(table(canary=WHOLE, watch=watch()))

    ask(bench, "ada", CALLERS_FAULT)
    ask(bench, "ada", GOOD)

    assert bench.gateway.watchings.reports("g1", 1.0)["r1"].totals.canary == ArmTotals(trials=1, mistakes=1)


def test_the_row_of_failures_counts_answers_whoever_asked(bench: Bench) -> None:
    bench.gateway.swap(table(canary=WHOLE, watch=watch()))

    for _ in range(3):
        ask(bench, "ada", BROKEN)

    assert bench.gateway.watchings.reports("g1", 1.0)["r1"].row == 3


def test_in_a_shadow_a_unit_counts_once_in_each_arm(bench: Bench) -> None:
    bench.gateway.swap(table(shadow=WHOLE, watch=watch(is_shadow=True)))

    for _ in range(3):
        ask(bench, "ada")
        bench.invoker.answer(Reply(200, b"agree"))

    assert trials(bench) == (1, 1)
    assert bench.gateway.watchings.reports("g1", 1.0)["r1"].totals.pairs.compared == 3


def test_the_tables_of_a_stage_that_is_over_are_forgotten() -> None:
    bench = Bench()
    for epoch, stage in ((3, 0), (4, 1)):
        bench.gateway.swap(table(epoch=epoch, canary=1, watch=watch(stage=stage)))
    during = set(bench.room.tables)

    bench.gateway.swap(table(epoch=5))

    assert during == {"r1.1"}
    assert bench.room.tables == {}


def test_units_are_told_apart_the_same_way_in_every_process_and_otherwise_in_every_rollout() -> None:
    assert number_of("ada", "r1") == FROZEN
    assert number_of("ada", "r2") != FROZEN
