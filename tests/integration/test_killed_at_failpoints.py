"""kill -9 at every step of a change and of a controller's work: who takes over finishes it, once, and the history has no gap."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest

from serving.failpoints import Failpoint
from tests.crashes import scenes
from tests.crashes.judging import judged, prepare, work_done
from tests.crashes.nursery import Ended, Nursery


@dataclass(frozen=True, slots=True)
class Asked:
    """A change as it is asked for over the admin API, with the steps that it goes through, and what it leaves."""

    method: str
    path: str
    body: Mapping[str, object]
    steps: tuple[Failpoint, ...]
    leaves: Mapping[str, object]
    key: str = field(default_factory=lambda: str(uuid4()))


IN_THE_STORE = (Failpoint.COMMIT_BEGUN, Failpoint.COMMIT_WRITTEN, Failpoint.COMMIT_DONE)
CHANGES = {
    "flip": Asked(
        "PUT",
        "canary",
        {"version": "1.2.0", "weight": 10},
        (Failpoint.FLIP_DECIDED, *IN_THE_STORE, Failpoint.FLIP_COMMITTED, Failpoint.FLIP_SETTLED),
        {"production": "1.1.0", "canaries": ["1.2.0"]},
    ),
    "promotion": Asked(
        "POST",
        "promote",
        {"version": "1.2.0"},
        (Failpoint.PROMOTION_DECIDED, *IN_THE_STORE, Failpoint.PROMOTION_COMMITTED, Failpoint.PROMOTION_SETTLED),
        {"production": "1.2.0", "canaries": []},
    ),
    "rollback": Asked(
        "POST",
        "rollback",
        {"reason": "INC-1"},
        (Failpoint.ROLLBACK_DECIDED, *IN_THE_STORE, Failpoint.ROLLBACK_COMMITTED, Failpoint.ROLLBACK_SETTLED),
        {"production": "1.0.0", "canaries": []},
    ),
}
STEPS_OF_CHANGES = [(name, step) for name, asked in CHANGES.items() for step in asked.steps]

STEPS_OF_CONTROLLER = (
    Failpoint.LEAD_TAKEN,
    Failpoint.LEAD_RENEWED,
    Failpoint.BOARD_POSTING,
    Failpoint.LOAD_DECIDED,
    Failpoint.LOAD_STARTED,
    Failpoint.LEASE_RENEWING,
    Failpoint.LEASE_RENEWED,
    Failpoint.AUTO_JUDGED,
    Failpoint.AUTO_DECIDED,
    Failpoint.ROLLBACK_DECIDED,
    *IN_THE_STORE,
    Failpoint.ROLLBACK_COMMITTED,
    Failpoint.AUTO_COMMITTED,
    Failpoint.AUTO_RECORDED,
    Failpoint.UNLOAD_DECIDED,
    Failpoint.UNLOAD_STARTED,
)


def ask(nursery: Nursery, folder: Path, asked: Asked, armed: str = "") -> Ended:
    """Have an admin process take the change."""
    body, key = dict(asked.body), asked.key
    return nursery.play(scenes.change, folder=str(folder), armed=armed, path=asked.path, method=asked.method, body=body, key=key)


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
    killed = ask(nursery, tmp_path, asked, armed=f"{step}=kill")
    between, _ = judged(tmp_path)
    again = ask(nursery, tmp_path, asked)

    # then
    assert killed.is_killed, killed.said
    assert between.revision in {before.revision, before.revision + 1}
    assert again.code == 0, again.said
    status, document = json.loads(again.said)
    assert (status, document["replayed"]) == (200, between.revision > before.revision)
    after, entries = judged(tmp_path)
    assert [entry.operation_id for entry in entries[len(history) :]] == [asked.key]
    assert {"production": str(after.production), "canaries": [str(canary.version) for canary in after.canaries]} == asked.leaves


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


def is_rolled_back_once(folder: Path) -> None:
    """One rollback by the controller, and each version started and stopped as often as needed: once."""
    record, entries = judged(folder)
    rollbacks = [entry for entry in entries if entry.action == "rollback"]
    assert [(entry.actor, entry.signal) for entry in rollbacks] == [("auto", "errors-in-a-row")]
    assert (str(record.production), record.canaries) == ("1.1.0", ())
    assert work_done(folder) == {"load 1.1.0": 1, "load 1.2.0": 1, "unload 1.2.0": 1}
