"""Versions that run, and versions that were published."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from registry_client.golden import GoldenExample
from registry_client.manifest import Manifest
from registry_client.notes import Note
from registry_client.signatures import Signature
from serving.core.routing import Target


class LoadState(StrEnum):
    """How far a version is on its way to answering."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"
    UNLOADING = "unloading"


@dataclass(frozen=True, slots=True)
class LoadStatus:
    """The state of one loaded version, with the reason when it failed."""

    target: Target
    state: LoadState
    detail: str = ""
    replicas: int = 0
    since: datetime | None = None


class Fleet(Protocol):
    """Starts and stops versions; `states` is what really runs."""

    async def load(self, target: Target) -> None: ...
    async def unload(self, target: Target) -> None: ...
    async def states(self) -> Sequence[LoadStatus]: ...


class FleetBoard(Protocol):
    """Where the controller posts what runs, for the admin API to read."""

    async def post(self, states: Sequence[LoadStatus]) -> None: ...
    async def read(self) -> Sequence[LoadStatus]: ...


class Examples(Protocol):
    """The golden examples that a version was published with."""

    async def golden(self, target: Target) -> Sequence[GoldenExample]:
        """All of them. Raises a `RegistryError` or `OSError` when they cannot be had."""
        ...


class Registry(Protocol):
    """The published versions, as far as serving needs to know them (registry_client has the whole)."""

    async def digest(self, family: str, version: str) -> str:
        """The manifest's digest. Raises registry_client's `UnknownFamily` or `UnknownVersion`."""
        ...

    async def versions(self, family: str) -> Sequence[str]: ...
    async def families(self) -> Sequence[str]: ...


class IntegrityRecorder(Protocol):
    """Where it is shown that published versions are no longer what they were."""

    def violated(self, family: str, version: str) -> None:
        """Count a version that was refused for it."""
        ...


@dataclass(frozen=True, slots=True)
class Vouched:
    """The signatures of a version, and by which keys it must be signed to be loaded; `problem` says why they cannot be told."""

    signatures: tuple[Signature, ...] = ()
    required: tuple[str, ...] = ()
    problem: str = ""


class Manifests(Protocol):
    """What the published versions say of themselves, for those who compare them. Raises as registry_client does."""

    async def manifest(self, family: str, version: str) -> Manifest: ...
    async def versions(self, family: str) -> Sequence[str]: ...
    async def vouched(self, manifest: Manifest) -> Vouched:
        """Who vouches for a version. Never raises: a registry that cannot be asked is an answer too."""
        ...


class Notes(Protocol):
    """What was found out about published versions later."""

    async def notes(self, family: str, version: str) -> Sequence[Note]:
        """The oldest first; none where the kind of registry keeps none. Raises as registry_client does."""
        ...
