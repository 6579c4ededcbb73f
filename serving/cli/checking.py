"""Judging a bundle before it is published: does it load, does it answer its golden examples, does its version number tell the truth."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from registry_client.address import RegistryPlan
from registry_client.backends.opening import open_library, open_registry
from registry_client.bundle import Bundle, load_bundle
from registry_client.cache import Cache
from registry_client.client import Published, RegistryClient
from registry_client.compatibility.baselines import Tags
from registry_client.compatibility.judgement import Judgement, waived
from registry_client.errors import CannotRun, RegistryError, UnknownFamily
from registry_client.gate import Gate
from registry_client.ledger import Ledger
from registry_client.library import Library
from registry_client.observing import Runs, golden_examples, observe
from registry_client.signing import UnusableKey
from registry_client.transfers import Told, nobody
from registry_client.versions import ModelVersion
from serving.cli.answering import Answering, run_version
from serving.cli.commands import Session
from serving.cli.configuring import read_settings
from serving.cli.failures import OUT_OF_REACH, BadSettings, BundleRefused, NotFound, refused_by_system
from serving.cli.judging import judgement_document
from serving.cli.tagging import NOT_ASKED, tags_of
from serving.dataplane.environments.shelf import Environments


class Level(StrEnum):
    """How much a finding matters: an error forbids publishing."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know about a bundle."""

    level: Level
    text: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found out about a bundle. `judgement`: the gate's, unless the version is published already or does not load."""

    bundle: Bundle
    findings: tuple[Finding, ...]
    golden: int
    """Examples that were run."""
    judgement: Judgement | None = None

    @property
    def fault(self) -> Finding | None:
        """The first finding that forbids publishing."""
        return next((finding for finding in self.findings if finding.level is Level.ERROR), None)

    @property
    def predecessor(self) -> ModelVersion | None:
        """The version that it was compared with first."""
        line = None if self.judgement is None else self.judgement.line
        return None if line is None else line.baseline.version

    def refuse(self, directory: Path) -> None:
        """Raise `BundleRefused` unless it may be published."""
        if self.fault is not None:
            raise BundleRefused(directory, self.fault.text, self.fault.hint)

    def told(self, level: Level, text: str) -> "Verdict":
        """The same with one more finding before the others."""
        return replace(self, findings=(Finding(level, text), *self.findings))

    def document(self) -> dict[str, Any]:
        """The verdict as JSON."""
        manifest = self.bundle.manifest
        return {
            "family": manifest.family,
            "version": manifest.version,
            "ok": self.fault is None,
            "golden_examples": self.golden,
            "compared_with": None if self.predecessor is None else str(self.predecessor),
            "findings": [{"level": finding.level.value, "text": finding.text} for finding in self.findings],
            "gate": None if self.judgement is None else judgement_document(manifest, self.judgement),
        }


def check_directory(session: Session, directory: Path, data: Path | None, registry: str | None) -> tuple[Verdict, RegistryClient]:
    """Judge the bundle in a directory by the registry that is named, and by the tags of the listener that is named."""
    settings = read_settings(data=data, registry=registry)
    client = registry_at(settings.registry_plan, settings.data)
    with session.output.progress(f"checking {directory}") as say:
        bundle = read_bundle(directory, open_library(settings.registry_plan, Cache(settings.data / "cache")))
        tags, unknown = tags_of(session, bundle.manifest.family)
        verdict = judge_bundle(bundle, client, tags, Answering(Environments(settings.environments), say))
    if unknown:
        verdict = verdict.told(Level.WARNING, unknown)
    elif not session.is_admin_named and verdict.predecessor is not None:
        verdict = verdict.told(Level.NOTE, NOT_ASKED)
    return verdict, client


def registry_at(plan: RegistryPlan, data: Path) -> RegistryClient:
    """The registry of a plan, through the cache and the ledger in a data directory. Raises `BadSettings`."""
    try:
        return open_registry(plan, Cache(data / "cache"), Ledger.of(data))
    except OSError as error:
        sentence = f"registry_access.password_file cannot be read: {error.strerror}"
        raise BadSettings(sentence, "name a file that this user can read") from error
    except UnusableKey as error:
        sentence = f"signatures.keys: {error}"
        raise BadSettings(sentence, error.hint) from error


def read_bundle(directory: Path, library: Library | None = None) -> Bundle:
    """Read a bundle directory, with the components that it refers to. Raises `NotFound` or `BundleRefused`."""
    if not directory.is_dir():
        error = f"there is no folder {directory}"
        raise NotFound(error, "name the folder that holds model.yaml")
    try:
        return load_bundle(directory, library=library)
    except RegistryError as error:
        raise BundleRefused(directory, str(error), error.hint) from error


def judge_bundle(bundle: Bundle, registry: RegistryClient, tags: Tags | None = None, runs: Runs = run_version) -> Verdict:
    """Load it, run its golden examples, and compare it with the version below it and with those in `tags`."""
    written = tuple(Finding(Level.WARNING, warning) for warning in bundle.warnings)
    try:
        if bundle.manifest.model_version in _published(registry, bundle.manifest.family):
            return _again(bundle, written, runs)
        examined = Gate(registry).examine(bundle, runs, tags)
    except CannotRun as error:
        unloaded = Finding(Level.ERROR, str(error), error.hint)
        return Verdict(bundle, (*written, unloaded), 0)
    observed, judgement = examined.observed, examined.judgement
    findings = (*written, *_wrong(observed.failures), *_gate(bundle, judgement))
    return Verdict(bundle, findings, observed.examples, judgement)


def unread_document(refused: BundleRefused) -> dict[str, Any]:
    """The verdict as JSON on a bundle that cannot even be read."""
    nothing = dict.fromkeys(("family", "version", "compared_with", "gate"))
    return {**nothing, "ok": False, "golden_examples": 0, "findings": [{"level": Level.ERROR.value, "text": str(refused)}]}


def publish_bundle(
    bundle: Bundle, registry: RegistryClient, directory: Path, judgement: Judgement | None = None, told: Told = nobody
) -> Published:
    """Publish it; `told` how far it is. Raises `BundleRefused`, for one when other bytes have the version."""
    try:
        return registry.publish(bundle, judgement, told)
    except RegistryError as error:
        raise BundleRefused(directory, str(error), error.hint or "check the registry") from error
    except OSError as error:
        raise BundleRefused(directory, refused_by_system(error), OUT_OF_REACH) from error


def _published(registry: RegistryClient, family: str) -> Sequence[ModelVersion]:
    try:
        return registry.versions(family)
    except UnknownFamily:
        return ()


def _again(bundle: Bundle, written: tuple[Finding, ...], runs: Runs) -> Verdict:
    """Of a version that is published already: it must still load and answer, and needs no judgement."""
    known = Finding(Level.NOTE, f"{bundle.manifest.version} is published already; the same bytes again change nothing")
    failures = observe(bundle, (), runs).failures
    return Verdict(bundle, (*written, *_wrong(failures), known), len(golden_examples(bundle)))


def _wrong(failures: Sequence[str]) -> Iterator[Finding]:
    for failure in failures:
        yield Finding(Level.ERROR, failure, "correct the model or its pipeline, or the expected answer in the golden examples")


def _gate(bundle: Bundle, judgement: Judgement) -> Iterator[Finding]:
    if judgement.forbids is not None:
        yield Finding(Level.ERROR, str(judgement.forbids), judgement.forbids.hint)
    yield from (Finding(Level.WARNING, warning) for warning in judgement.warnings)
    for comparison in judgement.comparisons:
        for change in comparison.changes:
            aside = ", waived" if waived(bundle.manifest, change) else ""
            yield Finding(Level.NOTE, f"since {comparison.baseline}: {change}{aside}")
