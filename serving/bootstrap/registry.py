"""The registry as serving sees it: which versions are published, and by which digest."""

import asyncio
import threading
from collections.abc import Sequence

import structlog

from registry_client.backends.opening import open_registry
from registry_client.cache import Cache
from registry_client.client import RegistryClient
from registry_client.errors import ImmutabilityViolation, KeepsNoNotes, RegistryError
from registry_client.golden import GoldenExample, parse_golden
from registry_client.ledger import Entry, Ledger
from registry_client.manifest import Manifest, Role
from registry_client.notes import Note
from serving.bootstrap.layout import Layout
from serving.core.routing import Target
from serving.ports import IntegrityRecorder, Vouched

log = structlog.get_logger()


class ViolationAlarm:
    """Tells the log and the dashboards of versions that are no longer what they were; the log once for each content that is found."""

    def __init__(self, recorder: IntegrityRecorder) -> None:
        self._recorder = recorder
        self._turn = threading.Lock()
        self._told: set[tuple[str, str, str]] = set()

    def __call__(self, violation: ImmutabilityViolation) -> None:
        """Count it, and say it."""
        family, version, found = violation.family, violation.version, violation.found
        with self._turn:
            is_new = (family, version, found) not in self._told
            self._told.add((family, version, found))
        self._recorder.violated(family, version)
        if is_new:
            log.error(
                "immutability_violation",
                registry=violation.registry,
                family=family,
                version=version,
                recorded=violation.recorded,
                found=found,
            )


def open_published(layout: Layout, recorder: IntegrityRecorder) -> RegistryClient:
    """The registry of an installation, through its cache and its ledger. Raises `OSError` or `RegistryError`."""
    return open_registry(layout.registry, Cache(layout.cache), Ledger.of(layout.data), ViolationAlarm(recorder))


class PublishedVersions:
    """The `Registry`, `Manifests` and `Examples` ports on a registry client; its reads stay off the event loop."""

    def __init__(self, layout: Layout, recorder: IntegrityRecorder) -> None:
        self._client = open_published(layout, recorder)

    async def digest(self, family: str, version: str) -> str:
        """The manifest's digest. Raises `UnknownFamily` or `UnknownVersion`."""
        return await asyncio.to_thread(self._client.digest, family, version)

    async def manifest(self, family: str, version: str) -> Manifest:
        """What the version says of itself. Raises `UnknownFamily` or `UnknownVersion`."""
        return await asyncio.to_thread(self._client.manifest, family, version)

    async def versions(self, family: str) -> Sequence[str]:
        """The published versions, oldest first. Raises `UnknownFamily`."""
        return [str(version) for version in await asyncio.to_thread(self._client.versions, family)]

    async def ledger(self) -> Sequence[Entry]:
        """What this node has seen of the registry. Raises `DamagedLedger`."""
        return await asyncio.to_thread(self._client.ledger)

    async def notes(self, family: str, version: str) -> Sequence[Note]:
        """What was found out about a version later, the oldest first. Raises `RegistryError`."""
        try:
            return await asyncio.to_thread(self._client.notes, family, version)
        except KeepsNoNotes:
            return ()

    async def vouched(self, manifest: Manifest) -> Vouched:
        """Who vouches for a version, by the keys that count here."""
        required = self._client.signed_by(manifest.family)
        try:
            return Vouched(tuple(await asyncio.to_thread(self._client.signatures, manifest)), required)
        except (RegistryError, OSError) as error:
            return Vouched(required=required, problem=str(error))

    async def golden(self, target: Target) -> Sequence[GoldenExample]:
        """The golden examples of exactly these bytes, from this machine's cache where they are. Raises `RegistryError`."""
        return await asyncio.to_thread(self._golden, target)

    def _golden(self, target: Target) -> Sequence[GoldenExample]:
        fetched = self._client.fetch(target.family, str(target.version), expected_digest=target.digest)
        files = [fetched.path(artifact.path) for artifact in fetched.manifest.of_role(Role.GOLDEN)]
        return [example for file in files for example in parse_golden(file.read_bytes())]

    async def families(self) -> Sequence[str]:
        """The families that have a published version."""
        return await asyncio.to_thread(self._client.families)
