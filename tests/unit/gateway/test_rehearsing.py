"""No caller is ever given a made-up answer: only the key of a rehearsal leads to its route, and nothing of it counts for a version."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.core.injections import Injection
from serving.core.policy import Counting, Unit
from serving.core.rehearsals import PREFIX, key_digest
from serving.core.routing import RehearsalRoute, RouteTable
from serving.core.rules import Bins
from serving.core.totals import ArmTotals
from serving.core.traffic import WHOLE
from serving.core.watches import Watch
from serving.ports import Failure, Reply, Said
from tests.fakes.gateway import ONE, TWO, Bench, table

KEY = "5f0c2b7e9a1d4c38"
GOOD = Reply(200, b'{"outputs":[]}')
BROKEN = Reply(500, b'{"error":"x"}', failure=Failure.MODEL)
WATCH = Watch("op-1", candidate="", production="", unit=Unit(count=Counting.REQUEST))


def rehearsed(
    *, canary: int = 0, shadow: int = 0, weight: int = WHOLE, injection: Injection = Injection.ERRORS, watch: Watch = WATCH
) -> RouteTable:
    plain = table(canary=canary, shadow=shadow)
    route = RehearsalRoute(key_digest(KEY), ONE, weight, injection, watch)
    return RouteTable(plain.epoch, {"digits": replace(plain.families["digits"], rehearsal=route)})


def asked(routes: RouteTable, selector: str | None, dice: float, user: str = "", family: str = "digits") -> Bench:
    """One request that is answered well by whatever version it reaches."""
    bench = Bench()
    bench.dice = dice
    bench.gateway.swap(routes)
    bench.ask(family=family, selector=selector, user=user)
    while bench.invoker.invoked:
        bench.invoker.answer(GOOD)
    return bench


selectors = st.one_of(
    st.none(),
    st.sampled_from(
        ["1.0.0", "1.1.0", "^1", "production", "rehearsal", PREFIX, PREFIX + KEY[:-1], PREFIX + KEY + "0", PREFIX.upper() + KEY]
    ),
    st.text(max_size=24).map(PREFIX.__add__),
    st.text(max_size=24),
).filter(lambda selector: selector != PREFIX + KEY)


@given(
    selector=selectors,
    dice=st.floats(0, 1, exclude_max=True),
    canary=st.sampled_from([0, 2_500, WHOLE]),
    shadow=st.sampled_from([0, WHOLE]),
    user=st.sampled_from(["", "ada", "ben"]),
)
def test_whoever_does_not_know_the_key_is_answered_and_counted_as_if_there_were_no_rehearsal(
    selector: str | None, dice: float, canary: int, shadow: int, user: str
) -> None:
    with_one = asked(rehearsed(canary=canary, shadow=shadow), selector, dice, user)
    without = asked(table(canary=canary, shadow=shadow), selector, dice, user)

    assert [replace_id(answer) for answer in with_one.answers] == [replace_id(answer) for answer in without.answers]
    assert with_one.recorder == without.recorder
    assert [tally.counts() for tally in with_one.gateway.tallies] == [tally.counts() for tally in without.gateway.tallies]
    totals = with_one.gateway.watchings.reports("g1", 1.0)["op-1"].totals
    assert (totals.canary, totals.production) == (ArmTotals(), ArmTotals())


def replace_id(answer: object) -> tuple[object, ...]:
    """All of an answer but its id, which is another for each."""
    return tuple(getattr(answer, name) for name in ("status", "body", "json_length", "route_headers", "retry_after"))


def test_the_key_of_another_family_leads_nowhere() -> None:
    other = asked(rehearsed(), PREFIX + KEY, 0.0, family="letters")

    assert other.answers[0].status in {400, 404}


@pytest.mark.parametrize(("dice", "status"), [(0.0, 500), (0.7, 200)])
def test_by_the_key_half_of_the_bad_arms_answers_fail_and_only_the_rehearsal_hears_of_it(dice: float, status: int) -> None:
    bench = asked(rehearsed(), PREFIX + KEY, dice)

    [answer] = bench.answers
    assert answer.status == status
    assert b"x-route-reason: rehearsal" in answer.route_headers
    assert answer.request_id == ""
    assert bench.recorder == Bench().recorder
    assert not list(bench.gateway.tallies)
    counted = bench.gateway.watchings.reports("g1", 1.0)["op-1"].totals
    assert (counted.canary.trials, counted.canary.failures, counted.production.trials) == (1, int(status == 500), 0)


def test_the_other_arm_is_production_as_it_is() -> None:
    bench = asked(rehearsed(weight=0), PREFIX + KEY, 0.0)

    assert (bench.answers[0].status, bench.answers[0].body) == (200, GOOD.body)
    assert bench.gateway.watchings.reports("g1", 1.0)["op-1"].totals.production.trials == 1


def test_a_row_of_failures_is_told_at_once_and_an_answer_that_failed_by_itself_is_not_tried_again() -> None:
    bench = Bench()
    bench.gateway.rehearsals.on_failing = bench._alarm
    bench.gateway.swap(rehearsed())
    bench.dice = 0.7
    for _ in range(4):
        bench.ask(selector=PREFIX + KEY)
        bench.invoker.answer(BROKEN)

    assert bench.alarms == 2
    assert not bench.invoker.invoked
    assert [answer.status for answer in bench.answers] == [500] * 4


def injected(injection: Injection, watch: Watch = WATCH) -> Bench:
    """A gateway on which all who name the key get the bad arm; time passes as it is waited for."""
    bench = Bench()

    def wait(seconds: float, call: Callable[[], None]) -> None:
        bench.now += seconds
        call()

    bench.gateway.rehearsals.wait = wait
    bench.gateway.swap(rehearsed(injection=injection, watch=watch))
    return bench


def answers(bench: Bench, *replies: Reply) -> list[bytes]:
    for reply in replies:
        bench.ask(selector=PREFIX + KEY)
        bench.invoker.answer(reply)
    return [answer.body for answer in bench.answers]


def test_what_is_made_slow_takes_longer_than_every_edge_and_is_answered_well() -> None:
    bench = injected(Injection.SLOW, replace(WATCH, edges=(0.1, 0.15, 0.2, 0.4)))

    bodies = answers(bench, GOOD, GOOD)

    assert bodies == [GOOD.body] * 2
    assert bench.gateway.watchings.reports("g1", 1.0)["op-1"].totals.canary == ArmTotals(trials=2, slow=(2, 2, 2, 2))


def test_nothing_is_slow_before_it_is_known_what_production_takes_and_nothing_for_longer_than_it_is_waited_for() -> None:
    unmeasured, endless = injected(Injection.SLOW), injected(Injection.SLOW, replace(WATCH, edges=(60.0, 90.0)))

    answers(unmeasured, GOOD)
    answers(endless, GOOD)

    assert (unmeasured.now, endless.now) == (100.0, 104.0)
    assert [b"rehearsal-bad" in bench.answers[0].route_headers for bench in (unmeasured, endless)] == [False, True]


def test_what_is_made_constant_says_what_it_said_first_and_in_the_end_that_it_is_odd() -> None:
    watch = replace(WATCH, bins=Bins.CLASSES, classes=("cat", "dog"), checks_answers=True)
    bench = injected(Injection.CONSTANT, watch)

    bodies = answers(bench, BROKEN, *(Reply(200, name.encode(), said=Said(name)) for name in ["dog", *["cat"] * 39]))

    assert bodies[1:] == [b"dog"] * 40
    counted = bench.gateway.watchings.reports("g1", 1.0)["op-1"].totals.canary
    assert (counted.trials, counted.failures, counted.classes, counted.odd) == (41, 1, (0, 40, 0), 9)


def test_each_rehearsal_is_constant_by_itself() -> None:
    bench = injected(Injection.CONSTANT)
    answers(bench, Reply(200, b"dog"))
    bench.gateway.swap(rehearsed(injection=Injection.CONSTANT, watch=replace(WATCH, rollout="op-2")))

    assert answers(bench, Reply(200, b"cat"), Reply(200, b"dog")) == [b"dog", b"cat", b"cat"]


def test_with_the_route_gone_the_key_leads_nowhere() -> None:
    bench = Bench()
    bench.gateway.swap(rehearsed())
    bench.gateway.swap(table())

    bench.ask(selector=PREFIX + KEY)

    assert bench.answers[0].status == 400
    assert bench.gateway.watchings.reports("g1", 1.0) == {}


def test_a_rollout_beside_it_counts_as_ever() -> None:
    watch = Watch("digits-1.1.0-1", TWO.digest, ONE.digest)
    plain = table(canary=WHOLE, watch=watch)
    routes = RouteTable(3, {"digits": replace(plain.families["digits"], rehearsal=rehearsed().families["digits"].rehearsal)})
    bench = Bench()
    bench.gateway.swap(routes)
    for selector in (None, PREFIX + KEY):
        bench.ask(selector=selector)
        bench.invoker.answer(GOOD)

    reports = bench.gateway.watchings.reports("g1", 1.0)

    assert (reports["digits-1.1.0-1"].totals.canary.trials, reports["digits-1.1.0-1"].totals.canary.failures) == (1, 0)
    assert (reports["op-1"].totals.canary.trials, reports["op-1"].totals.canary.failures) == (1, 1)
