"""Published versions in MLflow's model registry: a family is a registered model, a version one of its numbers, its files those of a run.

The authority on what a number is, is the manifest among its files; the tags `semver` and `manifest.sha256` are an index. What contradicts
that (an overwritten file, a tag that lies, two numbers that are one version) is quarantined: shown, never handed out.
"""

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Final

from registry_client.address import Access, MlflowAddress
from registry_client.backends.asking import Asker, Body
from registry_client.backends.base import LARGEST_MANIFEST, Capabilities, StoredManifest, Support, is_digest, is_version
from registry_client.backends.mlflow.aliases import Aliased, Aliases
from registry_client.backends.mlflow.rest import Model, Numbered, Rest, Run
from registry_client.backends.streams import as_file, verified
from registry_client.errors import InvalidManifest, MissingBlob, QuarantinedVersion, RegistryUnavailable, UnknownFamily, UnknownVersion
from registry_client.manifest import Artifact, Manifest, is_family_name, parse_manifest

SEMVER: Final = "semver"
DIGEST: Final = "manifest.sha256"
STATE: Final = "pointsman.state"
PENDING: Final = "pending"
"""A number whose publisher has not yet seen whether he is the first; nobody else counts it."""
PUBLISHED: Final = "published"
WITHDRAWN: Final = "withdrawn"
"""A number whose publisher was not the first. It stays: MLflow reads a number and its tags apart, and while it is deleted it
seems to have none."""
EXPERIMENT: Final = "pointsman"
BUNDLE: Final = "bundle"
MANIFEST_FILE: Final = "manifest.json"

_UNCOUNTED = frozenset({PENDING, WITHDRAWN})

_CAPABILITIES = Capabilities(
    immutable=Support.EMULATED,  # files of a registered number can be overwritten; digests, index and ledger tell
    cas=Support.EMULATED,  # by the order of the numbers, which the server gives
    events=Support.EMULATED,  # by comparing aliases; its webhooks get lost
    history=Support.NONE,  # times of creation only; an alias that moves leaves no trace
    signing=Support.NONE,
    library=Support.NONE,  # a registered model is something to be served, to everybody who looks
)


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A number that is never handed out, and why."""

    family: str
    number: str
    reason: str


class MlflowBackend:
    """A registry in MLflow. Safe among threads."""

    def __init__(self, address: MlflowAddress, access: Access) -> None:
        self._name = str(address)
        self._rest = Rest(self._name, Asker(self._name, address.base, access))
        self._at_once = access.at_once
        self._turn = threading.Lock()
        self._runs: dict[str, Run] = {}
        """Where the files of a manifest, by its digest, are put by this publisher: nobody else writes there."""
        self._stored: set[tuple[str, str]] = set()
        self._sources: dict[str, str] = {}
        """The folder of a manifest that was read, by its digest."""

    @property
    def name(self) -> str:
        """The address."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """What MLflow can do, as measured on 3.17."""
        return _CAPABILITIES

    # --- publishing -------------------------------------------------------------------------------------------------

    def put_file(self, manifest: Manifest, artifact: Artifact, source: BinaryIO) -> bool:
        """Store a file in the folder of this publication. Raises `DigestMismatch` for other bytes."""
        key = (manifest.digest, artifact.path)
        if key in self._stored:
            return False
        body = Body(verified(source, artifact), "application/octet-stream", artifact.size)
        self._rest.put(_bundle(self._run(manifest)), artifact.path, body)
        self._stored.add(key)
        return True

    def _run(self, manifest: Manifest) -> Run:
        with self._turn:
            if manifest.digest not in self._runs:
                at = datetime.fromisoformat(manifest.created_at)
                run_name = f"{manifest.family}@{manifest.version}"
                self._runs[manifest.digest] = self._rest.create_run(EXPERIMENT, run_name, int(at.timestamp() * 1000))
            return self._runs[manifest.digest]

    def put_manifest(self, manifest: Manifest) -> bool:
        """Publish, unless the version is there; whether this call did it. Raises `MissingBlob` while a file is lacking.

        Everybody takes a number; the lowest one that claims the version has it, and whoever sees that says so. Others withdraw theirs.
        """
        if self._claimants(manifest.family, manifest.version):
            return False
        for artifact in manifest.artifacts:
            if (manifest.digest, artifact.path) not in self._stored:
                raise MissingBlob(artifact.sha256)
        document, run = manifest.canonical(), self._run(manifest)
        self._rest.put(_bundle(run), MANIFEST_FILE, Body(document, "application/json", len(document)))
        self._rest.create_model(manifest.family)
        tags = {SEMVER: manifest.version, DIGEST: manifest.digest, STATE: PENDING}
        own = self._rest.create_number(manifest.family, run, _bundle(run), tags)
        self._rest.finish_run(run)
        return self._settle(own)

    def _settle(self, own: Numbered) -> bool:
        claims = [each for each in self._rest.numbers(own.name) if each.tag(SEMVER) == own.tag(SEMVER) and each.tag(STATE) != WITHDRAWN]
        first = min(claims, key=lambda each: each.number, default=own)
        if first.tag(STATE) == PENDING:
            self._rest.set_tag(first, STATE, PUBLISHED)
        if first.number == own.number:
            return True
        self._rest.set_tag(own, STATE, WITHDRAWN)
        return False

    # --- reading ----------------------------------------------------------------------------------------------------

    def read_manifest(self, family: str, version: str) -> StoredManifest:
        """Look a version up. Raises `UnknownFamily`, `UnknownVersion`, `InvalidManifest` or `QuarantinedVersion`."""
        if not is_family_name(family):
            raise UnknownFamily(family)
        if not is_version(version):
            raise UnknownVersion(family, version)
        claimants = self._claimants(family, version)
        if not claimants:
            self.versions(family)
            raise UnknownVersion(family, version)
        found = {numbered.version: self._examined(numbered, family, version) for numbered in claimants}
        if len({stored.digest for stored in found.values()}) > 1:
            raise QuarantinedVersion(family, version, f"the numbers {', '.join(found)} all say that they are it, with different content")
        stored = next(iter(found.values()))
        self._sources[stored.digest] = claimants[0].source
        return stored

    def _examined(self, numbered: Numbered, family: str, version: str) -> StoredManifest:
        """The manifest of a number, if everything that it says of itself agrees. Raises `QuarantinedVersion` or `InvalidManifest`."""
        document = self._document(numbered)
        if document is None:
            raise QuarantinedVersion(family, version, f"number {numbered.version} has no {MANIFEST_FILE} among its files any more")
        digest = hashlib.sha256(document).hexdigest()
        indexed = numbered.tag(DIGEST)
        if indexed not in (None, digest):
            reason = (
                f"the manifest of number {numbered.version} is {digest[:12]}, and {str(indexed)[:12]} was registered: it was overwritten"
            )
            raise QuarantinedVersion(family, version, reason)
        manifest = parse_manifest(document)
        if (manifest.family, manifest.version) != (family, version):
            said = f"{manifest.family}@{manifest.version}"
            raise QuarantinedVersion(family, version, f"the manifest of number {numbered.version} says that it is {said}")
        return StoredManifest(document, digest)

    def _document(self, numbered: Numbered) -> bytes | None:
        document = self._rest.read(numbered.source, MANIFEST_FILE)
        if document is not None and len(document) > LARGEST_MANIFEST:
            raise InvalidManifest(reason=f"larger than {LARGEST_MANIFEST} bytes")
        return document

    def open_file(self, manifest: Manifest, artifact: Artifact) -> BinaryIO:
        """Read a file; the caller verifies it. Raises `MissingBlob`."""
        source = self._source(manifest)
        if source is None or not is_digest(artifact.sha256):
            raise MissingBlob(artifact.sha256)
        download = self._rest.open(source, artifact.path, missing=MissingBlob(artifact.sha256))
        return as_file(download, artifact, download.close)

    @property
    def at_once(self) -> int:
        """How many parts of a file may be on their way at once."""
        return self._at_once

    def read_span(self, manifest: Manifest, artifact: Artifact, start: int, length: int) -> bytes:
        """Read a part of a file. Raises `MissingBlob`, or `NoParts` of a server that knows no `Range`."""
        source = self._source(manifest)
        if source is None:
            raise MissingBlob(artifact.sha256)
        return self._rest.span(source, artifact.path, start, length, missing=MissingBlob(artifact.sha256))

    def _source(self, manifest: Manifest) -> str | None:
        if manifest.digest not in self._sources:
            for numbered in self._claimants(manifest.family, manifest.version):
                document = self._document(numbered)
                if document is not None and hashlib.sha256(document).hexdigest() == manifest.digest:
                    self._sources[manifest.digest] = numbered.source
        return self._sources.get(manifest.digest)

    def families(self) -> Sequence[str]:
        """The families that have a version, by name."""
        names = {each.name for each in self._rest.numbers() if is_family_name(each.name) and self._index(each) is not None}
        return sorted(names)

    def versions(self, family: str) -> Sequence[str]:
        """A family's versions, in no order. Raises `UnknownFamily`."""
        numbers = self._rest.numbers(family) if is_family_name(family) else iter(())
        found = {version for numbered in numbers if (version := self._index(numbered)) is not None}
        if not found:
            raise UnknownFamily(family)
        return list(found)

    def _claimants(self, family: str, version: str) -> list[Numbered]:
        return [each for each in self._rest.numbers(family) if self._index(each) == version]

    def _index(self, numbered: Numbered) -> str | None:
        """Which version a number says it is: by its tag, or, where it has none, by the manifest among its files."""
        if numbered.tag(STATE) in _UNCOUNTED:
            return None
        said = numbered.tag(SEMVER)
        if said is None:
            manifest = self._parsed(numbered)
            said = None if manifest is None else manifest.version
        return said if said is not None and is_version(said) else None

    def _parsed(self, numbered: Numbered) -> Manifest | None:
        """The manifest of a number that carries no tags; None for a model that is no version of ours."""
        try:
            document = self._document(numbered)
            return None if document is None else parse_manifest(document)
        except (InvalidManifest, RegistryUnavailable):
            return None

    # --- what is told beside versions -------------------------------------------------------------------------------

    def quarantined(self, family: str) -> Iterator[Quarantined]:
        """Every number of a family that is not handed out, and why; those that are no version of ours too. Raises as `versions` does."""
        seen: dict[str, str] = {}
        for numbered in sorted(self._rest.numbers(family), key=lambda each: each.number):
            version = self._index(numbered)
            if version is None:
                if numbered.tag(STATE) not in _UNCOUNTED:
                    yield Quarantined(family, numbered.version, f"it has no {MANIFEST_FILE} among its files: it is no bundle")
                continue
            try:
                digest = self._examined(numbered, family, version).digest
            except (QuarantinedVersion, InvalidManifest) as error:
                yield Quarantined(family, numbered.version, str(error))
                continue
            if seen.setdefault(version, digest) != digest:
                yield Quarantined(family, numbered.version, f"another number is {version} as well, with different content")

    def annotate(self, family: str, version: str, tags: Mapping[str, str]) -> None:
        """Write back what became of a version, as tags of its number; their names get `pointsman.` before them. Raises `UnknownVersion`."""
        claimants = self._claimants(family, version)
        if not claimants:
            raise UnknownVersion(family, version)
        for key, value in tags.items():
            self._rest.set_tag(claimants[0], f"pointsman.{key}", value)

    def aliases(self, known: Aliases) -> Aliases:
        """Where every alias of every family points now. `known`: an earlier answer, of which only what changed is looked up."""
        return {
            (model.name, alias.alias): self._aliased(model, alias.version, known.get((model.name, alias.alias)))
            for model in self._rest.models()
            if is_family_name(model.name)
            for alias in model.aliases
        }

    def _aliased(self, model: Model, number: str, known: Aliased | None) -> Aliased:
        if known is not None and (known.model_created, known.number) == (model.creation_timestamp, number):
            return known
        numbered = self._rest.number(model.name, number)
        version = None if numbered is None else self._index(numbered)
        return Aliased(model.creation_timestamp, number, version)


def _bundle(run: Run) -> str:
    return f"{run.artifact_uri}/{BUNDLE}"
