"""Publishes the example bundles, each judged and published as `pointsman publish` does it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import RenderableType

from registry_client.client import RegistryClient
from serving.cli.checking import Verdict, judge_bundle, publish_bundle, read_bundle
from serving.cli.demo.material import Material
from serving.cli.failures import BundleRefused
from serving.cli.output import table

VERSIONS = {"digits": ("1.0.0", "1.1.0", "1.2.0", "1.3.0"), "customer-intent": ("2.4.0", "2.5.0")}
SHORT_DIGEST = 12


@dataclass(frozen=True, slots=True)
class Entry:
    """A version that is in the registry now."""

    name: str
    digest: str
    golden: int
    behaviour: str


def publish_all(material: Material, registry: RegistryClient) -> Iterator[Entry]:
    """Publish every version that the demo shows, one after the other. Raises `BundleRefused`."""
    for family, versions in VERSIONS.items():
        for version in versions:
            yield publish(material.bundle(family, version), registry)


def publish(directory: Path, registry: RegistryClient) -> Entry:
    """Publish one bundle. Raises `BundleRefused`."""
    verdict = examine(directory, registry)
    if verdict.fault is not None:
        raise BundleRefused(directory, verdict.fault.text, verdict.fault.hint)
    published = publish_bundle(verdict.bundle, registry, directory, verdict.judgement)
    manifest = verdict.bundle.manifest
    return Entry(f"{manifest.family}@{manifest.version}", published.manifest_digest, verdict.golden, manifest.change.behaviour or "")


def examine(directory: Path, registry: RegistryClient) -> Verdict:
    """Judge one bundle: does it load, does it answer its golden examples, does its number tell the truth."""
    return judge_bundle(read_bundle(directory), registry)


def render_entries(entries: Sequence[Entry]) -> RenderableType:
    """One line per version."""
    rows = [(entry.name, entry.digest[:SHORT_DIGEST], entry.golden, entry.behaviour) for entry in entries]
    return table(("version", "digest", "golden", "what its author says is new"), rows)
