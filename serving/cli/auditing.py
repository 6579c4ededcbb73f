"""Comparing versions that are published already: two of them with each other, or all of a registry with what their numbers say."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from registry_client.bundle import behaviour_of
from registry_client.client import FetchedBundle, RegistryClient
from registry_client.compatibility.judgement import STEPS, Comparison, Judgement, required_bump
from registry_client.compatibility.upgrade import upgrade
from registry_client.errors import CannotRun, NothingChanged, RegistryError, UnknownFamily, UnknownVersion
from registry_client.gate import Gate
from registry_client.manifest import Manifest
from registry_client.observing import Runs
from serving.cli.answering import Answering
from serving.cli.checking import registry_at
from serving.cli.configuring import read_settings
from serving.cli.failures import CommandFailed, NotFound
from serving.cli.judging import change_document, upgrade_document
from serving.cli.output import Json
from serving.dataplane.environments.shelf import Environments


class Verdict(StrEnum):
    """What an audit finds of one version."""

    FIRST = "first"
    HONEST = "honest"
    GENEROUS = "generous"
    """Its number declares more than changed."""
    UNDERSTATED = "understated"
    """Its number declares less than changed."""
    REPEATED = "repeated"
    """It is another version under a new name."""
    UNRUNNABLE = "unrunnable"
    """It does not load, or fails its own golden examples, on this machine."""
    FALSE = "false"
    """It is not what its manifest says, or cannot be read."""


FAULTS = frozenset({Verdict.UNDERSTATED, Verdict.REPEATED, Verdict.UNRUNNABLE, Verdict.FALSE})


@dataclass(frozen=True, slots=True)
class Audited:
    """One version, and what was found of it."""

    family: str
    version: str
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    comparison: Comparison | None = None
    needed: str | None = None

    def document(self) -> Json:
        """As JSON."""
        line = self.comparison
        return {
            "family": self.family,
            "version": self.version,
            "verdict": self.verdict.value,
            "compared_with": None if line is None else str(line.baseline.version),
            "declared": None if line is None else STEPS[line.declared],
            "needed": self.needed,
            "reasons": list(self.reasons),
            "changes": [] if line is None else [change_document(change) for change in line.changes],
        }


def open_registry(data: Path | None, registry: str | None) -> RegistryClient:
    """The registry that is named. Raises `BadSettings`."""
    settings = read_settings(data=data, registry=registry)
    return registry_at(settings.registry_plan, settings.data)


@dataclass(frozen=True, slots=True)
class Shelf:
    """A registry, and how its versions are run here; None where they are not to be run."""

    client: RegistryClient
    runs: Runs | None


def open_shelf(data: Path | None, registry: str | None, say: Callable[[str], None], *, run: bool) -> Shelf:
    """The registry that is named. Raises `BadSettings`."""
    environments = Environments(read_settings(data=data).environments)
    return Shelf(open_registry(data, registry), Answering(environments, say) if run else None)


def diff_of(family: str, old: str, new: str, shelf: Shelf) -> Json:
    """How two published versions differ. Raises `NotFound`, or `CommandFailed` where they cannot be read or run."""
    client = shelf.client
    try:
        client.versions(family)  # a family that is not there is said to be none, rather than to lack the version
        two = [client.fetch(family, version) for version in (old, new)]
        comparison = Gate(client).beside(two[1], two[0], shelf.runs)
    except (UnknownFamily, UnknownVersion) as error:
        raise NotFound(str(error), "`pointsman registry audit` lists what is published there") from error
    except RegistryError as error:
        raise CommandFailed(str(error), error.hint or "compare the manifests alone with --no-run") from error
    manifests = [each.manifest for each in two]
    return {**upgrade_document(family, upgrade(manifests[0], manifests[1], [])), **_judged(manifests, comparison)}


def _judged(manifests: list[Manifest], comparison: Comparison) -> Json:
    needed = required_bump(comparison.changes)
    return {
        "needed": STEPS[needed],
        "honest": comparison.declared >= needed,
        "was_run": comparison.was_run,
        "changes": [change_document(change) for change in comparison.changes],
        "digests": [manifest.digest for manifest in manifests],
    }


def audit_registry(shelf: Shelf, family: str | None) -> Iterator[Audited]:
    """Judge every version of a registry, or of one family, as if it were published now, the oldest first. Raises `NotFound`."""
    client = shelf.client
    try:
        families = client.families() if family is None else [family]
        published = [(name, str(version)) for name in families for version in client.versions(name)]
    except UnknownFamily as error:
        raise NotFound(str(error), "`pointsman families` lists what is served") from error
    for name, version in published:
        yield _audited(client, name, version, shelf.runs)


def _audited(client: RegistryClient, family: str, version: str, runs: Runs | None) -> Audited:
    try:
        fetched = client.fetch(family, version)
        if not _is_truthful(fetched):
            return Audited(family, version, Verdict.FALSE, ("behaviour_sha256: it is not the digest of what answers",))
        if runs is None:
            return _weighed(fetched, Gate(client).judge(fetched.manifest))
        examined = Gate(client).examine(fetched, runs)
    except CannotRun as error:
        return Audited(family, version, Verdict.UNRUNNABLE, (str(error),))
    except RegistryError as error:
        return Audited(family, version, Verdict.FALSE, (str(error),))
    if examined.observed.failures:
        return Audited(family, version, Verdict.UNRUNNABLE, examined.observed.failures, examined.judgement.line)
    return _weighed(fetched, examined.judgement)


def _is_truthful(fetched: FetchedBundle) -> bool:
    stated = fetched.manifest.behaviour_sha256
    return not isinstance(stated, str) or stated == behaviour_of(fetched.manifest, fetched.directory)


def _weighed(fetched: FetchedBundle, judgement: Judgement) -> Audited:
    family, version, line = fetched.manifest.family, fetched.manifest.version, judgement.line
    if line is None:
        return Audited(family, version, Verdict.FIRST)
    needed = judgement.change.computed_min
    if isinstance(judgement.forbids, NothingChanged):
        return Audited(family, version, Verdict.REPEATED, (str(judgement.forbids),), line, needed)
    if judgement.forbids is not None:
        return Audited(family, version, Verdict.UNDERSTATED, judgement.forbids.reasons, line, needed)
    verdict = Verdict.GENEROUS if judgement.is_generous else Verdict.HONEST
    return Audited(family, version, verdict, (), line, needed)
