"""What every decision log and every board of rollouts promises, the fake included."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from serving.core.assessing import Assessment, GuardVerdict
from serving.core.errors import NotLeader
from serving.core.statistics import Sums
from serving.core.totals import ArmTotals, PairTotals, Totals
from serving.core.verdicts import Finding
from serving.ports import Progress
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
    verdict = GuardVerdict("errors", Finding.SAFE, has_data=True, sentence="0 of 10", numbers={"log_e_safe": 1 / 3})
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


async def test_an_older_leader_writes_nothing_more_once_a_newer_one_has(opened: Open) -> None:
    old, new = opened(), opened()
    await old.append("digits-1.1.0-3", 4, b'{"n":1}')
    await new.append("digits-1.1.0-3", 5, b'{"n":2}')

    with pytest.raises(NotLeader):
        await old.append("digits-1.1.0-3", 4, b'{"n":3}')

    await new.append("digits-1.1.0-3", 5, b'{"n":4}')
    assert list(await opened().read("digits-1.1.0-3")) == [b'{"n":1}', b'{"n":2}', b'{"n":4}']


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
