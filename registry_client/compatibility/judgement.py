"""The verdict of the semver gate: the step that a version number declares against the step that its changes need."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from registry_client.compatibility.baselines import Baseline
from registry_client.compatibility.rules import Change
from registry_client.errors import BumpTooSmall, NothingChanged
from registry_client.manifest import Change as ManifestChange
from registry_client.manifest import Manifest, Predecessor, Step
from registry_client.versions import Bump, ModelVersion

STEPS: Final[dict[Bump, Step]] = {Bump.NONE: "patch", Bump.PATCH: "patch", Bump.MINOR: "minor", Bump.MAJOR: "major"}
"""The word for each step; the smallest that a version can declare is a patch."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A version beside one baseline: what changed from the lower of the two to the higher, and what the numbers declare."""

    baseline: Baseline
    digest: str
    """Of the baseline's manifest."""
    declared: Bump
    interface: tuple[Change, ...]
    behaviour: tuple[Change, ...]
    was_run: bool
    """Whether both versions were run; otherwise only their manifests were compared."""

    @property
    def changes(self) -> tuple[Change, ...]:
        """All that changed."""
        return (*self.interface, *self.behaviour)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the gate has found. `forbids` is what publishing would raise; `change` is what the manifest shall tell."""

    comparisons: tuple[Comparison, ...]
    change: ManifestChange
    warnings: tuple[str, ...] = ()
    forbids: BumpTooSmall | NothingChanged | None = None
    is_generous: bool = False
    """Whether the number declares a greater step than what changed needs."""

    @property
    def line(self) -> Comparison | None:
        """The comparison with the version below, or, where there is none, with the first that is tagged."""
        return next(iter(self.comparisons), None)


def required_bump(changes: Sequence[Change]) -> Bump:
    """The step that allows all the changes."""
    return max((change.needs for change in changes), default=Bump.NONE)


def judge(manifest: Manifest, comparisons: Sequence[Comparison]) -> Judgement:
    """Weigh what was found against each baseline. Rules that the author waived do not count, and stay on record."""
    if not comparisons:
        first = msgspec.structs.replace(manifest.change, declared="first", computed_min="first")
        return Judgement((), first, tuple(_idle_waivers(manifest, comparisons)))
    line = comparisons[0]
    needed = required_bump(_counted(manifest, line))
    change = msgspec.structs.replace(
        manifest.change,
        declared=STEPS[line.declared],
        computed_min=STEPS[needed],
        interface_diff=tuple(map(str, line.interface)),
        behaviour_diff=tuple(map(str, line.behaviour)) if line.was_run else msgspec.UNSET,
        compared_with=tuple(Predecessor(version=str(each.baseline.version), digest=each.digest) for each in comparisons),
    )
    generous = _is_generous(manifest, line, needed)
    warnings = _warnings(manifest, comparisons, needed, generous=generous)
    return Judgement(tuple(comparisons), change, tuple(warnings), _refusal(manifest, comparisons), generous)


def waived(manifest: Manifest, change: Change) -> bool:
    """Whether the author has set the change's rule aside."""
    return any(waiver.rule == change.rule.id for waiver in manifest.change.waivers)


def _counted(manifest: Manifest, comparison: Comparison) -> list[Change]:
    return [change for change in comparison.changes if not waived(manifest, change)]


def _refusal(manifest: Manifest, comparisons: Sequence[Comparison]) -> BumpTooSmall | NothingChanged | None:
    line = comparisons[0]
    if any(change.rule.is_refusal for change in _counted(manifest, line)):  # to repeat one further back is to go back to it
        return NothingChanged(manifest.version, str(line.baseline.version))
    for comparison in comparisons:
        changes = _counted(manifest, comparison)
        broken = [change for change in changes if change.needs > comparison.declared]
        if broken:
            needed = required_bump(changes)
            return BumpTooSmall(
                manifest.version,
                str(comparison.baseline),
                declared=STEPS[comparison.declared],
                needed=STEPS[needed],
                reasons=tuple(map(str, broken)),
                suggested=max(line.baseline.version, comparison.baseline.version, manifest.model_version).after(needed),
            )
    return None


def _lowest(manifest: Manifest) -> Bump:
    """Below 1.0.0 the last number is a MINOR step, and there is no smaller one."""
    return Bump.PATCH if manifest.model_version.core[0] else Bump.MINOR


def _is_generous(manifest: Manifest, line: Comparison, needed: Bump) -> bool:
    return line.declared > max(needed, _lowest(manifest)) and manifest.model_version > line.baseline.version


def _warnings(manifest: Manifest, comparisons: Sequence[Comparison], needed: Bump, *, generous: bool) -> list[str]:
    line, found = comparisons[0], list[str]()
    if generous:
        found.append(
            f"version: {manifest.version} is a {STEPS[line.declared]} step from {line.baseline.version}, and what changed needs only a "
            f"{STEPS[max(needed, _lowest(manifest))]} one"
        )
    said = manifest.change.declared
    if said not in {None, STEPS[line.declared]}:
        found.append(
            f"change.declared: it says {said}, but from {line.baseline.version} to {manifest.version} is a {STEPS[line.declared]} step"
        )
    if any(not comparison.was_run and not comparison.behaviour for comparison in comparisons):
        found.append("behaviour: the versions were not run side by side, only their interfaces were compared")
    return [*found, *_idle_waivers(manifest, comparisons)]


def _idle_waivers(manifest: Manifest, comparisons: Sequence[Comparison]) -> list[str]:
    broken = {change.rule.id for comparison in comparisons for change in comparison.changes}
    idle = sorted({waiver.rule for waiver in manifest.change.waivers} - broken)
    return [f"change.waivers: {rule} is waived, and nothing falls under it" for rule in idle]


def declared_step(baseline: ModelVersion, version: ModelVersion) -> Bump:
    """The step between two versions, from the lower to the higher."""
    return max(baseline, version).bump_from(min(baseline, version))
