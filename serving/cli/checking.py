"""Judging a bundle before it is published: does it load, does it answer its golden examples, does its version number tell the truth."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from registry_client.backends.files import FilesBackend
from registry_client.bundle import Bundle, load_bundle
from registry_client.cache import Cache
from registry_client.client import Published, RegistryClient
from registry_client.compatibility import baseline_of
from registry_client.errors import BumpTooSmall, RegistryError, UnknownFamily
from registry_client.gate import judge
from registry_client.golden import GoldenExample, parse_golden
from registry_client.manifest import Role
from registry_client.versions import ModelVersion
from serving.cli.failures import BundleRefused, NotFound
from serving.dataplane.engine import open_engine
from serving.dataplane.faults import LoadFailed
from serving.dataplane.golden_run import run_golden


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
    """What was found out about a bundle, and which published version it was compared with."""

    bundle: Bundle
    findings: tuple[Finding, ...]
    golden: int
    """Examples that were run."""
    predecessor: ModelVersion | None

    @property
    def fault(self) -> Finding | None:
        """The first finding that forbids publishing."""
        return next((finding for finding in self.findings if finding.level is Level.ERROR), None)

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
        }


def registry_at(path: Path, cache: Path) -> RegistryClient:
    """The registry in a directory."""
    return RegistryClient(FilesBackend(path), Cache(cache))


def read_bundle(directory: Path) -> Bundle:
    """Read a bundle directory. Raises `NotFound` or `BundleRefused`."""
    if not directory.is_dir():
        error = f"there is no folder {directory}"
        raise NotFound(error, "name the folder that holds model.yaml")
    try:
        return load_bundle(directory)
    except RegistryError as error:
        raise BundleRefused(directory, str(error), error.hint) from error


def judge_bundle(bundle: Bundle, registry: RegistryClient) -> Verdict:
    """Load it, run its golden examples, and compare its interface with that of the version before it."""
    examples = _golden_examples(bundle)
    published = _published(registry, bundle.manifest.family)
    findings = (
        *(Finding(Level.WARNING, warning) for warning in bundle.warnings),
        *_answers(bundle, examples),
        *_gate(bundle, published, registry),
    )
    return Verdict(bundle, findings, len(examples), baseline_of(bundle.manifest.model_version, published))


def publish_bundle(bundle: Bundle, registry: RegistryClient, directory: Path) -> Published:
    """Publish it. Raises `BundleRefused`, for one when other bytes have the version."""
    try:
        return registry.publish(bundle)
    except (RegistryError, OSError) as error:
        hint = str(getattr(error, "hint", "")) or "check the registry's directory"
        raise BundleRefused(directory, str(error), hint) from error


def _golden_examples(bundle: Bundle) -> Sequence[GoldenExample]:
    paths = [artifact.path for artifact in bundle.manifest.of_role(Role.GOLDEN)]
    return [example for path in paths for example in parse_golden(bundle.files[path].read_bytes(), path)]


def _published(registry: RegistryClient, family: str) -> Sequence[ModelVersion]:
    try:
        return registry.versions(family)
    except UnknownFamily:
        return ()


def _answers(bundle: Bundle, examples: Sequence[GoldenExample]) -> Iterator[Finding]:
    path_of: Callable[[str], Path] = bundle.files.__getitem__
    # stdout is for the verdict; what the engine logs and what a component prints is not.
    with redirect_stdout(sys.stderr):
        try:
            engine = open_engine(bundle.manifest, path_of)
        except LoadFailed as error:
            yield Finding(
                Level.ERROR, f"it does not load: {error}", error.hint or "check the model, its pre- and postprocessing, and interface"
            )
            return
        failures = run_golden(engine, examples)
    for failure in failures:
        yield Finding(Level.ERROR, failure, "correct the pipeline, or the expected answer in the golden examples")


def _gate(bundle: Bundle, published: Sequence[ModelVersion], registry: RegistryClient) -> Iterator[Finding]:
    if bundle.manifest.model_version in published:
        yield Finding(Level.NOTE, f"{bundle.manifest.version} is published already; the same bytes again change nothing")
        return
    try:
        judgement = judge(bundle.manifest, published, registry.manifest)
    except BumpTooSmall as error:
        yield Finding(Level.ERROR, str(error), error.hint)
        return
    yield from (Finding(Level.WARNING, warning) for warning in judgement.warnings)
    yield from (Finding(Level.NOTE, change) for change in judgement.change.interface_diff)
