import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count, takewhile
from pathlib import Path

import pytest

from serving.failpoints import Failpoint, Injected, UnknownFailpoint, arm, parse, reach
from serving.settings import InvalidSettings, load_settings

STEPPING = """
import sys
from pathlib import Path
from serving.failpoints import Failpoint, arm, reach

arm(sys.argv[1], Path(sys.argv[2]))
for step in range(4):
    print(step, flush=True)
    reach(Failpoint.ROLLBACK_COMMITTED)
"""


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    arm("")


def steps(plan: str, died: Path) -> tuple[int, int]:
    """How a process ends that goes through four steps, and how many it began."""
    ended = subprocess.run([sys.executable, "-c", STEPPING, plan, str(died)], capture_output=True, text=True, timeout=30, check=False)
    return ended.returncode, len(ended.stdout.split())


def reached(point: Failpoint) -> bool:
    """Go through a step; whether it was passed."""
    try:
        reach(point)
    except Injected:
        return False
    return True


def test_a_step_that_is_not_armed_is_passed() -> None:
    arm("flip.decided=error")

    assert reached(Failpoint.FLIP_COMMITTED)
    assert not reached(Failpoint.FLIP_DECIDED)


def test_arming_anew_disarms_what_was_armed_before() -> None:
    # given
    arm("flip.decided=error,flip.committed=error")

    # when
    arm("flip.committed=error")

    # then
    assert reached(Failpoint.FLIP_DECIDED)
    assert not reached(Failpoint.FLIP_COMMITTED)


def test_a_turn_is_the_only_one_that_fails() -> None:
    # given
    arm("commit.written=error@3")

    # when
    passed = [reached(Failpoint.COMMIT_WRITTEN) for _ in range(5)]

    # then
    assert passed == [True, True, False, True, True]


def test_without_a_turn_every_one_fails() -> None:
    arm(" commit.written=error , ")

    assert [reached(Failpoint.COMMIT_WRITTEN) for _ in range(3)] == [False] * 3


def test_a_pause_holds_the_thread_up() -> None:
    # given
    arm("lead.renewed=sleep:0.05")
    began = time.monotonic()

    # when
    reach(Failpoint.LEAD_RENEWED)

    # then
    assert time.monotonic() - began >= 0.05


def test_a_kill_ends_the_process_at_its_turn_and_no_later(tmp_path: Path) -> None:
    assert steps("rollback.committed=kill@2", tmp_path) == (-signal.SIGKILL, 2)


def test_who_takes_over_does_not_die_of_the_same(tmp_path: Path) -> None:
    # given
    first = steps("rollback.committed=kill", tmp_path)

    # when
    successor = steps("rollback.committed=kill", tmp_path)

    # then
    assert first == (-signal.SIGKILL, 1)
    assert successor == (0, 4)


@pytest.mark.parametrize(
    "plan",
    ["rollback.commited=kill", "rollback.committed", "rollback.committed=", "rollback.committed=kill@0", "rollback.committed=sleep:-1",
     "rollback.committed=sleep:1e9", "rollback.committed=error;flip.decided=error", "=kill", "flip.decided=kill@1@2"],
)  # fmt: skip
def test_a_plan_that_means_nothing_is_refused_before_anything_starts(plan: str) -> None:
    with pytest.raises(UnknownFailpoint):
        parse(plan)
    with pytest.raises(InvalidSettings, match="is no failpoint"):
        load_settings(failpoints=plan)


def test_every_step_can_be_armed_by_its_name() -> None:
    plan = ",".join(f"{point}=kill@{turn}" for point, turn in zip(Failpoint, count(1), strict=False))

    assert parse(plan).keys() == set(Failpoint)


def test_every_step_says_when_it_is_reached() -> None:
    # given
    lines = Path("serving/failpoints.py").read_text(encoding="utf-8").splitlines()
    names = [index for index, line in enumerate(lines) if line.startswith("    ") and line.strip().split(" = ")[0] in Failpoint.__members__]

    # when
    described = [line for index in names for line in takewhile(bool, lines[index + 1 : index + 2]) if line.strip().startswith('"""')]

    # then
    assert len(described) == len(Failpoint)


def test_every_step_is_reached_somewhere() -> None:
    # given
    program = "".join(path.read_text(encoding="utf-8") for path in Path("serving").rglob("*.py") if path.name != "failpoints.py")

    # when
    unreached = [point.name for point in Failpoint if f"Failpoint.{point.name}" not in program]

    # then
    assert unreached == []
