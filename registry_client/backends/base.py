"""What a home of published versions must be able to do, and how each says what it can only imitate or not do at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO, Protocol

from registry_client.manifest import Manifest


class Support(StrEnum):
    """How a backend comes by a capability."""

    NATIVE = "native"
    EMULATED = "emulated"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a backend guarantees by itself, and what this client has to make up for."""

    immutable: Support
    """What is published cannot be changed."""
    cas: Support
    """A change can be made on condition that nothing changed meanwhile."""
    events: Support
    """It tells of new versions; otherwise one must ask."""
    history: Support
    """It keeps who published what, and when."""
    signing: Support
    """It keeps and checks signatures."""


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest as it is stored, beside the digest that the backend holds for it. Neither is trusted yet."""

    document: bytes
    digest: str


class Backend(Protocol):
    """A home of published versions. It stores and hands out bytes; the client decides whether to believe them."""

    @property
    def name(self) -> str:
        """Which registry this is, for the ledger: the same for everyone who means the same place."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What this backend can do."""
        ...

    def put_blob(self, digest: str, source: BinaryIO) -> bool:
        """Store a file under its sha256 unless it is there; whether it was new. Raises `DigestMismatch` for other bytes."""
        ...

    def put_manifest(self, manifest: Manifest) -> bool:
        """Publish: store the manifest under its family and version unless there is one; whether this call did it.

        Its files must be there before: whoever sees the version can fetch all of it.
        """
        ...

    def read_manifest(self, family: str, version: str) -> StoredManifest:
        """Look a version up. Raises `UnknownFamily` or `UnknownVersion`."""
        ...

    def open_blob(self, digest: str) -> BinaryIO:
        """Read a file; the caller verifies it. Raises `MissingBlob`."""
        ...

    def families(self) -> Sequence[str]:
        """The families that have a version."""
        ...

    def versions(self, family: str) -> Sequence[str]:
        """A family's versions, in no order. Raises `UnknownFamily`."""
        ...
