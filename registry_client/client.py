"""The registry as its users see it: publish, look up, fetch. Believes no byte that it has not hashed itself."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import msgspec

from registry_client.authoring import timestamp
from registry_client.backends.base import Annex, Backend, Confined, Ranged
from registry_client.bundle import Bundle
from registry_client.cache import Cache
from registry_client.compatibility.judgement import Judgement
from registry_client.dsse import MEDIA_TYPE as SIGNATURE
from registry_client.errors import (
    CannotKeep,
    DigestMismatch,
    ImmutabilityViolation,
    InvalidBundle,
    InvalidManifest,
    InvalidReference,
    KeepsNoNotes,
    StaleJudgement,
    UnknownFamily,
    UnknownVersion,
    VersionExists,
    VersionGone,
)
from registry_client.files import measure, open_regular
from registry_client.gate import Gate
from registry_client.ledger import Entry, Ledger
from registry_client.manifest import Artifact, Change, Manifest, Predecessor, parse_manifest
from registry_client.notes import MEDIA_TYPE as NOTE
from registry_client.notes import Note, parse_notes, refuse_unfit
from registry_client.origins import Origin, Parts
from registry_client.references import AnyVersion, Exact, InRange, Reference, Tagged
from registry_client.seals import Seal
from registry_client.signatures import Signature
from registry_client.signing import SigningKey
from registry_client.sigstore import MEDIA_TYPE as SIGSTORE
from registry_client.transfers import Moved, Tally, Told, Watched, filling, nobody
from registry_client.trust import NotSigned, Trust
from registry_client.versions import ModelVersion


@dataclass(frozen=True, slots=True)
class Published:
    """A version as it is in the registry; `created` is false when exactly this was published before."""

    manifest: Manifest
    manifest_digest: str
    created: bool
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FetchedBundle:
    """A version's files on this machine, each verified a moment ago."""

    manifest: Manifest
    digest: str
    seal: Seal

    @property
    def directory(self) -> Path:
        """Where they lie."""
        return self.seal.directory

    def refuse_change(self) -> None:
        """Raise `ChangedMeanwhile` unless every file is still the one that was verified; asked when all of it is loaded."""
        self.seal.refuse_change()

    def path(self, name: str) -> Path:
        """Where a file of the bundle lies. Raises `InvalidBundle` for one that the manifest does not name."""
        if all(artifact.path != name for artifact in self.manifest.artifacts):
            raise InvalidBundle(name, "the manifest names no such file")
        return self.directory / name


Alarm = Callable[[ImmutabilityViolation], None]
"""Told each time that a version is refused because it is no longer what it was."""


def unheard(_violation: ImmutabilityViolation) -> None:
    """Where whoever asks is told by the error alone."""


class RegistryClient:
    """One registry, seen through this machine's cache and ledger. Safe among threads; every call may block on I/O.

    Without a ledger of the installation one is kept in the cache, and lost with it.
    """

    def __init__(
        self, backend: Backend, cache: Cache, ledger: Ledger | None = None, alarm: Alarm = unheard, trust: Trust | None = None
    ) -> None:
        self._backend = backend
        self._cache = cache
        self._ledger = ledger or Ledger(cache.ledger_path)
        self._alarm = alarm
        self._trust = trust or Trust()

    def ledger(self) -> Sequence[Entry]:
        """What was seen of this registry from here, the oldest first. Raises `DamagedLedger`."""
        return [entry for entry in self._ledger.entries() if entry.registry == self._backend.name]

    def families(self) -> Sequence[str]:
        """The families that have a version, by name."""
        return sorted(self._backend.families())

    def versions(self, family: str) -> Sequence[ModelVersion]:
        """A family's versions, oldest first by semver precedence. Raises `UnknownFamily`."""
        return sorted(ModelVersion.parse(text) for text in self._backend.versions(family))

    def digest(self, family: str, version: str) -> str:
        """The digest of a version's manifest, which was verified. Raises as `manifest` does."""
        return self.manifest(family, version).digest

    def manifest(self, family: str, version: str) -> Manifest:
        """The manifest of a version.

        Raises `UnknownFamily`, `UnknownVersion`, `DigestMismatch`, `InvalidManifest`, or `ImmutabilityViolation`.
        """
        stored = self._backend.read_manifest(family, version)
        actual = hashlib.sha256(stored.document).hexdigest()
        self._watched(self._ledger.compare, family, version, actual)
        if actual != stored.digest:
            raise DigestMismatch(what=f"the manifest of {family}@{version}", expected=stored.digest, actual=actual)
        manifest = parse_manifest(stored.document)
        if (manifest.family, manifest.version) != (family, version):
            raise InvalidManifest(reason=f"it stands under {family}@{version} and calls itself {manifest.family}@{manifest.version}")
        self._watched(self._ledger.check, family, version, actual)
        return manifest

    def _watched(self, look: Callable[[str, str, str, str], None], family: str, version: str, digest: str) -> None:
        try:
            look(self._backend.name, family, version, digest)
        except ImmutabilityViolation as violation:
            self._alarm(violation)
            raise

    def resolve(self, reference: Reference) -> ModelVersion:
        """The published version that a reference names: exactly, or as the highest in its range.

        Raises `UnknownFamily` or `UnknownVersion`, and `InvalidReference` for what only the gateway knows.
        """
        found = _choose(reference, self.versions(reference.family))
        if found is None:
            raise UnknownVersion(reference.family, str(reference.selector))
        return found

    def fetch(self, family: str, version: str, *, expected_digest: str | None = None, told: Told = nobody) -> FetchedBundle:
        """Bring a version's files to this machine, verified; `told` how far it is with what must be fetched.

        Raises `NotSigned` where the family's versions must be signed, and `NotEnoughRoom`. A large file that an earlier try did not
        bring to its end goes on from there.

        With `expected_digest` a good cached copy is used without asking the registry, so it outlives the registry's absence and
        tampering; and anything but that digest is refused with `DigestMismatch`.
        """
        manifest = self._cached(family, version, expected_digest) or self.manifest(family, version)
        digest = manifest.digest
        if expected_digest not in (None, digest):
            raise DigestMismatch(what=f"the manifest of {family}@{version}", expected=str(expected_digest), actual=digest)
        self._refuse_unsigned(manifest)
        with filling(self._cache.root):
            return FetchedBundle(manifest, digest, self._cache.bundle(manifest, self._origin(manifest, told)))

    def _origin(self, manifest: Manifest, told: Told) -> Origin:
        open_file = partial(self._backend.open_file, manifest)
        told = Tally(told, sum({artifact.sha256: artifact.size for artifact in manifest.artifacts}.values()))
        if not isinstance(self._backend, Ranged):
            return Origin(open_file, told=told)
        return Origin(open_file, partial(self._backend.read_span, manifest), Parts(self._backend.at_once), told)

    def read(self, manifest: Manifest, artifact: Artifact) -> bytes:
        """One file of a published version, verified, without the others; for small ones. Raises `DigestMismatch` or `MissingBlob`."""
        with self._backend.open_file(manifest, artifact) as file:
            content = file.read()
        actual = hashlib.sha256(content).hexdigest()
        if actual != artifact.sha256:
            raise DigestMismatch(what=artifact.path, expected=artifact.sha256, actual=actual)
        return content

    def _cached(self, family: str, version: str, digest: str | None) -> Manifest | None:
        manifest = None if digest is None else self._cache.manifest(digest)
        return manifest if manifest is not None and (manifest.family, manifest.version) == (family, version) else None

    # --- notes ---

    def annotate(self, family: str, version: str, text: str, by: str, now: datetime | None = None) -> Note:
        """Append a note to a version; the version itself never changes. `now`: the clock's when left out.

        Raises as `manifest` does, `BadNote`, or `KeepsNoNotes` for a kind of registry without a place for them.
        """
        refuse_unfit(text)
        note = Note(family=family, version=version, digest=self.digest(family, version), text=text.strip(), by=by, at=timestamp(now))
        self._noting().attach(family, version, NOTE, note.document())
        return note

    def notes(self, family: str, version: str) -> list[Note]:
        """The notes of a version, the oldest first. Raises as `annotate` does, and `DigestMismatch` for one that was changed."""
        self.manifest(family, version)
        return parse_notes(self._noting().attachments(family, version, NOTE), family, version)

    def _noting(self) -> Annex:
        if not isinstance(self._backend, Annex):
            raise KeepsNoNotes(self._backend.name)
        return self._backend

    # --- signatures -------------------------------------------------------------------------------------------------

    def sign(self, family: str, version: str, key: SigningKey, by: str, at: datetime) -> Manifest:
        """Add a signature to a version, whose manifest was verified. Raises as `manifest` does, and `CannotKeep`."""
        manifest = self.manifest(family, version)
        self._annex().attach(family, version, SIGNATURE, key.sign(manifest, by, at))
        return manifest

    def sign_folder(self, family: str, version: str, sign: Callable[[Manifest, Path], bytes]) -> Manifest:
        """Add a signature in sigstore's format. `sign`: is given the manifest, and where the version's files lie, each just verified.

        Raises as `sign` does, `DigestMismatch`, `ChangedMeanwhile`, and what the one that is given raises.
        """
        manifest = self.manifest(family, version)
        seal = self._cache.bundle(manifest, self._origin(manifest, nobody))
        document = sign(manifest, seal.directory)
        seal.refuse_change()
        self._annex().attach(family, version, SIGSTORE, document)
        return manifest

    def signatures(self, manifest: Manifest, trust: Trust | None = None) -> Sequence[Signature]:
        """What is to be said of each signature beside a version; whose word counts is `trust`, or this client's own.

        Raises `RegistryUnavailable`, `DigestMismatch` for a damaged one, or `CannotKeep`.
        """
        return (trust or self._trust).judge(self._envelopes(manifest), manifest)

    def signed_by(self, family: str) -> tuple[str, ...]:
        """The names of the keys, one of which must have signed a version before it is loaded; empty where none need have."""
        return self._trust.required(family)

    def _refuse_unsigned(self, manifest: Manifest) -> None:
        """Raise `NotSigned` unless it is signed as its family needs; what was seen once is believed without the registry."""
        if not self._trust.required(manifest.family):
            return
        try:
            self._trust.refuse_unsigned(manifest, self._cache.signatures(manifest.digest))
        except NotSigned:
            found = self._envelopes(manifest)
            self._trust.refuse_unsigned(manifest, found)
            self._cache.keep_signatures(manifest.digest, found)

    def _envelopes(self, manifest: Manifest) -> Sequence[bytes]:
        annex = self._annex()
        return [one for kind in (SIGNATURE, SIGSTORE) for one in annex.attachments(manifest.family, manifest.version, kind)]

    def _annex(self) -> Annex:
        if not isinstance(self._backend, Annex):
            raise CannotKeep(self._backend.name)
        return self._backend

    # --- publishing -------------------------------------------------------------------------------------------------

    def publish(self, bundle: Bundle, judgement: Judgement | None = None, told: Told = nobody) -> Published:
        """Publish a version; the same content again changes nothing. `told`: how far it is.

        `judgement`: the gate's, when it has run the versions; left out, it judges by the manifests alone. Raises `VersionExists` when
        other content has the version, `BumpTooSmall` or `NothingChanged` when the gate forbids it, `StaleJudgement` when another
        version came between, `VersionGone` of one that was another when it was there, `NotEnoughRoom`, and `InvalidBundle` when a file
        changed since the bundle was loaded.
        """
        existing = self._published(bundle.manifest)
        if existing is not None:
            return _same_again(existing, bundle)
        judged = judgement or Gate(self).judge(bundle.manifest)
        manifest, warnings = self._completed(bundle, judged)
        self._refuse_other_than_before(manifest)
        if isinstance(self._backend, Confined):
            self._backend.refuse_without_room(manifest.artifacts)
        tally = Tally(told, sum(artifact.size for artifact in manifest.artifacts))
        for artifact in manifest.artifacts:
            self._put(manifest, artifact, bundle.files[artifact.path], tally)
        self._refuse_stale(manifest, judged)  # large files are long on their way, and somebody may have come between
        created = self._backend.put_manifest(manifest)
        published = self.manifest(manifest.family, manifest.version)
        if not created or published.digest != manifest.digest:  # another publisher was faster, or, where nothing keeps one off, came after
            return _same_again(published, bundle)
        return Published(published, published.digest, created=True, warnings=warnings)

    def _put(self, manifest: Manifest, artifact: Artifact, path: Path, tally: Tally) -> None:
        try:
            with Watched(open_regular(path.parent, path.name), artifact.path, artifact.size, tally) as file:
                self._backend.put_file(manifest, artifact, file)
        except DigestMismatch as error:
            with open_regular(path.parent, path.name) as again:
                is_changed = measure(again).sha256 != artifact.sha256
            if not is_changed:  # it is the registry's copy that is damaged
                raise
            hint = "let nothing write into the folder, and publish it again"
            raise InvalidBundle(artifact.path, "was changed while it was published", hint) from error
        tally(Moved(artifact.path, artifact.size, artifact.size))  # a registry that has it reads nothing

    def _refuse_other_than_before(self, manifest: Manifest) -> None:
        """Before anything is written: what the registry has lost, somebody else may still go by."""
        first = self._ledger.first_seen(self._backend.name, manifest.family, manifest.version)
        is_gone = first not in {None, manifest.digest} and self._published(manifest) is None  # a faster publisher has it, and it is there
        if is_gone:
            raise VersionGone(manifest.family, manifest.version, published=str(first), offered=manifest.digest)

    def _published(self, manifest: Manifest) -> Manifest | None:
        try:
            return self.manifest(manifest.family, manifest.version)
        except (UnknownFamily, UnknownVersion):
            return None

    def _completed(self, bundle: Bundle, judgement: Judgement) -> tuple[Manifest, tuple[str, ...]]:
        """The manifest with what only the registry knows, and every warning. Raises what the judgement forbids."""
        manifest, warnings = bundle.manifest, bundle.warnings
        if judgement.forbids is not None:
            raise judgement.forbids
        self._refuse_stale(manifest, judgement)
        supersedes = manifest.supersedes
        if supersedes is not None:
            supersedes, unknown = self._predecessor(manifest.family, supersedes)
            warnings = (*warnings, *unknown)
        completed = msgspec.structs.replace(manifest, change=judgement.change, supersedes=supersedes)
        return completed, (*warnings, *judgement.warnings)

    def _refuse_stale(self, manifest: Manifest, judgement: Judgement) -> None:
        now = Gate(self).baselines(manifest.family, manifest.model_version)
        judged = {str(comparison.baseline.version): comparison.digest for comparison in judgement.comparisons}
        for baseline in now:
            version = str(baseline.version)
            if judged.get(version) != self.digest(manifest.family, version):
                raise StaleJudgement(manifest.version, judged=", ".join(judged) or "nothing", now=version)

    def _predecessor(self, family: str, named: Predecessor) -> tuple[Predecessor, tuple[str, ...]]:
        try:
            digest = self.digest(family, named.version)
        except (UnknownFamily, UnknownVersion):
            return named, (f"supersedes: {named.version} was never published here",)
        if named.digest not in (None, digest):
            raise DigestMismatch(what=f"supersedes {family}@{named.version}", expected=str(named.digest), actual=digest)
        return Predecessor(version=named.version, digest=digest), ()


def _choose(reference: Reference, published: Sequence[ModelVersion]) -> ModelVersion | None:
    match reference.selector:
        case Exact(version):
            return version if version in published else None
        case InRange(wanted):
            return wanted.highest(published)
        case AnyVersion() | Tagged():
            reason = "what is in production or tagged is known to the gateway, not to the registry"
            raise InvalidReference(str(reference), reason)


def _same_again(published: Manifest, bundle: Bundle) -> Published:
    """Compare what is published with what is offered, less what depends on when and by whom it was published."""
    offered = msgspec.structs.replace(
        bundle.manifest,
        created_at=published.created_at,
        created_by=published.created_by,
        change=_as_published(bundle.manifest, published),
        supersedes=_same_predecessor(bundle.manifest.supersedes, published.supersedes),
        behaviour_sha256=msgspec.UNSET if published.behaviour_sha256 is msgspec.UNSET else bundle.manifest.behaviour_sha256,
    )
    if offered.digest != published.digest:
        raise VersionExists(published.family, published.version, published=published.digest, offered=offered.digest)
    return Published(published, published.digest, created=False, warnings=bundle.warnings)


def _as_published(offered: Manifest, published: Manifest) -> Change:
    """The author's part of the change as offered, the gate's part as it was computed at the time."""
    computed = {name: getattr(published.change, name) for name in _COMPUTED}
    return msgspec.structs.replace(offered.change, **computed)


_COMPUTED = ("declared", "computed_min", "interface_diff", "behaviour_diff", "compared_with")


def _same_predecessor(offered: Predecessor | None, published: Predecessor | None) -> Predecessor | None:
    left_open = offered is not None and offered.digest is None and published is not None and offered.version == published.version
    return published if left_open else offered
