"""What an upgrade means for a consuming team: whether they may take it, should evaluate again, or must change their code.

Nothing is run: the interface is compared, and the behaviour is what the gate saw and wrote down when each version was published.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from registry_client.compatibility.behaviour import behaviour_changes
from registry_client.compatibility.interface import Contract, interface_changes
from registry_client.compatibility.rules import RULES, Area, Change
from registry_client.manifest import Evaluation, Manifest
from registry_client.versions import Bump, ModelVersion

_RULES = {rule.id: rule for rule in RULES}


class Risk(StrEnum):
    """What is asked of a consuming team."""

    LOW = "low"
    """Nothing."""
    RE_EVALUATE = "re-evaluate"
    """Answers differ behind the same interface: evaluate on their own data."""
    MIGRATE = "migrate"
    """What they send or read must change."""


_GRAVITY = tuple(Risk)


@dataclass(frozen=True, slots=True)
class Delta:
    """One figure in both versions' evaluations; None where only the other has it. `is_clear`: the intervals do not overlap."""

    dataset: str
    metric: str
    slice: str | None
    before: float | None
    after: float | None
    is_primary: bool
    is_clear: bool | None
    """None where an interval is missing."""

    @property
    def difference(self) -> float | None:
        """After less before."""
        return None if self.before is None or self.after is None else self.after - self.before


@dataclass(frozen=True, slots=True)
class BehaviourStep:
    """What changed in the answers with one version on the way. `recorded` is false where nobody saw."""

    version: str
    changes: tuple[Change, ...]
    recorded: bool


@dataclass(frozen=True, slots=True)
class Upgrade:
    """The answer to a consuming team that goes from one version to another; back as well as forth."""

    old: str
    new: str
    declared: Bump
    risk: Risk
    reasons: tuple[str, ...]
    interface: tuple[Change, ...]
    behaviour: tuple[BehaviourStep, ...]
    deltas: tuple[Delta, ...]


def upgrade(old: Manifest, new: Manifest, steps: Sequence[Manifest]) -> Upgrade:
    """Weigh an upgrade. `steps`: the versions on the way, the lower of the two left out (see `previous_step`)."""
    interface = interface_changes(Contract.of(old), Contract.of(new))
    behaviour = _behaviour(old, new, steps)
    deltas = tuple(evaluation_deltas(old, new))
    reasons = [*_interface_reasons(interface), *_behaviour_reasons(behaviour), *_evaluation_reasons(deltas, _announced(steps))]
    low, high = sorted((old.model_version, new.model_version))
    return Upgrade(
        old=old.version,
        new=new.version,
        declared=high.bump_from(low),
        risk=max((risk for risk, _ in reasons), key=_GRAVITY.index, default=Risk.LOW),
        reasons=tuple(text for _, text in sorted(reasons, key=lambda reason: -_GRAVITY.index(reason[0]))),
        interface=interface,
        behaviour=behaviour,
        deltas=deltas,
    )


def previous_step(manifest: Manifest, published: Sequence[ModelVersion]) -> ModelVersion | None:
    """The version before this one on its way up: the one it was judged against, or else the release below."""
    compared = manifest.change.compared_with
    if compared is not msgspec.UNSET:
        below = [version for version in (ModelVersion.parse(one.version) for one in compared) if version < manifest.model_version]
        if below:
            return max(below)
    return max((one for one in published if one < manifest.model_version and not one.is_prerelease), default=None)


def _behaviour(old: Manifest, new: Manifest, steps: Sequence[Manifest]) -> tuple[BehaviourStep, ...]:
    low, high = sorted((old, new), key=lambda manifest: manifest.model_version)
    if low.version == high.version:
        return ()
    at_once = tuple(behaviour_changes(low, high, None, None))
    if at_once:  # nothing, or nothing that answers, lies between them, whatever was tried on the way
        return (BehaviourStep(high.version, at_once, recorded=True),)
    if low.behaviour_sha256 == high.behaviour_sha256 is not msgspec.UNSET:
        return ()
    return tuple(_recorded(step) for step in steps)


def _recorded(step: Manifest) -> BehaviourStep:
    written = step.change.behaviour_diff
    if written is msgspec.UNSET:
        return BehaviourStep(step.version, (), recorded=False)
    parted = [line.partition(": ") for line in written]
    changes = tuple(Change(_RULES[rule], text) for rule, _, text in parted if rule in _RULES)
    return BehaviourStep(step.version, changes, recorded=len(changes) == len(parted))


def _interface_reasons(changes: Sequence[Change]) -> list[tuple[Risk, str]]:
    """What breaks must be migrated; new labels turn up in answers; whatever else is new can be left alone."""
    found: list[tuple[Risk, str]] = []
    for change in changes:
        if change.needs is Bump.MAJOR:
            found.append((Risk.MIGRATE, change.text))
        else:
            found.append((Risk.RE_EVALUATE if change.rule.area is Area.LABELS else Risk.LOW, change.text))
    return found


_RISK_OF_STEP: Mapping[Bump, Risk] = {
    Bump.NONE: Risk.LOW,
    Bump.PATCH: Risk.LOW,
    Bump.MINOR: Risk.RE_EVALUATE,
    Bump.MAJOR: Risk.MIGRATE,
}


def _behaviour_reasons(steps: Sequence[BehaviourStep]) -> list[tuple[Risk, str]]:
    found = [(_RISK_OF_STEP[change.needs], f"{step.version}: {change.text}") for step in steps for change in step.changes]
    unseen = [step.version for step in steps if not step.recorded]
    if unseen:
        found.append((Risk.RE_EVALUATE, f"what {', '.join(unseen)} changed in the answers was not recorded"))
    return found


# --- evaluations ----------------------------------------------------------------------------------------------------


def evaluation_deltas(old: Manifest, new: Manifest) -> list[Delta]:
    """Every figure that one of the two states, the primary metric's first."""
    before, after = ({_key(entry): entry for entry in manifest.evaluation} for manifest in (old, new))
    primary = new.task.primary_metric
    found = [_delta(key, before.get(key), after.get(key), primary) for key in {**before, **after}]
    return sorted(found, key=lambda delta: (not delta.is_primary, delta.slice is not None, delta.dataset, delta.metric, delta.slice or ""))


def _key(entry: Evaluation) -> tuple[str, str, str | None]:
    return entry.dataset, entry.metric, entry.slice


def _delta(key: tuple[str, str, str | None], before: Evaluation | None, after: Evaluation | None, primary: str | None) -> Delta:
    dataset, metric, part = key
    clear = None
    if before is not None and after is not None and before.ci is not None and after.ci is not None:
        clear = before.ci[1] < after.ci[0] or after.ci[1] < before.ci[0]
    return Delta(
        dataset=dataset,
        metric=metric,
        slice=part,
        before=None if before is None else before.value,
        after=None if after is None else after.value,
        is_primary=metric == primary,
        is_clear=clear,
    )


def _announced(steps: Sequence[Manifest]) -> frozenset[str]:
    """The slices that the versions on the way were declared to answer otherwise."""
    return frozenset(name for step in steps if step.change.slices is not msgspec.UNSET for name in step.change.slices)


def _evaluation_reasons(deltas: Sequence[Delta], announced: frozenset[str]) -> list[tuple[Risk, str]]:
    return [
        (
            Risk.LOW if delta.slice in announced else Risk.RE_EVALUATE,
            f"{_figure(delta)} went from {delta.before:g} to {delta.after:g}, more than chance explains",
        )
        for delta in deltas
        if delta.is_clear
    ]


def _figure(delta: Delta) -> str:
    return f"{delta.metric} on {delta.dataset}{f', slice {delta.slice}' if delta.slice else ''}"
