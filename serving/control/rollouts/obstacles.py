"""What stands in the way of a rollout's start: pure, each as a sentence."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from registry_client.versions import ModelVersion
from serving.core.consumers import left_behind, told
from serving.core.lifecycle import FamilyRecord
from serving.core.policy import Policy
from serving.core.refusals import named
from serving.core.standing import State


@dataclass(frozen=True, slots=True)
class Candidate:
    """The version that is to be started, and whether it is loaded and verified."""

    version: ModelVersion
    is_ready: bool
    goes_all_the_same: bool = False
    """Whether whoever starts it has given a reason for going past what only people can judge."""


def obstacles(record: FamilyRecord, candidate: Candidate, policy: Policy, at: datetime) -> tuple[str, ...]:
    """All of them."""
    return tuple(_obstacles(record, candidate, policy, at))


def _obstacles(record: FamilyRecord, candidate: Candidate, policy: Policy, at: datetime) -> Iterator[str]:
    if record.production is None:
        yield "no version is in production to compare it with"
    if candidate.version == record.production:
        yield f"{candidate.version} is in production already"
    elif not candidate.is_ready:
        yield f"{candidate.version} is not ready: tag it candidate and wait until it is"
    if record.canaries and not _is_afoot(record):
        yield f"{named(record.canary_versions)} is a canary by hand: end it, or promote it"
    behind = left_behind(record.consumers, candidate.version)
    if behind and not candidate.goes_all_the_same:
        yield f"{candidate.version} leaves behind {told(behind)}: move them first, or start it with an override"
    yield from _other(record, policy, at)


def _other(record: FamilyRecord, policy: Policy, at: datetime) -> Iterator[str]:
    if record.rollout is None:
        return
    rollout = record.rollout.rollout
    if _is_afoot(record):
        yield f"the rollout of {rollout.version} is {rollout.state}: supersede it, or wait"
    elif rollout.state is State.ROLLING_BACK:
        yield f"the rollback of {rollout.version} is not verified yet"
    elif rollout.state is State.ROLLED_BACK and rollout.receipt is not None:
        until = rollout.receipt.decided + policy.rollback.cooldown
        if at < until:
            yield f"{rollout.version} was rolled back lately: cooling down until {until:%Y-%m-%d %H:%M:%S} UTC"


def _is_afoot(record: FamilyRecord) -> bool:
    return record.rollout is not None and record.rollout.is_afoot
