"""What follows for a rollout from what was seen: what its stage still misses, what harm leads to, and what keeps a rollback open."""

from collections.abc import Iterator
from datetime import timedelta

from serving.core.assessing import Assessment, GuardVerdict
from serving.core.happenings import AUTO, Checked, Observed, RollBack
from serving.core.policy import Action, Policy, Stage
from serving.core.standing import Rollout, State
from serving.core.verdicts import Finding


def missing(policy: Policy, rollout: Rollout, assessment: Assessment) -> Iterator[str]:
    """What the stage needs and has not: while there is anything, it does not advance."""
    stage = policy.stages[rollout.stage]
    yield from _missing_counts(stage, assessment)
    least = max(stage.need.time, stage.soak)
    if assessment.spent < least:
        yield f"{lasting(assessment.spent)} of {lasting(least)} in stage {stage.name}"
    needed = policy.needed(stage)
    for name in needed:
        verdict = assessment.of(name)
        if name not in rollout.overridden and not _is_safe(verdict):
            yield f"{name} is {'not heard' if verdict is None else verdict.finding.value}"
    for verdict in heeded(rollout, assessment):
        if verdict.finding is Finding.HARM and verdict.guard not in needed:
            yield f"{verdict.guard} finds harm"
    if assessment.missed:
        yield f"{', '.join(assessment.missed)} to be heard: no stage is passed while a gateway is not"
    if stage.approve is not None and not rollout.approvals:
        yield f"the word of {stage.approve.role}"


def _is_safe(verdict: GuardVerdict | None) -> bool:
    return verdict is not None and verdict.has_data and verdict.finding is Finding.SAFE


def _missing_counts(stage: Stage, assessment: Assessment) -> Iterator[str]:
    if not assessment.units and not stage.need.units:
        yield f"nothing of the candidate was seen in stage {stage.name} yet"
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


def unheard(rollout: Rollout, assessment: Assessment) -> list[GuardVerdict]:
    """Those of them that hear nothing of the candidate."""
    return [verdict for verdict in heeded(rollout, assessment) if not verdict.has_data]


def way_back(policy: Policy, rollout: Rollout, event: Observed) -> RollBack | None:
    """The rollback that follows by itself: from harm, whatever the state; from silence, unless somebody decided that it be held."""
    found = harm(policy, rollout, event.assessment)
    if found is not None and found[0] is Action.ROLLBACK:
        return RollBack(event.at, AUTO, found[2], found[1], detected=event.at)
    silent = unheard(rollout, event.assessment)
    is_undecided = rollout.held is None or rollout.held.is_passing
    if is_undecided and any(policy.guard(verdict.guard).on.no_data is Action.ROLLBACK for verdict in silent):
        return RollBack(event.at, AUTO, f"no data: {said(silent)}", "no-data", detected=event.at)
    return None


def unheeded_harm(policy: Policy, rollout: Rollout, assessment: Assessment) -> list[GuardVerdict]:
    """The harm of a live candidate from which nothing follows by itself: its guards hold, and there is nothing to hold."""
    if rollout.state is not State.LIVE or rollout.warm_until is None:
        return []
    found = [verdict for verdict in heeded(rollout, assessment) if verdict.finding is Finding.HARM]
    return [verdict for verdict in found if policy.guard(verdict.guard).on.harm is not Action.ROLLBACK]


def lasting(span: timedelta) -> str:
    """A time for people, in its two largest units; a part of a second is none."""
    left, parts = max(int(span.total_seconds()), 0), list[str]()
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, left = divmod(left, length)
        parts += [f"{count} {unit}"] if count else []
    return " ".join(parts[:2]) or "0 s"


def said(verdicts: list[GuardVerdict]) -> str:
    """Guards and their sentences, for people."""
    return "; ".join(f"{verdict.guard}: {verdict.sentence}" for verdict in verdicts)


def open_ends(event: Checked, *, flipped: bool) -> str:
    """What keeps a rollback from being over, for people."""
    ends = {
        "the flip is not confirmed": not flipped,
        "not every gateway acked": not event.is_acked,
        f"{event.strays} stray answers": event.strays > 0,
        "golden probes have not passed yet": not event.is_probed,
        "errors have not recovered": not event.is_recovered,
    }
    return ", ".join(end for end, is_open in ends.items() if is_open) or "too little time since the flip"
