"""The documents of the routes that compare two versions of a family, each with an example."""

from collections.abc import Iterable

from pydantic import Field

from registry_client.compatibility.judgement import STEPS, required_bump
from registry_client.compatibility.rules import Change
from registry_client.compatibility.upgrade import BehaviourStep, Delta, Upgrade
from serving.api.schemas import Document


class RuleChangeOut(Document):
    """One difference, the rule of the semver gate it falls under, and the step that rule needs."""

    rule: str = Field(examples=["input-removed"])
    area: str = Field(examples=["inputs"])
    needs: str | None = Field(description="major, minor or patch; null where no step allows it.", examples=["major"])
    text: str = Field(examples=["input language was removed or renamed"])


class BehaviourStepOut(Document):
    """What changed in the answers with one version on the way."""

    version: str = Field(examples=["2.5.0"])
    recorded: bool = Field(description="Whether anybody saw.", examples=[True])
    changes: list[RuleChangeOut]


class DeltaOut(Document):
    """One figure of the evaluations of both versions."""

    dataset: str = Field(examples=["held-out"])
    metric: str = Field(examples=["accuracy"])
    slice: str | None = Field(examples=[None])
    before: float | None = Field(examples=[0.91])
    after: float | None = Field(examples=[0.93])
    difference: float | None = Field(examples=[0.02])
    primary: bool = Field(description="Whether it is the task's primary metric.", examples=[True])
    clear: bool | None = Field(description="The intervals do not overlap; null where one is missing.", examples=[False])


class DiffOut(Document):
    """How two versions differ. Nothing was run: the behaviour is what was seen when they were published."""

    family: str = Field(examples=["customer-intent"])
    from_version: str = Field(examples=["2.4.1"])
    to_version: str = Field(examples=["2.5.0"])
    declared: str = Field(description="The step between their numbers.", examples=["minor"])
    needed: str = Field(description="The step that their differences need, as far as it is recorded.", examples=["minor"])
    interface: list[RuleChangeOut]
    behaviour: list[BehaviourStepOut]
    evaluation: list[DeltaOut]


class UpgradeOut(DiffOut):
    """What an upgrade asks of a consuming team, and why; the gravest reason first."""

    risk: str = Field(description="low, re-evaluate or migrate.", examples=["re-evaluate"])
    reasons: list[str] = Field(examples=[["2.5.0: 9 of 9 golden answers differ"]])


def diff_document(family: str, found: Upgrade) -> DiffOut:
    """How two versions differ."""
    return DiffOut(
        family=family,
        from_version=found.old,
        to_version=found.new,
        declared=STEPS[found.declared],
        needed=STEPS[required_bump([*found.interface, *(change for step in found.behaviour for change in step.changes)])],
        interface=_changes(found.interface),
        behaviour=[_step(step) for step in found.behaviour],
        evaluation=[_delta(delta) for delta in found.deltas],
    )


def upgrade_document(family: str, found: Upgrade) -> UpgradeOut:
    """What an upgrade asks of a consuming team."""
    return UpgradeOut(**dict(diff_document(family, found)), risk=found.risk.value, reasons=list(found.reasons))


def _changes(changes: Iterable[Change]) -> list[RuleChangeOut]:
    return [
        RuleChangeOut(
            rule=change.rule.id,
            area=change.rule.area.value,
            needs=None if change.rule.is_refusal else STEPS[change.needs],
            text=change.text,
        )
        for change in changes
    ]


def _step(step: BehaviourStep) -> BehaviourStepOut:
    return BehaviourStepOut(version=step.version, recorded=step.recorded, changes=_changes(step.changes))


def _delta(delta: Delta) -> DeltaOut:
    return DeltaOut(
        dataset=delta.dataset,
        metric=delta.metric,
        slice=delta.slice,
        before=delta.before,
        after=delta.after,
        difference=delta.difference,
        primary=delta.is_primary,
        clear=delta.is_clear,
    )
