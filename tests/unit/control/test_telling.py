import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from serving.control.telling import Correspondence, Delivery, Telling
from serving.core.notices import LADDER, Notice, Occasion
from serving.core.policy import Tell
from tests.fakes.clock import START, FakeClock
from tests.fakes.notices import MemoryNoticeRecorder, MemoryOutbox, ScriptedPoster

TELL = Tell(on=("rollback",))


def notice(name: str = "n-1") -> Notice:
    return Notice(name, START, Occasion.ROLLBACK, "digits", "1.1.0", "it was rolled back")


class Post:
    """Telling and delivery over one outbox."""

    def __init__(self, **scripts: Sequence[int | None]) -> None:
        self.clock, self.outbox, self.recorder = FakeClock(), MemoryOutbox(), MemoryNoticeRecorder()
        self.poster = ScriptedPoster({name: list(script) for name, script in scripts.items()})
        self.telling = Telling(self.outbox, self.poster.webhooks)
        self.delivery = Delivery(self.outbox, self.poster, self.recorder, self.clock)

    async def step(self, seconds: float = 0.0) -> None:
        self.clock.advance(seconds)
        await self.delivery.step()
        await self.delivery.settle()


async def test_a_notice_is_posted_to_everybody_once() -> None:
    post = Post(pager=[200], chat=[204])
    await post.telling.tell(notice(), TELL)

    await post.step()
    await post.step(3600)

    assert sorted(post.poster.posted) == [("chat", "n-1"), ("pager", "n-1")]
    assert list(await post.outbox.waiting()) == []


async def test_what_is_not_taken_is_tried_again_when_it_is_due_and_not_before() -> None:
    post = Post(pager=[500, 302, 200])
    await post.telling.tell(notice(), TELL)

    await post.step()
    await post.step(LADDER[0].total_seconds() / 2)
    assert len(post.poster.posted) == 1
    await post.step(LADDER[0].total_seconds() / 2)
    await post.step(LADDER[1].total_seconds())

    assert [outcome for _, outcome in post.recorder.tries] == ["failed", "failed", "arrived"]
    assert list(await post.outbox.waiting()) == []


async def test_what_never_arrives_is_given_up_and_kept() -> None:
    post = Post(pager=[500])
    await post.telling.tell(notice(), TELL)

    for _ in range(len(LADDER) + 2):
        await post.step(max(LADDER).total_seconds())

    assert len(post.poster.posted) == len(LADDER) + 1
    assert list(await post.outbox.waiting()) == []
    assert [letter.notice for letter in await post.outbox.given_up()] == [notice()]
    assert post.recorder.tries[-1] == ("pager", "given_up")


async def test_a_webhook_that_wants_no_more_is_asked_no_more() -> None:
    post = Post(pager=[410])
    await post.telling.tell(notice(), TELL)

    await post.step()

    assert [outcome for _, outcome in post.recorder.tries] == ["given_up"]


async def test_a_webhook_that_hangs_holds_up_nobody_else() -> None:
    post = Post(pager=[None], chat=[200])
    await post.telling.tell(notice(), TELL)

    await post.delivery.step()
    await post.telling.tell(notice("n-2"), Tell(webhooks=("chat",), on=("rollback",)))
    await post.delivery.step()
    await asyncio.sleep(0.01)  # the turns that a webhook which does not hang needs
    waiting = {letter.name for letter in await post.outbox.waiting()}
    await post.delivery.stop()

    assert waiting == {"n-1.pager"}
    assert [letter.name for letter in await post.outbox.waiting()] == ["n-1.pager"], "what is under way at the end is kept"


async def test_a_letter_to_a_webhook_that_is_configured_no_more_is_given_up() -> None:
    post = Post(pager=[200])
    await Telling(post.outbox, ["pager", "gone"]).tell(notice(), TELL)

    await post.step()

    assert [letter.webhook for letter in await post.outbox.given_up()] == ["gone"]


async def test_an_outbox_without_room_stops_neither_the_deed_nor_the_next_notice() -> None:
    post = Post(pager=[200])
    post.outbox.broken = True

    await post.telling.tell(notice(), TELL)
    post.outbox.broken = False
    await post.telling.tell(notice("n-2"), TELL)
    await post.step()

    assert post.poster.posted == [("pager", "n-2")]


async def test_a_letter_whose_fate_cannot_be_written_down_is_posted_again_under_its_id() -> None:
    post = Post(pager=[200])
    await post.telling.tell(notice(), TELL)
    await post.delivery.step()
    post.outbox.broken = True
    await post.delivery.settle()
    post.outbox.broken = False

    await post.step()

    assert post.poster.posted == [("pager", "n-1")] * 2


async def test_a_test_says_what_has_not_arrived() -> None:
    post = Post(pager=[200], chat=[500])
    correspondence = Correspondence(post.outbox, post.poster.webhooks, post.clock)
    await correspondence.test("ada", "op-1", 0.0)
    await post.step()

    lines = {line.webhook: line for line in await correspondence.standing()}

    assert not lines["pager"].waiting
    [left] = lines["chat"].waiting
    assert (left.tried, left.due) == (1, START + LADDER[0])
    assert "ada" in left.notice.sentence


@pytest.mark.parametrize("wait", [0.0, 0.2])
async def test_a_test_that_nobody_takes_ends_when_its_time_is_over(wait: float) -> None:
    class Passing(FakeClock):
        def monotonic(self) -> float:
            self.advance(0.05)
            return super().monotonic()

    lines = await Correspondence(MemoryOutbox(), ("pager",), Passing()).test("ada", "op-1", wait)

    assert [len(line.waiting) for line in lines] == [1]


def test_the_ladder_ends_within_a_day() -> None:
    assert sum(LADDER, timedelta()) < timedelta(days=1)
