"""kill -9 at every step of a change and of a controller's work: who takes over finishes it, once, and the history has no gap."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.failpoints import Failpoint
from tests.crashes import scenes
from tests.crashes.judging import is_rolled_back_once, judged, prepare
from tests.crashes.nursery import Nursery
from tests.crashes.steps import CHANGES, STEPS_OF_CONTROLLER

STEPS_OF_CHANGES = [(name, step) for name, asked in CHANGES.items() for step in asked.steps]


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery("tests.crashes.scenes") as nursery:
        yield nursery


@pytest.mark.parametrize(("name", "step"), STEPS_OF_CHANGES, ids=[f"{name}-{step}" for name, step in STEPS_OF_CHANGES])
def test_a_change_that_was_killed_and_is_asked_for_again_happens_once(nursery: Nursery, tmp_path: Path, name: str, step: Failpoint) -> None:
    # given
    asked = CHANGES[name]
    prepare(tmp_path, "1.0.0", "1.1.0")
    before, history = judged(tmp_path)

    # when
    killed = asked.ask(nursery, tmp_path, armed=f"{step}=kill")
    between, _ = judged(tmp_path)
    again = asked.ask(nursery, tmp_path)

    # then
    assert killed.is_killed, killed.said
    assert between.revision in {before.revision, before.revision + 1}
    assert again.code == 0, again.said
    status, document = json.loads(again.said)
    assert (status, document["replayed"]) == (scenes.OK, between.revision > before.revision)
    after, entries = judged(tmp_path)
    assert [entry.operation_id for entry in entries[len(history) :]] == [asked.key]
    assert asked.is_left_by(after)


@pytest.mark.parametrize("step", STEPS_OF_CONTROLLER)
def test_a_controller_that_was_killed_is_taken_over_from_where_it_was(nursery: Nursery, tmp_path: Path, step: Failpoint) -> None:
    # given
    prepare(tmp_path, "1.1.0", canary="1.2.0")

    # when
    killed = nursery.play(scenes.control, folder=str(tmp_path), armed=f"{step}=kill")
    judged(tmp_path)
    successor = nursery.play(scenes.control, folder=str(tmp_path), armed=f"{step}=kill")

    # then
    assert killed.is_killed, killed.said
    assert successor.code == 0, successor.said
    is_rolled_back_once(tmp_path)


def test_what_nobody_kills_goes_through_all_of_it(nursery: Nursery, tmp_path: Path) -> None:
    prepare(tmp_path, "1.1.0", canary="1.2.0")

    ended = nursery.play(scenes.control, folder=str(tmp_path), armed="")

    assert ended.code == 0, ended.said
    is_rolled_back_once(tmp_path)
