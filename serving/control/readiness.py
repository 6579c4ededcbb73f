"""Whether a rollback would work now: the proof that is asked for before anything is promoted. Pure.

A version that is READY was fetched, its every digest verified, its golden examples passed, and it answers: in its own process, now.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from registry_client.versions import ModelVersion
from serving.control.plans import RollbackPlan, plan_of, statuses_of
from serving.core.drills import trend_of
from serving.core.lifecycle import FamilyRecord
from serving.ports import LoadState, LoadStatus

MOST_SECONDS = 300.0
"""A way back that takes longer is none."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether there is a way back, where it leads, and how long it is expected to take, in seconds."""

    family: str
    version: ModelVersion | None
    """In production now."""
    to: ModelVersion | None
    digest: str
    """Of `to`, verified when it was loaded."""
    estimated_seconds: float | None
    """Until it is proven: by the drills that passed, or, without any, by the rule for its load state until it answers."""
    faults: tuple[str, ...]
    sentence: str

    @property
    def is_proven(self) -> bool:
        """Whether a rollback would work at once."""
        return not self.faults


def readiness_of(record: FamilyRecord, states: Sequence[LoadStatus]) -> Readiness:
    """How it stands with a family."""
    plan = plan_of(record, states)
    seconds = _seconds(record, plan)
    faults = _faults(plan, seconds)
    return Readiness(
        family=record.family,
        version=record.production,
        to=plan.to,
        digest="" if plan.to is None else record.digests[plan.to],
        estimated_seconds=seconds,
        faults=faults,
        sentence=_sentence(plan, seconds, faults),
    )


def hindrances(record: FamilyRecord, states: Sequence[LoadStatus]) -> tuple[str, ...]:
    """What speaks against a rollout's start: afterwards today's production is the way back, and it must be a good one."""
    production = record.production
    if production is None:
        return ()
    status = statuses_of(record, states).get(production)
    if status is not None and status.state is LoadState.READY:
        return ()
    state = "not loaded" if status is None else f"{status.state.value} {status.detail}".strip()
    return (f"{production}, the way back, is {state}: a rollback would wait for it",)


def _seconds(record: FamilyRecord, plan: RollbackPlan) -> float | None:
    practised = trend_of(record.drills).median
    return practised if plan.ready and practised is not None else plan.estimated_seconds


def _faults(plan: RollbackPlan, seconds: float | None) -> tuple[str, ...]:
    if not plan.possible:
        return (plan.sentence,)
    faults: list[str] = []
    if not plan.ready:
        faults.append(f"{plan.to} is {'not loaded' if plan.state is None else plan.state.value}")
    if seconds is not None and seconds > MOST_SECONDS:
        faults.append(f"it would take {seconds:.0f} s, more than {MOST_SECONDS:.0f}")
    return tuple(faults)


def _sentence(plan: RollbackPlan, seconds: float | None, faults: tuple[str, ...]) -> str:
    if not plan.possible:
        return f"There is no way back: {plan.sentence}"
    how = "proven: loaded, every digest verified, golden examples passed" if not faults else f"not proven: {'; '.join(faults)}"
    about = "" if seconds is None else f", in about {seconds:.2g} s"
    return f"A rollback leads to {plan.to}{about}; {how}"
