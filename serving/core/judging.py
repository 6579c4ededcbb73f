"""What an assessment means for a rollout: what its stage still misses, and what follows from harm."""

from collections.abc import Iterator
from datetime import datetime

from serving.core.assessing import Assessment, GuardVerdict
from serving.core.policy import Action, Policy, Stage
from serving.core.standing import Rollout
from serving.core.verdicts import Finding


def missing(policy: Policy, rollout: Rollout, assessment: Assessment, at: datetime) -> Iterator[str]:
    """What the stage needs and has not: while there is anything, it does not advance."""
    stage = policy.stages[rollout.stage]
    yield from _missing_counts(stage, assessment)
    least = max(stage.need.time, stage.soak)
    if rollout.entered is None or at - rollout.entered < least:
        yield f"less than {least} in stage {stage.name}"
    for name in stage.need.safe:
        verdict = assessment.of(name)
        if name not in rollout.overridden and not _is_safe(verdict):
            yield f"{name} is {'not heard' if verdict is None else verdict.finding.value}"
    for verdict in heeded(rollout, assessment):
        if verdict.finding is Finding.HARM and verdict.guard not in stage.need.safe:
            yield f"{verdict.guard} finds harm"
    if stage.approve is not None and not rollout.approvals:
        yield f"the word of {stage.approve.role}"


def _is_safe(verdict: GuardVerdict | None) -> bool:
    return verdict is not None and verdict.has_data and verdict.finding is Finding.SAFE


def _missing_counts(stage: Stage, assessment: Assessment) -> Iterator[str]:
    if assessment.units < stage.need.units:
        yield f"{assessment.units:,} of {stage.need.units:,} units"
    if assessment.pairs < stage.need.pairs:
        yield f"{assessment.pairs:,} of {stage.need.pairs:,} pairs"


def harm(policy: Policy, rollout: Rollout, assessment: Assessment) -> tuple[Action, str, str] | None:
    """The worst that follows from harm, its signal and its reason."""
    if assessment.trip:
        return Action.ROLLBACK, "tripwire", assessment.trip
    found = [verdict for verdict in heeded(rollout, assessment) if verdict.finding is Finding.HARM]
    found.sort(key=lambda verdict: policy.guard(verdict.guard).on.harm is not Action.ROLLBACK)
    if not found:
        return None
    return policy.guard(found[0].guard).on.harm, found[0].guard, found[0].sentence


def heeded(rollout: Rollout, assessment: Assessment) -> list[GuardVerdict]:
    """The verdicts of the guards that nobody overrode."""
    return [verdict for verdict in assessment.verdicts if verdict.guard not in rollout.overridden]


def said(verdicts: list[GuardVerdict]) -> str:
    """Guards and their sentences, for people."""
    return "; ".join(f"{verdict.guard}: {verdict.sentence}" for verdict in verdicts)
