"""What a home of published versions must be able to do, and how each says what it can only imitate or not do at all."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO, Protocol, runtime_checkable

from registry_client.errors import DigestMismatch, InvalidVersion
from registry_client.files import measure
from registry_client.manifest import Artifact, Manifest
from registry_client.versions import ModelVersion

LARGEST_MANIFEST = 16 * 2**20
"""Bytes; a registry that offers more offers no manifest."""

LARGEST_DOCUMENT = 2**20
"""Bytes of one document beside a version."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_KIND = re.compile(r"[a-z0-9][a-z0-9.+-]*/[a-z0-9][a-z0-9.+-]*")


def is_digest(text: str) -> bool:
    """Whether it is a sha256 in hexadecimal, and so nothing that leads elsewhere."""
    return _DIGEST.fullmatch(text) is not None


def folder_of(kind: str) -> str:
    """A media type as the name of a folder. Raises `ValueError` for what is none, which could lead elsewhere."""
    if _KIND.fullmatch(kind) is None:
        msg = f"{kind[:80]!r} is no media type"
        raise ValueError(msg)
    return kind.replace("/", "~")


def refuse_damaged(what: str, document: bytes, digest: str) -> None:
    """Raise `DigestMismatch` unless a document is what it is kept under."""
    actual = hashlib.sha256(document).hexdigest()
    if actual != digest:
        raise DigestMismatch(what=f"{what}, damaged since it was stored", expected=digest, actual=actual)


def refuse_damaged_copy(what: str, file: BinaryIO, artifact: Artifact) -> None:
    """Raise `DigestMismatch` unless what a registry has is that file: name and size prove nothing, and a version is for good."""
    actual = measure(file).sha256
    if actual != artifact.sha256:
        raise DigestMismatch(what=f"{what}, damaged since it was stored", expected=artifact.sha256, actual=actual)


def is_version(text: str) -> bool:
    """Whether a version may be published under that name."""
    try:
        ModelVersion.parse(text)
    except InvalidVersion:
        return False
    return True


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
    """Of several who publish one version at the same time, exactly one does."""
    events: Support
    """It tells when somebody else has moved what it deploys; otherwise nothing there moves, or one must look."""
    history: Support
    """It keeps, apart from the manifest, who published what, and when."""
    signing: Support
    """It keeps signatures beside what they sign."""
    library: Support
    """It keeps components that are published on their own."""


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

    def put_file(self, manifest: Manifest, artifact: Artifact, source: BinaryIO) -> bool:
        """Store a file of a version that is about to be published; whether it was new. Raises `DigestMismatch` for other bytes."""
        ...

    def put_manifest(self, manifest: Manifest) -> bool:
        """Publish: store the manifest under its family and version unless there is one; whether this call did it.

        Its files must be there before: whoever sees the version can fetch all of it.
        """
        ...

    def read_manifest(self, family: str, version: str) -> StoredManifest:
        """Look a version up. Raises `UnknownFamily` or `UnknownVersion`."""
        ...

    def open_file(self, manifest: Manifest, artifact: Artifact) -> BinaryIO:
        """Read a file of a published version; the caller verifies it. Raises `MissingBlob`."""
        ...

    def families(self) -> Sequence[str]:
        """The families that have a version."""
        ...

    def versions(self, family: str) -> Sequence[str]:
        """A family's versions, in no order. Raises `UnknownFamily`."""
        ...


@runtime_checkable
class Confined(Protocol):
    """A backend that writes to a disk of this machine, which may be full."""

    def refuse_without_room(self, artifacts: Sequence[Artifact]) -> None:
        """Raise `NotEnoughRoom` unless those of the files that are not there yet can be written."""
        ...


@runtime_checkable
class Ranged(Protocol):
    """A backend from which parts of a file can be had, and several at once."""

    @property
    def at_once(self) -> int:
        """How many parts of a file may be on their way at once."""
        ...

    def read_span(self, manifest: Manifest, artifact: Artifact, start: int, length: int) -> bytes:
        """So many bytes of a file, from `start` on. Raises `MissingBlob`, or `NoParts` where the registry hands out whole files only."""
        ...


@runtime_checkable
class Annex(Protocol):
    """A backend that keeps documents beside versions, signatures for one. They are added, and never changed or replaced."""

    def attach(self, family: str, version: str, kind: str, document: bytes) -> None:
        """Add a document, whose media type is `kind`; the same one again changes nothing. Raises `UnknownFamily` or `UnknownVersion`."""
        ...

    def attachments(self, family: str, version: str, kind: str) -> Sequence[bytes]:
        """The documents of a kind, in no order. Raises `UnknownFamily`, `UnknownVersion`, or `DigestMismatch` for a damaged one."""
        ...
