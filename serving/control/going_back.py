"""Whether a family has gone back only just now: whoever then asks for a rollback, and names no version, means that one and not one more."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from registry_client.versions import ModelVersion
from serving.core.changes import way_back
from serving.core.lifecycle import FamilyRecord
from serving.core.refusals import NothingToRollBack, WentBackAlready
from serving.core.standing import State
from serving.ports import AuditEntry, StateStore

LATELY = timedelta(seconds=30)
"""Two people, or a guard and a person, who saw the same trouble answer it within so long of each other."""

LOOK_BACK = 20
"""Changes of the family among which its last rollback is looked for; the controller's own few follow it."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A rollback that would take production out, and when."""

    record: FamilyRecord
    at: datetime

    @property
    def is_going_back(self) -> bool:
        """Whether a rollout's rollback is not verified yet."""
        return self.record.rollout is not None and self.record.rollout.rollout.state is State.ROLLING_BACK


async def refuse_one_too_many(store: StateStore, record: FamilyRecord, to: ModelVersion | None, at: datetime) -> None:
    """Raise `WentBackAlready` where production would go by a second rollback; one that names its version is never refused."""
    if to is not None or record.production is None:
        return
    try:
        further = way_back(record).target
    except NothingToRollBack:
        further = None
    if further == record.production:
        return
    last = _last(await store.history(record.family, limit=LOOK_BACK), _Asked(record, at))
    if last is not None:
        raise WentBackAlready(record.family, production=record.production, further=further, at=last.at, who=last.actor, why=last.reason)


def _last(entries: Sequence[AuditEntry], asked: _Asked) -> AuditEntry | None:
    """The rollback, since which nothing was put into production."""
    for entry in entries:
        # Either way round: the clock may have been put back, or be another node's.
        if abs(asked.at - entry.at) > LATELY and not asked.is_going_back:
            return None
        if _quarantined(entry.after) - _quarantined(entry.before):
            return entry
        if "production" in entry.after:
            return None
    return None


def _quarantined(part: object) -> frozenset[str]:
    named = cast("dict[str, dict[str, str]]", part).get("quarantined", {})
    return frozenset(named)
