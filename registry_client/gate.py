"""The semver gate: finds what a version must be compared with, compares, and hands down a judgement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from registry_client.compatibility.baselines import Baseline, Tags, baselines_of, next_above
from registry_client.compatibility.behaviour import Behaviour, Precision, behaviour_changes
from registry_client.compatibility.interface import Contract, gravest_first, interface_changes
from registry_client.compatibility.judgement import STEPS, Comparison, Judgement, declared_step, judge
from registry_client.errors import UnknownFamily
from registry_client.manifest import Manifest
from registry_client.observing import Observed, Readable, Runs, observe, precision_of
from registry_client.versions import ModelVersion


class Registry(Protocol):
    """What the gate reads of a registry; raises as `RegistryClient` does."""

    def versions(self, family: str) -> Sequence[ModelVersion]:
        """A family's versions."""
        ...

    def manifest(self, family: str, version: str) -> Manifest:
        """One version's manifest."""
        ...

    def fetch(self, family: str, version: str) -> Readable:
        """One version with its files, verified."""
        ...


@dataclass(frozen=True, slots=True)
class Seen:
    """What two versions showed beside each other; nothing of it is known where only manifests were read."""

    behaviour: Behaviour | None = None
    precision: Precision | None = None


@dataclass(frozen=True, slots=True)
class Examined:
    """A judgement, and what was observed on the way to it."""

    judgement: Judgement
    observed: Observed


class Gate:
    """Judges versions against those of one registry."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def baselines(self, family: str, version: ModelVersion, tags: Tags | None = None) -> tuple[Baseline, ...]:
        """What a version is judged against."""
        return baselines_of(version, self._published(family), tags or {})

    def judge(self, manifest: Manifest) -> Judgement:
        """Judge by what the manifests tell: the interface, and whether anything changed. Runs nothing, reads no other file."""
        found = self.baselines(manifest.family, manifest.model_version)
        manifests = [self._registry.manifest(manifest.family, str(baseline.version)) for baseline in found]
        comparisons = [compare(baseline, old, manifest, Seen()) for baseline, old in zip(found, manifests, strict=True)]
        return self._with_word_on_the_next(manifest, judge(manifest, comparisons))

    def examine(self, version: Readable, runs: Runs, tags: Tags | None = None) -> Examined:
        """Judge by running it and its baselines on this machine. Raises `CannotRun` when the version itself does not load."""
        manifest = version.manifest
        found = self.baselines(manifest.family, manifest.model_version, tags)
        fetched = [self._registry.fetch(manifest.family, str(baseline.version)) for baseline in found]
        observed = observe(version, fetched, runs)
        seen = _seen(version, fetched, observed.behaviours)
        comparisons = [
            compare(baseline, each.manifest, manifest, seen[each.manifest.version]) for baseline, each in zip(found, fetched, strict=True)
        ]
        return Examined(self._with_word_on_the_next(manifest, judge(manifest, comparisons)), observed)

    def beside(self, version: Readable, other: Readable, runs: Runs | None) -> Comparison:
        """Compare two versions with each other, whatever lies between them. Raises `CannotRun` when `version` does not load."""
        baseline = Baseline(other.manifest.model_version)
        if runs is None:
            return compare(baseline, other.manifest, version.manifest, Seen())
        seen = _seen(version, [other], observe(version, [other], runs).behaviours)
        return compare(baseline, other.manifest, version.manifest, seen[other.manifest.version])

    def _with_word_on_the_next(self, manifest: Manifest, judgement: Judgement) -> Judgement:
        """The same with a warning where the release above, which is published and cannot change, would break this one's callers."""
        above = next_above(manifest.model_version, self._published(manifest.family))
        if above is None or any(comparison.baseline.version == above for comparison in judgement.comparisons):
            return judgement
        following = self._registry.manifest(manifest.family, str(above))
        found = compare(Baseline(manifest.model_version), manifest, following, Seen())
        broken = [change for change in found.interface if change.needs > found.declared]
        if not broken:
            return judgement
        warning = (
            f"version: {above} is published above it, a {STEPS[found.declared]} step, and takes away what {manifest.version} promises: "
            f"{'; '.join(map(str, broken))}"
        )
        return replace(judgement, warnings=(*judgement.warnings, warning))

    def _published(self, family: str) -> Sequence[ModelVersion]:
        try:
            return self._registry.versions(family)
        except UnknownFamily:
            return ()


def compare(baseline: Baseline, other: Manifest, manifest: Manifest, seen: Seen) -> Comparison:
    """Set a version beside a baseline: what changed from the lower version to the higher."""
    old, new = sorted((other, manifest), key=lambda each: each.model_version)
    return Comparison(
        baseline=baseline,
        digest=other.digest,
        declared=declared_step(old.model_version, new.model_version),
        interface=interface_changes(Contract.of(old), Contract.of(new)),
        behaviour=gravest_first(tuple(behaviour_changes(old, new, seen.behaviour, seen.precision))),
        was_run=seen.behaviour is not None,
    )


def _seen(version: Readable, baselines: Sequence[Readable], behaviours: Mapping[str, Behaviour]) -> Mapping[str, Seen]:
    found: dict[str, Seen] = {}
    for baseline in baselines:
        old, new = sorted((baseline, version), key=lambda each: each.manifest.model_version)
        found[baseline.manifest.version] = Seen(behaviours[baseline.manifest.version], precision_of(old, new))
    return found
