"""The semver gate at publish: the step that a version number declares against the step that its interface needs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from registry_client import compatibility
from registry_client.compatibility import baseline_of, required_bump, version_changes
from registry_client.errors import BumpTooSmall
from registry_client.manifest import Change, Manifest
from registry_client.versions import Bump, ModelVersion

Step = Literal["major", "minor", "patch", "first"]
_STEPS: dict[Bump, Step] = {Bump.PATCH: "patch", Bump.MINOR: "minor", Bump.MAJOR: "major"}


@dataclass(frozen=True, slots=True)
class Judgement:
    """A version that may be published: the change as the manifest shall tell it, and what its author should know."""

    change: Change
    warnings: tuple[str, ...] = ()


def judge(manifest: Manifest, published: Sequence[ModelVersion], read: Callable[[str, str], Manifest]) -> Judgement:
    """Compare a version with the greatest release below it. Raises `BumpTooSmall` with every rule that was broken.

    Rules that the author waived do not count; they stay in the manifest with their reason.
    """
    baseline = baseline_of(manifest.model_version, published)
    if baseline is None:
        return Judgement(msgspec.structs.replace(manifest.change, declared="first", computed_min="first"))
    declared = manifest.model_version.bump_from(baseline)
    changes = version_changes(read(manifest.family, str(baseline)), manifest)
    needed = required_bump(_not_waived(manifest, changes))
    if declared < needed:
        reasons = tuple(change.text for change in _not_waived(manifest, changes) if change.needs > declared)
        raise BumpTooSmall(manifest.version, str(baseline), declared=_STEPS[declared], needed=_STEPS[needed], reasons=reasons)
    change = msgspec.structs.replace(
        manifest.change,
        declared=_STEPS[declared],
        computed_min=_STEPS.get(needed, "patch"),
        interface_diff=tuple(f"{change.rule}: {change.text}" for change in changes),
    )
    return Judgement(change, _warnings(manifest, baseline, declared, needed))


def _not_waived(manifest: Manifest, changes: Sequence[compatibility.Change]) -> list[compatibility.Change]:
    waived = {waiver.rule for waiver in manifest.change.waivers}
    return [change for change in changes if change.rule not in waived]


def _warnings(manifest: Manifest, baseline: ModelVersion, declared: Bump, needed: Bump) -> tuple[str, ...]:
    found: list[str] = []
    if declared is Bump.MAJOR and needed < Bump.MAJOR:
        found.append(f"version: {manifest.version} is a major step from {baseline}, and nothing in the interface needs one")
    said = manifest.change.declared
    if said not in (None, _STEPS[declared]):
        found.append(f"change.declared: it says {said}, but from {baseline} to {manifest.version} is a {_STEPS[declared]} step")
    return tuple(found)
