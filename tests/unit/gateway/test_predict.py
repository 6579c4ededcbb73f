from dataclasses import replace

import pytest

from serving.core.routing import Arm, Reason, RouteTable
from serving.core.traffic import WHOLE
from serving.gateway.request_ids import RequestIds
from serving.gateway.watching import TRIPPING_ROW
from serving.ports import Failure, Reply
from tests.fakes.gateway import ONE, TWO, Bench, table

GOOD = Reply(200, b'{"outputs":[]}')
BROKEN = Reply(500, b'{"error":"x"}', failure=Failure.MODEL)
CALLERS_FAULT = Reply(400, b'{"error":"x"}', failure=Failure.CLIENT)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_an_answer_names_its_version_epoch_and_reason(bench: Bench) -> None:
    bench.gateway.swap(table())

    bench.ask()
    bench.invoker.answer(GOOD)

    (answer,) = bench.answers
    assert (answer.status, answer.body) == (200, GOOD.body)
    assert answer.route_headers == b"x-model-version: 1.0.0\r\nx-route-epoch: 3\r\nx-route-reason: production\r\n"


def test_a_request_id_says_where_the_answer_came_from(bench: Bench) -> None:
    bench.gateway.swap(table())

    bench.ask()
    bench.invoker.answer(GOOD)

    origin = bench.request_ids.read(bench.answers[0].request_id)
    assert origin is not None
    assert (origin.family, origin.version, origin.arm, origin.epoch) == ("digits", "1.0.0", Arm.PRODUCTION, 3)


@pytest.mark.parametrize("failure", [Failure.MODEL, Failure.TIMEOUT, Failure.UNAVAILABLE])
def test_a_failing_canary_is_retried_once_on_production_and_blamed(bench: Bench, failure: Failure) -> None:
    bench.gateway.swap(table(canary=WHOLE))

    bench.ask()
    to_canary = bench.invoker.answer(Reply(500, b"{}", failure=failure))
    to_production = bench.invoker.answer(GOOD)

    assert (to_canary.call.digest, to_production.call.digest) == (TWO.digest, ONE.digest)
    assert b"x-route-reason: fallback" in bench.answers[0].route_headers
    assert bench.recorder.answers == [("1.1.0", Arm.CANARY, failure), ("1.0.0", Arm.PRODUCTION, None)]


def test_who_is_held_back_is_told_so_and_gets_production_where_the_old_one_fails(bench: Bench) -> None:
    bench.gateway.swap(table(holdback=WHOLE))

    bench.ask()
    bench.invoker.answer(GOOD)
    bench.ask()
    to_old = bench.invoker.answer(BROKEN)
    to_production = bench.invoker.answer(GOOD)

    assert (to_old.call.digest, to_production.call.digest) == (ONE.digest, TWO.digest)
    assert b"x-model-version: 1.0.0\r\nx-route-epoch: 3\r\nx-route-reason: holdback\r\n" in bench.answers[0].route_headers
    assert b"x-route-reason: fallback" in bench.answers[1].route_headers
    assert [arm for _, arm, _ in bench.recorder.answers] == [Arm.HOLDBACK, Arm.HOLDBACK, Arm.PRODUCTION]
    origin = bench.request_ids.read(bench.answers[0].request_id)
    assert origin is not None
    assert (origin.version, origin.reason, origin.arm, origin.is_drawn) == ("1.0.0", Reason.HOLDBACK, Arm.HOLDBACK, True)


def test_a_canary_gets_half_of_the_time_and_no_patience(bench: Bench) -> None:
    bench.gateway.swap(table(canary=WHOLE))

    bench.ask()
    to_canary = bench.invoker.answer(BROKEN)
    to_production = bench.invoker.answer(GOOD)

    assert (to_canary.deadline, to_canary.patient) == (105.0, False)
    assert (to_production.deadline, to_production.patient) == (110.0, True)


def test_the_fallback_is_not_retried_again(bench: Bench) -> None:
    bench.gateway.swap(table(canary=WHOLE))

    bench.ask()
    bench.invoker.answer(BROKEN)
    bench.invoker.answer(BROKEN)

    assert [answer.status for answer in bench.answers] == [500]
    assert not bench.invoker.invoked


def test_the_callers_own_mistake_is_refused_by_production_too_and_blames_nobody(bench: Bench) -> None:
    bench.gateway.swap(table(canary=WHOLE))

    bench.ask()
    bench.invoker.answer(CALLERS_FAULT)
    assert bench.answers == []
    bench.invoker.answer(CALLERS_FAULT)

    assert bench.answers[0].status == 400
    assert bench.gateway.tallies.of(TWO, Arm.CANARY).failures_in_a_row == 0
    assert sorted(bench.recorder.answers) == [("1.0.0", Arm.PRODUCTION, Failure.CLIENT), ("1.1.0", Arm.CANARY, Failure.CLIENT)]


def test_a_canary_that_refuses_what_production_answers_is_blamed_and_the_caller_gets_the_answer(bench: Bench) -> None:
    bench.gateway.swap(table(canary=WHOLE))

    for _ in range(TRIPPING_ROW):
        bench.ask()
        bench.invoker.answer(CALLERS_FAULT)
        bench.invoker.answer(GOOD)

    assert [answer.status for answer in bench.answers] == [200] * TRIPPING_ROW
    assert b"x-model-version: 1.0.0\r\nx-route-epoch: 3\r\nx-route-reason: fallback\r\n" in bench.answers[0].route_headers
    assert bench.gateway.tallies.of(TWO, Arm.CANARY).counts().failures == {Failure.MODEL: TRIPPING_ROW}
    assert bench.gateway.tallies.of(ONE, Arm.PRODUCTION).counts().failures == {}
    assert bench.alarms == 1


@pytest.mark.parametrize("failure", [Failure.MODEL, Failure.TIMEOUT, Failure.UNAVAILABLE, Failure.OVERLOAD])
def test_a_canarys_refusal_that_production_could_not_judge_blames_nobody_but_production(bench: Bench, failure: Failure) -> None:
    bench.gateway.swap(table(canary=WHOLE))

    bench.ask()
    bench.invoker.answer(CALLERS_FAULT)
    bench.invoker.answer(Reply(503, b"{}", failure=failure))

    assert [answer.status for answer in bench.answers] == [503]
    assert sorted(bench.recorder.answers) == [("1.0.0", Arm.PRODUCTION, failure), ("1.1.0", Arm.CANARY, Failure.CLIENT)]


def test_a_version_that_was_named_refuses_by_itself(bench: Bench) -> None:
    bench.gateway.swap(table(canary=WHOLE))

    bench.ask(selector="1.1.0")
    bench.invoker.answer(CALLERS_FAULT)

    assert [answer.status for answer in bench.answers] == [400]
    assert bench.recorder.answers == [("1.1.0", Arm.PINNED, Failure.CLIENT)]


def test_an_answer_keeps_the_epoch_that_it_was_routed_under(bench: Bench) -> None:
    bench.gateway.swap(table(epoch=3, canary=WHOLE))
    bench.ask()

    bench.gateway.swap(table(epoch=4))
    bench.invoker.answer(BROKEN)
    bench.invoker.answer(GOOD)

    assert b"x-route-epoch: 3" in bench.answers[0].route_headers


def test_a_family_that_is_divided_after_a_swap_is_decided_anew(bench: Bench) -> None:
    bench.gateway.swap(table(epoch=3))
    for _ in range(2):
        bench.ask()
        bench.invoker.answer(GOOD)

    bench.gateway.swap(table(epoch=4, canary=WHOLE))
    bench.ask()
    bench.invoker.answer(GOOD)

    reasons = [answer.route_headers.split(b"x-route-reason: ")[1] for answer in bench.answers]
    assert reasons == [b"production\r\n", b"production\r\n", b"canary\r\n"]


def test_failures_in_a_row_raise_the_alarm_at_once(bench: Bench) -> None:
    bench.gateway.swap(table(canary=WHOLE))

    for _ in range(3):
        bench.ask()
        bench.invoker.answer(BROKEN)
        bench.invoker.answer(GOOD)

    assert bench.alarms == 1


def test_a_production_that_fails_raises_no_alarm_since_no_guard_would_act_on_it(bench: Bench) -> None:
    bench.gateway.swap(table())

    for _ in range(5):
        bench.ask()
        bench.invoker.answer(BROKEN)

    assert bench.alarms == 0


def test_a_canary_that_was_never_reached_from_here_is_not_blamed_and_production_answers(bench: Bench) -> None:
    bench.gateway.swap(table(canary=WHOLE))
    bench.invoker.unreached.add(TWO.digest)

    bench.ask()
    asked = bench.invoker.answer(GOOD)

    assert (asked.call.digest, asked.patient) == (ONE.digest, True)
    assert b"x-route-reason: fallback" in bench.answers[0].route_headers
    assert bench.recorder.answers == [("1.0.0", Arm.PRODUCTION, None)]


def test_the_callers_timeout_is_honoured_up_to_the_longest(bench: Bench) -> None:
    bench.gateway.swap(table())

    bench.ask(timeout=1.5)
    bench.ask(timeout=1e9)

    assert [invoked.deadline for invoked in bench.invoker.invoked] == [101.5, 120.0]


def test_requests_beyond_the_limit_are_refused_at_once_and_say_when_to_come_back(bench: Bench) -> None:
    bench.gateway.swap(table())

    for _ in range(4):
        bench.ask()

    assert [(answer.status, answer.retry_after) for answer in bench.answers] == [(429, 1)]


@pytest.mark.parametrize(
    ("family", "selector", "status"),
    [("nope", None, 404), ("digits", "9.9.9", 404), ("digits", "^9", 404), ("digits", "staging", 404), ("digits", "not a version", 400)],
)
def test_what_cannot_be_routed_is_refused_with_a_sentence(bench: Bench, family: str, selector: str | None, status: int) -> None:
    bench.gateway.swap(table())

    bench.ask(family=family, selector=selector)

    assert bench.answers[0].status == status
    assert bench.answers[0].body.startswith(b'{"error":"')


def test_before_there_are_routes_nothing_is_unknown_only_not_ready(bench: Bench) -> None:
    bench.ask(family="zebra")

    (answer,) = bench.answers
    assert (answer.status, answer.retry_after) == (503, 1)
    assert b"no routes yet" in answer.body


def test_an_answer_under_an_override_says_so(bench: Bench) -> None:
    plain = table()
    bench.gateway.swap(RouteTable(3, {"digits": replace(plain.families["digits"], override="override-1")}))

    bench.ask()
    bench.invoker.answer(GOOD)

    assert bench.answers[0].route_headers.endswith(b"x-route-override: override-1\r\n")


def test_a_good_answer_is_mirrored_after_it_was_given(bench: Bench) -> None:
    bench.gateway.swap(table(shadow=WHOLE))

    bench.ask()
    bench.invoker.answer(GOOD)
    copy = bench.invoker.answer(Reply(200, b"agree"))

    assert bench.answers[0].status == 200
    assert copy.call.digest == TWO.digest
    assert copy.call.mirror is not None
    assert copy.call.mirror.body == GOOD.body
    assert not copy.patient
    assert bench.recorder.shadows == [("1.1.0", "agree")]


def test_a_bad_answer_is_not_mirrored(bench: Bench) -> None:
    bench.gateway.swap(table(shadow=WHOLE))

    bench.ask()
    bench.invoker.answer(CALLERS_FAULT)

    assert not bench.invoker.invoked


def test_every_offered_copy_has_exactly_one_outcome(bench: Bench) -> None:
    bench.gateway.swap(table(shadow=WHOLE))

    for body in (b"{}", b"{}", b"x" * 200, b"{}"):
        bench.ask(body=body)
        primary = next(invoked for invoked in bench.invoker.invoked if invoked.call.mirror is None)
        bench.invoker.invoked.remove(primary)
        primary.done(GOOD)
    bench.invoker.answer(Reply(504, b"{}", failure=Failure.TIMEOUT))
    bench.invoker.answer(Reply(503, b"{}", failure=Failure.UNAVAILABLE))

    assert sorted(outcome for _, outcome in bench.recorder.shadows) == ["error", "shed", "shed", "timeout"]


def test_a_forged_request_id_is_not_believed() -> None:
    ids, others = RequestIds(b"one"), RequestIds(b"two")
    minted = ids.mint(ids.prefix(ONE, Reason.CANARY, 9))

    assert ids.read(minted) is not None
    assert ids.read(minted.replace("1.0.0", "1.1.0")) is None
    assert others.read(minted) is None
    assert ids.read("anything") is None


def test_request_ids_never_repeat() -> None:
    ids = RequestIds(b"secret")
    prefix = ids.prefix(ONE, Reason.PRODUCTION, 1)

    assert len({ids.mint(prefix) for _ in range(1000)}) == 1000
