"""A rollout by a policy of every kind of stage, brought to where a test wants it."""

from dataclasses import replace
from datetime import timedelta

from serving.control.policies.parsing import parse_policy
from serving.core.assessing import Assessment, GuardVerdict
from serving.core.happenings import (
    Actor,
    Approve,
    Checked,
    Event,
    Observed,
    RollBack,
    Start,
)
from serving.core.policy import Policy
from serving.core.standing import Rollout
from serving.core.verdicts import Finding
from tests.fakes.rollout_world import BEGIN, OTHER, OWNER, step
from tests.unit.control.policies.examples import FULL

PINNED = parse_policy(FULL.replace("on: {harm: hold}}   #", "on: {harm: hold, no_data: rollback}}   #").encode())
POLICY: Policy = PINNED.policy
DRAFT = Rollout("digits", "1.1.0", "c" * 64, PINNED.digest, author="ada")
NOBODY = Actor("eve")
DAY = timedelta(days=1)


def verdicts(stage: str, finding: Finding = Finding.SAFE, *, units: int = 10_000, has_data: bool = True, **others: Finding) -> Assessment:
    """What the guards of a stage say: the same, but for those named."""
    [where] = [one for one in POLICY.stages if one.name == stage]
    said = tuple(
        GuardVerdict(guard.id, others.get(guard.id, finding), has_data, f"{guard.id} says so")
        for guard in POLICY.guards
        if guard.watches(where)
    )
    return Assessment(said, units, pairs=units)


def after(rollout: Rollout, *events: Event) -> Rollout:
    for event in events:
        rollout, _ = step(PINNED, rollout, event)
    return rollout


def at_stage(name: str) -> Rollout:
    """A rollout that has just entered a stage, in good time."""
    rollout, now = after(DRAFT, Start(BEGIN, OWNER)), BEGIN
    while POLICY.stages[rollout.stage].name != name:
        if POLICY.stages[rollout.stage].approve:
            rollout = after(rollout, Approve(now, OTHER))
        now += timedelta(hours=2)
        rollout = after(rollout, Observed(now, verdicts(POLICY.stages[rollout.stage].name)))
    assert rollout.entered is not None
    return rollout


def later(rollout: Rollout, span: timedelta) -> Observed:
    assert rollout.entered is not None
    return Observed(rollout.entered + span, verdicts(POLICY.stages[rollout.stage].name))


def rolling_back() -> Rollout:
    return after(at_stage("canary5"), RollBack(BEGIN, OWNER, "INC-1"))


def good(seconds: float, **changes: object) -> Checked:
    return replace(Checked(BEGIN + timedelta(seconds=seconds), is_acked=True, strays=0, is_probed=True, is_recovered=True), **changes)  # type: ignore[arg-type] # fields of their own types
