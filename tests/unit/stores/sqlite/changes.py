"""Changes to commit to a SQLite store, and the clock that it goes by."""

from datetime import UTC, datetime

from registry_client.versions import ModelVersion
from serving.core.audit import NOTHING_SEEN
from serving.core.lifecycle import FamilyRecord
from serving.ports import Transition
from tests.fakes.clock import FakeClock

V1 = ModelVersion.parse("1.0.0")

AT = datetime(2030, 1, 1, tzinfo=UTC)

CLOCK = FakeClock()


def transition(revision: int = 1, family: str = "digits") -> Transition:
    return Transition(
        record=FamilyRecord(family, revision, {V1: "a" * 64}, V1),
        expected_revision=revision - 1,
        actor="ada",
        action="promote 1.0.0",
        reason="",
        before={},
        after={},
        operation_id=f"{family}-{revision}",
        at=AT,
        seen=NOTHING_SEEN,
    )
