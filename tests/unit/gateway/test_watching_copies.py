"""What a gateway counts of the copies that a rollout's candidate is sent."""

from datetime import timedelta

import pytest

from serving.core.policy import MirrorLimits
from serving.core.totals import ArmTotals
from serving.core.traffic import WHOLE
from serving.core.watches import Tolerance
from serving.ports import Failure, Leeway, Reply
from tests.fakes.gateway import TWO, Bench, table
from tests.fakes.watching import GOOD, LATE, report, watch


@pytest.fixture
def bench() -> Bench:
    return Bench()


def mirror(bench: Bench, reply: Reply, *, primary_s: float = 0.0, copy_s: float = 0.0, body: bytes = b"{}") -> None:
    bench.ask(body=body)
    bench.now += primary_s
    bench.invoker.answer(GOOD)
    bench.now += copy_s
    if bench.invoker.invoked:
        bench.invoker.answer(reply)


def test_in_a_shadow_the_candidates_trials_are_its_copies(bench: Bench) -> None:
    bench.gateway.swap(table(shadow=WHOLE, watch=watch(is_shadow=True, edges=(1.0, 1.5))))

    mirror(bench, Reply(200, b"agree"), copy_s=1.2)
    mirror(bench, Reply(200, b"error"))
    mirror(bench, LATE)

    totals = report(bench).totals
    assert totals.canary == ArmTotals(trials=3, failures=2, slow=(2, 1))
    assert totals.production == ArmTotals(trials=3, slow=(0, 0))
    assert report(bench).row == 2


def test_copies_beside_a_canary_are_pairs_and_no_trials(bench: Bench) -> None:
    bench.gateway.swap(table(canary=1, shadow=WHOLE, watch=watch()))
    bench.dice = 0.9

    mirror(bench, Reply(200, b"agree"))

    assert report(bench).totals.canary == ArmTotals()
    assert report(bench).totals.pairs.compared == 1


def test_a_candidate_that_fails_on_copies_in_a_row_raises_the_alarm_at_once(bench: Bench) -> None:
    bench.gateway.swap(table(shadow=WHOLE, watch=watch(is_shadow=True)))

    for _ in range(3):
        mirror(bench, Reply(200, b"error"))

    assert (report(bench).row, bench.alarms) == (3, 1)


def test_a_candidate_that_was_never_reached_from_here_is_not_blamed_for_its_copies(bench: Bench) -> None:
    bench.gateway.swap(table(shadow=WHOLE, watch=watch(is_shadow=True)))
    bench.invoker.unreached.add(TWO.digest)

    mirror(bench, Reply(503, b"{}", failure=Failure.UNAVAILABLE))

    assert report(bench).totals.canary == ArmTotals()
    assert report(bench).totals.pairs.failed == 1


def test_the_coverage_of_copies_adds_up(bench: Bench) -> None:
    bench.gateway.swap(table(shadow=WHOLE, watch=watch(is_shadow=True)))

    for reply in (Reply(200, b"agree"), Reply(200, b"label"), Reply(200, b"error"), LATE, Reply(429, b"{}", failure=Failure.OVERLOAD)):
        mirror(bench, reply)
    mirror(bench, GOOD, body=b"x" * (17 * 2**20))

    pairs = report(bench).totals.pairs
    assert (pairs.offered, pairs.compared, pairs.disagreed) == (6, 2, 1)
    assert (pairs.shed, pairs.oversize, pairs.timed_out, pairs.failed) == (1, 1, 1, 1)


def test_copies_that_give_way_to_callers_are_not_sent_and_count_as_shed(bench: Bench) -> None:
    bench.crowding = 0.5
    bench.gateway.swap(table(shadow=WHOLE, watch=watch(is_shadow=True)))

    for _ in range(1000):
        mirror(bench, Reply(200, b"agree"), primary_s=0.001)

    pairs, outcomes = report(bench).totals.pairs, [outcome for _, outcome in bench.recorder.shadows]
    assert pairs.shed == outcomes.count("yielded") > 500
    assert pairs.offered == pairs.compared + pairs.shed == 1000


def test_a_stages_own_limits_bound_its_copies(bench: Bench) -> None:
    limits = MirrorLimits(inflight=1, timeout=timedelta(seconds=0.5), max_body=20)
    bench.gateway.swap(table(shadow=WHOLE, watch=watch(is_shadow=True, limits=limits)))

    bench.ask(body=b"x" * 30)
    bench.invoker.answer(GOOD)
    for _ in range(2):
        bench.ask()
        bench.invoker.invoked.pop().done(GOOD)

    pairs = report(bench).totals.pairs
    assert (pairs.offered, pairs.oversize, pairs.shed) == (3, 1, 1)
    assert [invoked.deadline for invoked in bench.invoker.invoked] == [bench.now + 0.5]


def test_a_pair_has_a_winner_when_one_took_clearly_longer(bench: Bench) -> None:
    bench.gateway.swap(table(shadow=WHOLE, watch=watch(is_shadow=True)))

    for primary_s, copy_s in ((1.0, 1.3), (1.0, 0.5), (1.0, 1.05)):
        mirror(bench, Reply(200, b"agree"), primary_s=primary_s, copy_s=copy_s)

    pairs = report(bench).totals.pairs
    assert (pairs.compared, pairs.slower, pairs.faster) == (3, 1, 1)


def test_copies_carry_what_the_guard_lets_pass_and_a_plain_shadows_carry_the_usual(bench: Bench) -> None:
    tolerance = Tolerance(atol=0.5, is_label_exact=False, rank=0.8)
    bench.gateway.swap(table(shadow=WHOLE, watch=watch(is_shadow=True, tolerance=tolerance)))

    bench.ask()
    bench.invoker.answer(GOOD)
    watched = bench.invoker.answer(GOOD).call.mirror
    bench.gateway.swap(table(epoch=4, shadow=WHOLE))
    bench.ask()
    bench.invoker.answer(GOOD)
    plain = bench.invoker.answer(GOOD).call.mirror

    assert watched is not None
    assert watched.leeway == Leeway(atol=0.5, rtol=0.0, rank=0.8, is_label_exact=False)
    assert plain is not None
    assert plain.leeway == Leeway()
