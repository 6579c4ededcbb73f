"""Who may answer whoever names no version, and how many probes production has to answer of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from registry_client.versions import ModelVersion
from serving.control.proof import Probe, answering, faults_of
from serving.core.lifecycle import Canary, FamilyRecord
from serving.core.standing import Rollout, State
from serving.core.traffic import WHOLE, End, Slice
from serving.core.underway import Terms, Underway

V1, V2 = ModelVersion.parse("1.0.0"), ModelVersion.parse("1.1.0")
AT = datetime(2030, 1, 1, tzinfo=UTC)
PLAIN = FamilyRecord("digits", digests={V1: "1" * 64, V2: "2" * 64}, production=V1)


def held_back(weight: int) -> FamilyRecord:
    """1.1.0 is live, and some callers stay with 1.0.0."""
    rollout = Rollout("digits", "1.1.0", "2" * 64, "p" * 64, "ada", state=State.LIVE, warm_until=AT + timedelta(hours=1))
    return replace(PLAIN, production=V2, previous=(V1,), rollout=Underway("digits-1.1.0-3", rollout, "{}", AT, Terms(holdback=weight)))


def canary(weight: int) -> FamilyRecord:
    return replace(PLAIN, canaries=(Canary(V2, Slice(End.LOW, weight)),))


def probes(version: str, count: int = 20) -> tuple[Probe, ...]:
    return (Probe("a digit", version, 4, 0.01),) * count


def test_whoever_is_held_back_is_answered_as_they_should_be() -> None:
    assert answering(held_back(2_000)) == {"1.1.0": 0.8, "1.0.0": 0.2}
    assert answering(canary(500)) == {"1.0.0": 0.95, "1.1.0": 0.05}
    assert answering(PLAIN) == {"1.0.0": 1.0}


@pytest.mark.parametrize(
    ("record", "others", "count", "is_proof"),
    [
        (PLAIN, "1.1.0", 20, False),
        (PLAIN, "1.1.0", 0, False),
        (canary(5_000), "1.1.0", 20, False),  # once in a million times
        (canary(5_000), "1.1.0", 3, True),
        (canary(WHOLE), "1.1.0", 20, True),  # while it soaks, production answers nobody
        (held_back(500), "1.0.0", 20, False),
    ],
)
def test_production_has_to_answer_a_probe_unless_it_need_not(record: FamilyRecord, others: str, count: int, *, is_proof: bool) -> None:
    assert (not [*faults_of(probes(others, count), record)]) is is_proof
