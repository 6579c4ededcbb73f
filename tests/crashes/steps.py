"""The work that is killed, and every step of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from serving.core.lifecycle import FamilyRecord
from serving.failpoints import Failpoint
from tests.crashes import scenes
from tests.crashes.nursery import Ended, Nursery


@dataclass(frozen=True, slots=True)
class Asked:
    """A change as it is asked for over the admin API, with the steps that it goes through, and what it leaves."""

    method: str
    path: str
    body: Mapping[str, object]
    steps: tuple[Failpoint, ...]
    production: str
    canaries: tuple[str, ...] = ()
    key: str = field(default_factory=lambda: str(uuid4()))

    def ask(self, nursery: Nursery, folder: Path, armed: str = "") -> Ended:
        """Have an admin process take it."""
        body, key = dict(self.body), self.key
        return nursery.play(scenes.change, folder=str(folder), armed=armed, path=self.path, method=self.method, body=body, key=key)

    def is_left_by(self, record: FamilyRecord) -> bool:
        """Whether a family is as it shall be afterwards."""
        return (str(record.production), tuple(str(canary.version) for canary in record.canaries)) == (self.production, self.canaries)


IN_THE_STORE = (Failpoint.COMMIT_BEGUN, Failpoint.COMMIT_WRITTEN, Failpoint.COMMIT_DONE)

CHANGES = {
    "flip": Asked(
        "PUT",
        "canary",
        {"version": "1.2.0", "weight": 10},
        (Failpoint.FLIP_DECIDED, *IN_THE_STORE, Failpoint.FLIP_COMMITTED, Failpoint.FLIP_SETTLED),
        production="1.1.0",
        canaries=("1.2.0",),
    ),
    "promotion": Asked(
        "POST",
        "promote",
        {"version": "1.2.0"},
        (Failpoint.PROMOTION_DECIDED, *IN_THE_STORE, Failpoint.PROMOTION_COMMITTED, Failpoint.PROMOTION_SETTLED),
        production="1.2.0",
    ),
    "rollback": Asked(
        "POST",
        "rollback",
        {"reason": "INC-1"},
        (Failpoint.ROLLBACK_DECIDED, *IN_THE_STORE, Failpoint.ROLLBACK_COMMITTED, Failpoint.ROLLBACK_SETTLED),
        production="1.0.0",
    ),
}

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
