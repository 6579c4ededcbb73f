"""What every outbox promises, the fake included."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from serving.core.notices import Letter, Notice, Occasion
from serving.stores.outbox import OutboxFiles
from tests.fakes.notices import MemoryOutbox

AT = datetime(2030, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
Kept = OutboxFiles | MemoryOutbox


def letter(name: str, *, due: float = 0, webhook: str = "pager", tried: int = 0) -> Letter:
    notice = Notice(
        name, AT + timedelta(seconds=due), Occasion.ROLLBACK, "digits", "1.1.0", "it was <rolled> back & ünicode", "digits-1.1.0-3"
    )
    return Letter(notice, webhook, AT + timedelta(seconds=due), tried)


@pytest.fixture(params=["files", "fake"])
def outbox(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    return MemoryOutbox() if request.param == "fake" else OutboxFiles(tmp_path / "outbox")


async def test_nothing_waits_at_first(outbox: Kept) -> None:
    assert list(await outbox.waiting()) == []
    assert list(await outbox.given_up()) == []


async def test_letters_wait_whole_and_the_one_due_first_in_front(outbox: Kept) -> None:
    letters = [letter("b", due=5), letter("a", due=1), letter("a", due=1, webhook="chat", tried=3)]
    for one in letters:
        await outbox.put(one)

    assert list(await outbox.waiting()) == [letters[2], letters[1], letters[0]]


async def test_a_letter_of_the_same_name_takes_the_place_of_the_one_before(outbox: Kept) -> None:
    await outbox.put(letter("a"))
    await outbox.put(letter("a", due=9, tried=1))

    assert list(await outbox.waiting()) == [letter("a", due=9, tried=1)]


async def test_what_is_done_is_gone_and_doing_it_again_is_no_trouble(outbox: Kept) -> None:
    await outbox.put(letter("a"))
    await outbox.put(letter("b"))

    await outbox.done(letter("a"))
    await outbox.done(letter("a"))

    assert list(await outbox.waiting()) == [letter("b")]


async def test_what_is_given_up_waits_no_longer_and_is_kept_newest_first(outbox: Kept) -> None:
    for one in (letter("a"), letter("b", due=9)):
        await outbox.put(one)
        await outbox.give_up(one)

    assert list(await outbox.waiting()) == []
    assert list(await outbox.given_up()) == [letter("b", due=9), letter("a")]
