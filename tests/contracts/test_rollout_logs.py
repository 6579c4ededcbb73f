"""What every decision log and every board of rollouts promises, the fake included."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from math import inf
from pathlib import Path

import pytest

from serving.core.assessing import Assessment, GuardVerdict
from serving.core.errors import NotLeader
from serving.core.statistics import Sums
from serving.core.totals import ArmTotals, PairTotals, Totals
from serving.core.verdicts import Finding
from serving.ports import Checkpoint, Progress, Tail
from serving.stores.redis.rollouts import RedisRollouts
from serving.stores.rollout_files import RolloutFiles
from tests.fakes.rollouts import FakeRollouts, RolloutState
from tests.fixtures.redis_home import RedisHome

AT = datetime(2030, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
AnyRollouts = RolloutFiles | RedisRollouts | FakeRollouts
Open = Callable[[], AnyRollouts]


@pytest.fixture(params=["files", "redis", "fake"])
async def opened(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Open]:
    state = RolloutState()
    match request.param:
        case "files":
            yield lambda: RolloutFiles(tmp_path / "rollouts")
        case "redis":
            home, made = RedisHome(request.getfixturevalue("redis_server")), list[RedisRollouts]()

            def opening() -> AnyRollouts:
                made.append(RedisRollouts.open(home.plan))
                return made[-1]

            yield opening
            for each in made:
                await each.close()
        case _:
            yield lambda: FakeRollouts(state)


def progress(trouble: str = "") -> Progress:
    verdict = GuardVerdict("errors", Finding.SAFE, has_data=True, sentence="0 of 10", numbers={"log_e_safe": 1 / 3, "log_e_harm": -inf})
    arm = ArmTotals(10, 1, 2, 0, (1, 0), (4, 5), Sums(3, 1.5, 0.75))
    return Progress("digits-1.1.0-3", AT, Assessment((verdict,), 10, 5), Totals(arm, arm, PairTotals(offered=5, compared=5)), 7, trouble)


async def test_a_rollout_that_nobody_wrote_of_has_no_lines(opened: Open) -> None:
    assert list(await opened().read("digits-1.1.0-3")) == []
    assert list(await opened().rollouts()) == []


async def test_lines_are_read_back_in_their_order_each_in_its_own_log(opened: Open) -> None:
    log = opened()
    lines = [b'{"n":%d}' % number for number in range(20)]
    for line in lines:
        await log.append("digits-1.1.0-3", 1, line)
    await log.append("digits-1.2.0-9", 1, b'{"other":1}')

    assert list(await opened().read("digits-1.1.0-3")) == lines
    assert list(await opened().read("digits-1.2.0-9")) == [b'{"other":1}']
    assert list(await opened().rollouts()) == ["digits-1.1.0-3", "digits-1.2.0-9"]


@pytest.mark.parametrize("count", [0, 2, 3, 4, 6, 7])
async def test_a_log_is_read_whole_however_it_falls_into_pages(opened: Open, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.stores.redis.rollouts.PAGE", 3)
    lines = await lines_in(opened(), count)
    assert list(await opened().read("digits-1.1.0-3")) == lines

    if count:
        await opened().keep("digits-1.1.0-3", 1, Checkpoint(count, "a" * 64, b"state"))
        after = await lines_in(opened(), 7)
        assert list((await opened().tail("digits-1.1.0-3")).lines) == [lines[-1], *after]


async def test_an_older_leader_writes_nothing_more_once_a_newer_one_has(opened: Open) -> None:
    old, new = opened(), opened()
    await old.append("digits-1.1.0-3", 4, b'{"n":1}')
    await new.append("digits-1.1.0-3", 5, b'{"n":2}')

    with pytest.raises(NotLeader):
        await old.append("digits-1.1.0-3", 4, b'{"n":3}')

    await new.append("digits-1.1.0-3", 5, b'{"n":4}')
    assert list(await opened().read("digits-1.1.0-3")) == [b'{"n":1}', b'{"n":2}', b'{"n":4}']


async def lines_in(log: AnyRollouts, count: int, token: int = 1) -> list[bytes]:
    lines = [b'{"n":%d,"x":"%s"}' % (number, b"x" * (number * 37)) for number in range(count)]
    for line in lines:
        await log.append("digits-1.1.0-3", token, line)
    return lines


async def test_without_a_checkpoint_the_tail_is_the_whole_log(opened: Open) -> None:
    assert await opened().tail("digits-1.1.0-3") == Tail(None, ())
    lines = await lines_in(opened(), 3)

    tail = await opened().tail("digits-1.1.0-3")

    assert (tail.checkpoint, list(tail.lines)) == (None, lines)


async def test_the_tail_is_the_last_line_of_the_newest_checkpoint_and_what_came_after_it(opened: Open) -> None:
    log = opened()
    before = await lines_in(log, 5)
    await log.keep("digits-1.1.0-3", 1, Checkpoint(3, "a" * 64, b"older"))
    await log.keep("digits-1.1.0-3", 1, Checkpoint(5, "b" * 64, b"\x00state\xff"))
    alone = await opened().tail("digits-1.1.0-3")
    after = await lines_in(log, 4)

    tail = await opened().tail("digits-1.1.0-3")

    assert (alone.checkpoint, list(alone.lines)) == (tail.checkpoint, before[-1:])
    assert (tail.checkpoint, list(tail.lines)) == (Checkpoint(5, "b" * 64, b"\x00state\xff"), [before[-1], *after])
    assert list(await opened().read("digits-1.1.0-3")) == before + after
    assert list(await opened().rollouts()) == ["digits-1.1.0-3"]


async def test_an_older_leader_keeps_no_checkpoint_once_a_newer_one_has_written(opened: Open) -> None:
    old, new = opened(), opened()
    await lines_in(old, 2, token=4)
    await lines_in(new, 1, token=5)
    await new.keep("digits-1.1.0-3", 5, Checkpoint(3, "b" * 64, b"newer"))

    with pytest.raises(NotLeader):
        await old.keep("digits-1.1.0-3", 4, Checkpoint(2, "a" * 64, b"older"))

    assert (await opened().tail("digits-1.1.0-3")).checkpoint == Checkpoint(3, "b" * 64, b"newer")


@pytest.mark.parametrize("count", [0, 1, 2, 40])
async def test_the_ends_of_a_log_are_its_first_line_and_its_last(opened: Open, count: int) -> None:
    lines = await lines_in(opened(), count)

    ends = await opened().ends("digits-1.1.0-3")

    assert list(ends) == ([lines[0], lines[-1]] if count else [])


async def test_what_was_seen_last_takes_the_place_of_the_checkpoint(opened: Open) -> None:
    log = opened()
    lines = await lines_in(log, 3)
    await log.keep("digits-1.1.0-3", 1, Checkpoint(3, "b" * 64, b"state"))
    await log.append("digits-1.2.0-9", 1, b'{"other":1}')
    before = list(await opened().unfinished())

    await log.finish("digits-1.1.0-3", 1, progress())
    await log.finish("digits-1.1.0-3", 1, progress("again"))

    assert before == ["digits-1.1.0-3"]
    assert list(await opened().unfinished()) == []
    assert await opened().finished("digits-1.1.0-3") == progress("again")
    assert await opened().finished("digits-1.2.0-9") is None
    tail = await opened().tail("digits-1.1.0-3")
    assert (tail.checkpoint, list(tail.lines)) == (None, lines)
    assert list(await opened().rollouts()) == ["digits-1.1.0-3", "digits-1.2.0-9"]


async def test_an_older_leader_finishes_nothing_once_a_newer_one_has_written(opened: Open) -> None:
    old, new = opened(), opened()
    await lines_in(old, 1, token=4)
    await lines_in(new, 1, token=5)
    await new.keep("digits-1.1.0-3", 5, Checkpoint(2, "b" * 64, b"newer"))

    with pytest.raises(NotLeader):
        await old.finish("digits-1.1.0-3", 4, progress())

    assert list(await opened().unfinished()) == ["digits-1.1.0-3"]


async def test_the_ends_of_a_log_whose_last_line_was_cut_off_are_whole_lines(tmp_path: Path) -> None:
    log = RolloutFiles(tmp_path)
    lines = await lines_in(log, 3)
    with (tmp_path / "digits-1.1.0-3.jsonl").open("ab") as file:
        file.write(b'{"half')

    assert list(await log.ends("digits-1.1.0-3")) == [lines[0], lines[-1]]


async def test_what_was_seen_last_and_cannot_be_read_any_more_is_nothing(tmp_path: Path) -> None:
    log = RolloutFiles(tmp_path)
    await lines_in(log, 1)
    await log.finish("digits-1.1.0-3", 1, progress())
    (tmp_path / "digits-1.1.0-3.seen").write_bytes(b"{")

    assert await log.finished("digits-1.1.0-3") is None


@pytest.mark.parametrize("content", [b"", b"\x80", b"nonsense" * 9], ids=["empty", "no fields", "nonsense"])
async def test_a_checkpoint_that_a_crash_left_half_written_is_none(tmp_path: Path, content: bytes) -> None:
    log = RolloutFiles(tmp_path)
    lines = await lines_in(log, 4)
    await log.keep("digits-1.1.0-3", 1, Checkpoint(4, "b" * 64, b"state"))
    kept = tmp_path / "digits-1.1.0-3.checkpoint"
    half = kept.read_bytes()[:-1]

    for left in (content, half):
        kept.write_bytes(left)
        tail = await log.tail("digits-1.1.0-3")
        assert (tail.checkpoint, list(tail.lines)) == (None, lines)


async def test_of_a_file_that_is_shorter_than_its_checkpoint_there_is_no_line_that_it_holds_for(tmp_path: Path) -> None:
    log = RolloutFiles(tmp_path)
    lines = await lines_in(log, 6)
    await log.keep("digits-1.1.0-3", 1, Checkpoint(6, "b" * 64, b"state"))
    path = tmp_path / "digits-1.1.0-3.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in lines[:3]))

    assert lines[5] not in (await log.tail("digits-1.1.0-3")).lines


async def test_the_board_shows_what_was_put_up_last_and_nothing_else(opened: Open) -> None:
    board = opened()
    assert await board.progress() == {}
    await board.post_progress({"digits": progress(), "letters": progress()})
    await board.post_progress({"digits": progress("not ready")})

    assert await opened().progress() == {"digits": progress("not ready")}


@pytest.mark.parametrize("torn", [b"{", b'{"n":{"m":1}', b"x" * 200_000], ids=["short", "closed inside", "long"])
async def test_half_a_line_that_a_crash_left_is_none_and_does_not_spoil_the_next(tmp_path: Path, torn: bytes) -> None:
    log = RolloutFiles(tmp_path)
    await log.append("digits-1.1.0-3", 1, b'{"n":1}')
    with (tmp_path / "digits-1.1.0-3.jsonl").open("ab") as file:
        file.write(torn)
    assert list(await log.read("digits-1.1.0-3")) == [b'{"n":1}']

    await log.append("digits-1.1.0-3", 1, b'{"n":2}')

    assert list(await log.read("digits-1.1.0-3")) == [b'{"n":1}', b'{"n":2}']
