"""Feedback on answers, by the ids that came with them."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from serving.core.statistics import Sums
from serving.core.traffic import WHOLE
from serving.core.watches import Rewards, Watch
from serving.gateway.feedback import Feedback, Rated, ScoreOutOfBounds, UnknownRequest
from serving.gateway.request_ids import RequestIds
from serving.ports import Failure, Reply
from tests.fakes.claims import MemoryRoom
from tests.fakes.gateway import ONE, TWO, Bench, table

GOOD = Reply(200, b"{}")
BROKEN = Reply(500, b"{}", failure=Failure.MODEL)
STARS = Rewards(1.0, 5.0)


def watch(**parts: object) -> Watch:
    return Watch("r1", TWO.digest, ONE.digest, **{"rewards": STARS, **parts})  # type: ignore[arg-type]  # a test's shorthand


class Desk:
    """A gateway that takes feedback; `now` is its wall clock."""

    def __init__(self, room: MemoryRoom | None = None) -> None:
        self.bench = Bench(room=room or MemoryRoom())
        self.now = 1_000_000.0
        self.tell_time()
        clock: Callable[[], float] = lambda: self.now  # noqa: E731 - a clock
        self.feedback = Feedback(self.bench.request_ids, self.bench.gateway.watchings, self.bench.recorder, clock)

    def tell_time(self) -> None:
        self.bench.request_ids.tell_time(self.now)

    def answer(self, reply: Reply = GOOD, *, user: str = "", selector: str | None = None) -> str:
        """An answer's id."""
        self.bench.ask(user=user, selector=selector)
        self.bench.invoker.answer(reply)
        if reply is BROKEN:
            self.bench.invoker.answer(GOOD)
        return self.bench.answers[-1].request_id

    def rewards(self) -> tuple[Sums, Sums]:
        totals = self.bench.gateway.watchings.reports("g1", 1.0)["r1"].totals
        return totals.canary.rewards, totals.production.rewards


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_score_counts_for_the_arm_that_answered_scaled_to_its_bounds(desk: Desk) -> None:
    desk.bench.gateway.swap(table(canary=5000, watch=watch()))
    ids = list[str]()
    for dice in (0.1, 0.9):
        desk.bench.dice = dice
        ids.append(desk.answer())

    outcomes = [desk.feedback.take(request_id, score) for request_id, score in zip(ids, (5.0, 2.0), strict=True)]

    assert outcomes == [Rated.COUNTED, Rated.COUNTED]
    assert desk.rewards() == (Sums(1, 1.0, 1.0), Sums(1, 0.25, 0.0625))
    assert desk.bench.recorder.ratings == [("digits", "counted"), ("digits", "counted")]


def test_a_request_counts_once_on_whichever_gateway_of_the_node(desk: Desk) -> None:
    beside = Desk(desk.bench.room)
    for one in (desk, beside):
        one.bench.gateway.swap(table(canary=WHOLE, watch=watch()))
    request_id = desk.answer()

    outcomes = [one.feedback.take(request_id, 3.0) for one in (beside, desk, beside)]

    assert outcomes == [Rated.COUNTED, Rated.REPEATED, Rated.REPEATED]


def test_feedback_is_taken_on_answers_that_another_gateway_gave(desk: Desk) -> None:
    elsewhere = Desk()
    for one in (desk, elsewhere):
        one.bench.gateway.swap(table(canary=WHOLE, watch=watch()))

    assert elsewhere.feedback.take(desk.answer(), 3.0) is Rated.COUNTED


@pytest.mark.parametrize("forged", ["", "x", "a:b:c:d:e:f:g:h", "digits:1.1.0:31312e31:canary:3:f4240:1:" + "0" * 24, "\ud800:\ud800"])
def test_an_id_that_was_not_given_here_is_refused(desk: Desk, forged: str) -> None:
    desk.bench.gateway.swap(table(canary=WHOLE, watch=watch()))

    with pytest.raises(UnknownRequest):
        desk.feedback.take(forged, 3.0)


def test_an_id_that_was_tampered_with_is_refused(desk: Desk) -> None:
    desk.bench.gateway.swap(table(canary=WHOLE, watch=watch()))
    request_id = desk.answer()

    for forged in (request_id.replace("canary", "production"), request_id[:-1] + ("0" if request_id[-1] != "0" else "1")):
        with pytest.raises(UnknownRequest):
            desk.feedback.take(forged, 3.0)


@pytest.mark.parametrize("score", [0.9, 5.1, float("nan"), float("inf")])
def test_a_score_out_of_the_guards_bounds_is_refused_and_may_be_given_again(desk: Desk, score: float) -> None:
    desk.bench.gateway.swap(table(canary=WHOLE, watch=watch()))
    request_id = desk.answer()

    with pytest.raises(ScoreOutOfBounds, match="1 to 5"):
        desk.feedback.take(request_id, score)

    assert desk.feedback.take(request_id, 1.0) is Rated.COUNTED


def test_late_feedback_counts_for_as_long_as_the_guard_waits(desk: Desk) -> None:
    desk.bench.gateway.swap(table(canary=WHOLE, watch=watch(rewards=Rewards(1.0, 5.0, timedelta(hours=24)))))
    ids = [desk.answer() for _ in range(2)]

    desk.now += 24 * 3600
    in_time = desk.feedback.take(ids[0], 3.0)
    desk.now += 1
    late = desk.feedback.take(ids[1], 3.0)

    assert (in_time, late) == (Rated.COUNTED, Rated.LATE)


def test_a_guard_that_names_no_delay_waits_for_ever(desk: Desk) -> None:
    desk.bench.gateway.swap(table(canary=WHOLE, watch=watch()))
    request_id = desk.answer()

    desk.now += 1e9

    assert desk.feedback.take(request_id, 3.0) is Rated.COUNTED


def test_where_nobody_asks_for_feedback_it_is_taken_and_not_counted(desk: Desk) -> None:
    desk.bench.gateway.swap(table(canary=WHOLE))
    without = desk.answer()
    desk.bench.gateway.swap(table(epoch=4, canary=WHOLE, watch=watch(rewards=None)))
    unwatched = desk.answer()

    assert [desk.feedback.take(one, 99.0) for one in (without, unwatched)] == [Rated.UNASKED] * 2


def test_answers_that_are_no_trials_are_not_counted(desk: Desk) -> None:
    desk.bench.gateway.swap(table(canary=WHOLE))
    before_it_began = desk.answer()
    desk.bench.gateway.swap(table(epoch=4, canary=WHOLE, watch=watch(counts_keyless=False)))
    pinned, stood_in = desk.answer(selector="1.1.0"), desk.answer(BROKEN, user="ada")
    desk.bench.gateway.swap(table(epoch=5, canary=1, watch=watch(counts_keyless=False)))
    desk.bench.dice = 0.9
    undrawn = desk.answer()

    assert [desk.feedback.take(one, 3.0) for one in (before_it_began, pinned, stood_in, undrawn)] == [Rated.UNASKED] * 4
    assert desk.rewards() == (Sums(), Sums())


def test_an_id_of_an_earlier_program_is_no_longer_known() -> None:
    ids = RequestIds(b"secret")
    unsigned = "digits:1.1.0:canary:3:abc"

    assert ids.read(f"{unsigned}:{ids._sign(unsigned)}") is None


def test_an_id_tells_when_its_answer_was_given_and_which_bytes_gave_it(desk: Desk) -> None:
    desk.bench.gateway.swap(table(epoch=7, canary=WHOLE, watch=watch()))
    desk.now += 5.7
    desk.tell_time()

    origin = desk.bench.request_ids.read(desk.answer())

    assert origin is not None
    assert (origin.at, origin.epoch, origin.digest) == (1_000_005, 7, TWO.digest[:8])
