"""What a rollback would do, before anybody asks for it: pure, from the record and what runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from registry_client.versions import ModelVersion, VersionRange
from serving.core.changes import WayBack, way_back
from serving.core.consumers import Consumers, left_behind, told
from serving.core.errors import ChangeRefused
from serving.core.lifecycle import FamilyRecord
from serving.core.refusals import named
from serving.ports import LoadState, LoadStatus

FLIP_SECONDS = 0.25
"""From the change to the last gateway that follows it: the promised 99th percentile."""

LOAD_SECONDS = 10.0
"""A cold start of a version's process with its model and its golden examples, as a rule of thumb."""


@dataclass(frozen=True, slots=True)
class RollbackPlan:
    """What a rollback would do now; `sentence` says it, or says why there is no way back."""

    family: str
    possible: bool
    current: ModelVersion | None
    """The version in production now."""
    to: ModelVersion | None
    """The version in production afterwards; the current one when only canaries are dropped."""
    drops: tuple[ModelVersion, ...]
    """Canaries that would end."""
    condemns: tuple[ModelVersion, ...]
    """Versions that would be quarantined."""
    state: LoadState | None
    """How far `to` is loaded; None when it is not."""
    estimated_seconds: float | None
    sentence: str
    breaks: Consumers = field(default_factory=dict[str, VersionRange])
    """Registered consumers that cannot take `to`, with the versions that they can. A rollback is told, and made all the same."""

    @property
    def leaves(self) -> ModelVersion | None:
        """The production that would be left, if it would be."""
        return self.current if self.possible and self.to != self.current else None

    @property
    def ready(self) -> bool:
        """Whether the version to go back to would answer at once."""
        return self.state is LoadState.READY


def plan_of(record: FamilyRecord, states: Sequence[LoadStatus], to: ModelVersion | None = None) -> RollbackPlan:
    """What a rollback would do to a family in this state."""
    try:
        back = way_back(record, to)
    except ChangeRefused as refused:
        return no_plan(record, refused)
    status = statuses_of(record, states).get(back.target)
    state = None if status is None else status.state
    breaks = left_behind(record.consumers, back.target)
    also = f"; leaves behind {told(breaks)}" if breaks else ""
    return RollbackPlan(
        family=record.family,
        possible=True,
        current=record.production,
        to=back.target,
        drops=back.dropped,
        condemns=back.condemned,
        state=state,
        estimated_seconds=FLIP_SECONDS if state is LoadState.READY else LOAD_SECONDS,
        sentence=f"{_deed(record, back)}; {_readiness(back.target, state)}{also}",
        breaks=breaks,
    )


def no_plan(record: FamilyRecord, refused: ChangeRefused) -> RollbackPlan:
    """Why a rollback would be refused."""
    why = f"{refused}; {refused.hint}"
    return RollbackPlan(record.family, False, record.production, None, (), (), None, None, why)  # noqa: FBT003 - the field says it


def statuses_of(record: FamilyRecord, states: Sequence[LoadStatus]) -> Mapping[ModelVersion, LoadStatus]:
    """How far the family's versions are loaded, each as exactly the bytes that the record means."""
    return {
        status.target.version: status
        for status in states
        if status.target.family == record.family and record.digests.get(status.target.version) == status.target.digest
    }


def _deed(record: FamilyRecord, back: WayBack) -> str:
    if back.target == record.production:
        return f"drops and quarantines {named(back.dropped)}; {back.target} stays in production"
    also = f", drops {named(back.dropped)}" if back.dropped else ""
    return f"puts {back.target} into production and quarantines {named(back.condemned)}{also}"


def _readiness(target: ModelVersion, state: LoadState | None) -> str:
    if state is LoadState.READY:
        return f"{target} is loaded and answers at once"
    return f"{target} is {'not loaded' if state is None else state.value} and answers as soon as it is ready"
