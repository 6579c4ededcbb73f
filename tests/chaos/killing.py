"""P13: admin process and controller are killed at any step of their work, their successors too; what the last one leaves is whole."""

import json
import shutil
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from benchmarks.chaos import Figure
from tests.chaos.scenario import Full, Scenario, Stage
from tests.crashes import scenes
from tests.crashes.judging import is_rolled_back_once, judged, prepare
from tests.crashes.nursery import Ended, Nursery
from tests.crashes.steps import CHANGES, STEPS_OF_CONTROLLER, Asked

MOST_DEATHS = 4
TURNS = (1, 1, 1, 1, 2, 3)
"""Most steps are reached once in a life."""

Life = Callable[[str], Ended]
"""One process with what it is armed with, from its start to its end."""


def _lives(folder: Path, dice: Random, steps: Sequence[str], live: Life) -> int:
    """Lives that are killed somewhere, one after the other, and one that nobody kills: how many were killed."""
    deaths = 0
    for _ in range(dice.randint(1, MOST_DEATHS)):
        ended = live(f"{dice.choice(steps)}=kill@{dice.choice(TURNS)}")
        shutil.rmtree(folder / "died", ignore_errors=True)
        assert ended.is_killed or ended.code == 0, ended.said
        deaths += ended.is_killed
        judged(folder)
    last = live("")
    assert last.code == 0, f"ended with {last.code}: {last.said}"
    return deaths


def _change(nursery: Nursery, folder: Path, dice: Random) -> int:
    asked: Asked = dice.choice(list(CHANGES.values()))
    prepare(folder, "1.0.0", "1.1.0")
    _, history = judged(folder)
    said: list[Ended] = []

    def live(armed: str) -> Ended:
        said.append(asked.ask(nursery, folder, armed))
        return said[-1]

    deaths = _lives(folder, dice, asked.steps, live)
    record, entries = judged(folder)
    status, _ = json.loads(said[-1].said)
    assert status == scenes.OK
    assert [entry.operation_id for entry in entries[len(history) :]] == [asked.key]
    assert asked.is_left_by(record), record
    return deaths


def _controller(nursery: Nursery, folder: Path, dice: Random) -> int:
    prepare(folder, "1.1.0", canary="1.2.0")
    deaths = _lives(folder, dice, STEPS_OF_CONTROLLER, lambda armed: nursery.play(scenes.control, folder=str(folder), armed=armed))
    is_rolled_back_once(folder)
    return deaths


def _killed(stage: Stage) -> Sequence[Figure]:
    dice, kills, rounds, faults = stage.dice, 0, 0, 0
    wanted = stage.size(Full.KILLS, 5)
    with Nursery("tests.crashes.scenes") as nursery:
        while kills < wanted and not faults:
            rounds += 1
            try:
                kills += dice.choice((_change, _controller))(nursery, stage.folder / str(rounds), dice)
            except AssertionError:
                faults += 1
                stage.notes.append(f"round {rounds}: {traceback.format_exc(limit=-2)}")
    return [
        Figure("kills", kills, at_least=0 if faults else wanted),
        Figure("pieces of work, each finished by the last process", rounds - faults),
        Figure("lost, done twice, or with a gap in the audit", faults, at_most=0),
    ]


KILLING = (Scenario("P13", "killed at failpoints", _killed),)
