"""P13: kill -9 at named steps of changes, a hundred times over one store; the history that is left has no gap and nothing twice."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from uuid import UUID

from benchmarks.chaos import Figure
from serving.failpoints import Failpoint
from tests.chaos.scenario import Full, Scenario, Stage
from tests.crashes import scenes
from tests.crashes.judging import judged, prepare
from tests.crashes.nursery import Nursery

IN_THE_STORE = (Failpoint.COMMIT_BEGUN, Failpoint.COMMIT_WRITTEN, Failpoint.COMMIT_DONE)
STEPS = {
    "flip": (Failpoint.FLIP_DECIDED, *IN_THE_STORE, Failpoint.FLIP_COMMITTED, Failpoint.FLIP_SETTLED),
    "promotion": (Failpoint.PROMOTION_DECIDED, *IN_THE_STORE, Failpoint.PROMOTION_COMMITTED, Failpoint.PROMOTION_SETTLED),
    "rollback": (Failpoint.ROLLBACK_DECIDED, *IN_THE_STORE, Failpoint.ROLLBACK_COMMITTED, Failpoint.ROLLBACK_SETTLED),
}
DONE, REFUSED = 200, 409


@dataclass(frozen=True, slots=True)
class Asked:
    """A change, under an operation id, and the step at which whoever carries it out is killed."""

    kind: str
    method: str
    path: str
    body: Mapping[str, object]
    key: str
    step: Failpoint


def changes(dice: Random) -> Iterator[Asked]:
    """Changes that may follow each other for ever: a canary, its promotion, and the way back."""
    while True:
        up = {"version": "1.2.0", "override": True, "reason": "chaos"}
        for kind, method, path, body in (
            ("flip", "PUT", "canary", up | {"weight": dice.randint(1, 99)}),
            ("promotion", "POST", "promote", up),
            ("rollback", "POST", "rollback", {"reason": "chaos"}),
        ):
            yield Asked(kind, method, path, body, str(UUID(int=dice.getrandbits(128))), dice.choice(STEPS[kind]))


def _killed(stage: Stage) -> Sequence[Figure]:
    """Each change is asked for twice with one operation id: by a process that is killed, and by its successor."""
    prepare(stage.folder, "1.0.0", "1.1.0")
    _, before = judged(stage.folder)
    outcomes, wrong = Counter[str](), 0
    with Nursery("tests.crashes.scenes") as nursery:
        for asked, _ in zip(changes(stage.dice), range(stage.size(Full.KILLS, 9)), strict=False):
            parts = {"folder": str(stage.folder), "path": asked.path, "method": asked.method, "body": dict(asked.body), "key": asked.key}
            shutil.rmtree(stage.folder / "died", ignore_errors=True)  # where one died before, the next may die again
            killed = nursery.play(scenes.change, armed=f"{asked.step}=kill", **parts)
            again = nursery.play(scenes.change, armed="", **parts)
            status, document = json.loads(again.said) if again.code == 0 else (again.code, again.said)
            outcomes[f"killed at {asked.step}"] += killed.is_killed
            _, entries = judged(stage.folder)  # raises when there is a gap, an edit, or an operation twice
            is_there = [entry.operation_id for entry in entries].count(asked.key)
            if status != DONE or is_there != 1 or not killed.is_killed:
                wrong += 1
                stage.notes.append(f"{asked}: {status} {document}, {is_there} times in the audit, killed: {killed}")
    _, after = judged(stage.folder)
    return [
        Figure("changes that did not happen exactly once", wrong, at_most=0),
        Figure("kills", outcomes.total(), at_least=stage.size(Full.KILLS, 9)),
        Figure("steps", len(outcomes)),
        Figure("entries of the audit, without a gap", len(after) - len(before), at_least=stage.size(Full.KILLS, 9)),
    ]


KILLS = (Scenario("P13", "kill -9 at every step of a change", _killed),)
