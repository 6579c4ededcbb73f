"""Published versions in a bucket of S3, or of whatever speaks like it: create-only puts make them immutable among publishers.

PREFIX/blobs/sha256/ab/abcdef...                 every file once, by digest
PREFIX/families/digits/1.1.0/manifest.json       the manifest's canonical bytes; their digest is the object's metadata
PREFIX/families/digits/1.1.0/attached/KIND/...   signatures and what else is added to a version, by digest
PREFIX/components/words/1.3.0/component.json     a component of the library, its digest in the object's metadata; its files are blobs

This module alone knows obstore.
"""

import hashlib
import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, BinaryIO

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PermissionDeniedError, PreconditionError, UnauthenticatedError
from obstore.store import S3Store

from registry_client.address import Access, S3Address
from registry_client.backends.base import (
    LARGEST_DOCUMENT,
    LARGEST_MANIFEST,
    Capabilities,
    StoredManifest,
    Support,
    folder_of,
    is_digest,
    is_version,
    refuse_damaged,
    refuse_damaged_copy,
)
from registry_client.backends.streams import as_file, verified
from registry_client.errors import (
    AccessRefused,
    DigestMismatch,
    InvalidManifest,
    MissingBlob,
    NoParts,
    RegistryUnavailable,
    UnknownComponent,
    UnknownFamily,
    UnknownVersion,
)
from registry_client.manifest import Artifact, Manifest, is_family_name

PART = 8 * 2**20
"""Bytes of one part of a multipart upload; S3 allows 10,000 of 5 MiB or more."""

CONFLICTS = 8
"""How often a create-only put that another one disturbed is tried again before the store is called unusable."""

_DIGEST = "sha256"
_FAMILIES = "families/"
_COMPONENTS = "components/"
_COMPONENT = re.compile(r"components/([^/]+)/([^/]+)/component\.json")
_PUBLISHED = re.compile(r"families/([^/]+)/([^/]+)/manifest\.json")
_WHOLE = re.compile(r"non-partial response|[Rr]ange.*(not supported|416)|status code: 416\b|Requested \d+\.\.\d+, got")
"""What obstore says of a store that knows no `Range`, or answers with another part."""
_REFUSED = re.compile(r"status code: 40[13]\b")

_CAPABILITIES = Capabilities(
    immutable=Support.EMULATED,  # whoever may write to the bucket may overwrite; the digests and the ledger tell
    cas=Support.NATIVE,  # If-None-Match: *
    events=Support.NONE,
    history=Support.NONE,
    signing=Support.EMULATED,  # kept beside the version, and checked by whoever reads them
    library=Support.EMULATED,  # documents beside the families, created as they are; what is in it is checked by who reads it
)


class S3Backend:
    """A registry in a bucket. Safe among threads."""

    def __init__(self, address: S3Address, access: Access) -> None:
        self._place = access.endpoint.rstrip("/")
        self._address = address
        self._store = _connect(address, access)
        self._at_once = access.at_once

    @property
    def name(self) -> str:
        """The bucket and the prefix, and the server where it is not Amazon's."""
        return f"{self._address}{f' at {self._place}' if self._place else ''}"

    @property
    def capabilities(self) -> Capabilities:
        """What a bucket can do."""
        return _CAPABILITIES

    # --- files ------------------------------------------------------------------------------------------------------

    def put_file(self, manifest: Manifest, artifact: Artifact, source: BinaryIO) -> bool:
        """Store a file unless it is there, from this version or another. Raises `DigestMismatch` for other bytes.

        They are hashed on their way; an upload whose hash is wrong at its end is given up, so that nothing appears.
        """
        del manifest
        return self._put_blob(artifact, source)

    def _put_blob(self, artifact: Artifact, source: BinaryIO) -> bool:
        stored = self._size(artifact)
        if stored is not None:
            self._refuse_damaged(artifact, stored)
            return False
        with self._asking():
            obstore.put(self._store, _blob(artifact.sha256), verified(source, artifact), chunk_size=PART)
        return True

    def open_file(self, manifest: Manifest, artifact: Artifact) -> BinaryIO:
        """Read a file; the caller verifies it. Raises `MissingBlob`."""
        del manifest
        return self._open_blob(artifact)

    def _open_blob(self, artifact: Artifact) -> BinaryIO:
        if not is_digest(artifact.sha256):
            raise MissingBlob(artifact.sha256)
        try:
            with self._asking():
                stream = obstore.get(self._store, _blob(artifact.sha256)).stream(min_chunk_size=PART)
        except FileNotFoundError as error:
            raise MissingBlob(artifact.sha256) from error
        return as_file(self._pieces(stream), artifact, _nothing)

    @property
    def at_once(self) -> int:
        """How many parts of a file may be on their way at once."""
        return self._at_once

    def read_span(self, manifest: Manifest, artifact: Artifact, start: int, length: int) -> bytes:
        """Read a part of a file. Raises `MissingBlob`, or `NoParts` of a store that answers with all of it, or with another part."""
        del manifest
        return self._read_span(artifact, start, length)

    def _read_span(self, artifact: Artifact, start: int, length: int) -> bytes:
        try:
            with self._asking():
                found = bytes(obstore.get_range(self._store, _blob(artifact.sha256), start=start, length=length))
        except FileNotFoundError as error:
            raise MissingBlob(artifact.sha256) from error
        except RegistryUnavailable as error:
            if _WHOLE.search(str(error)):
                raise NoParts from error
            raise
        if len(found) != length:
            raise RegistryUnavailable(self.name, f"of {length} bytes of {_blob(artifact.sha256)} {len(found)} came")
        return found

    def _pieces(self, stream: Iterable[bytes]) -> Iterator[bytes]:
        with self._asking():
            yield from stream

    def _size(self, artifact: Artifact) -> int | None:
        try:
            with self._asking():
                return obstore.head(self._store, _blob(artifact.sha256))["size"]
        except FileNotFoundError:
            return None

    def _refuse_damaged(self, artifact: Artifact, stored: int) -> None:
        if stored != artifact.size:
            what = f"{_blob(artifact.sha256)}, which has {stored} bytes and not {artifact.size}"
            raise DigestMismatch(what, expected=artifact.sha256, actual="another")
        with self._open_blob(artifact) as file:
            refuse_damaged_copy(_blob(artifact.sha256), file, artifact)

    # --- versions ---------------------------------------------------------------------------------------------------

    def put_manifest(self, manifest: Manifest) -> bool:
        """Publish, unless the version is there; whether this call did it. Raises `MissingBlob` while a file is lacking."""
        self._refuse_lacking(manifest.artifacts)
        return self._create(_manifest(manifest.family, manifest.version), manifest.canonical(), manifest.digest)

    def _refuse_lacking(self, artifacts: Iterable[Artifact]) -> None:
        for artifact in artifacts:
            if self._size(artifact) is None:
                raise MissingBlob(artifact.sha256)

    def _create(self, path: str, document: bytes, digest: str) -> bool:
        attributes = {"Content-Type": "application/json", _DIGEST: digest}
        for _ in range(CONFLICTS):
            try:
                with self._asking():
                    obstore.put(self._store, path, document, mode="create", attributes=attributes, use_multipart=False)
            except (AlreadyExistsError, PreconditionError):
                # S3 answers 409 as well when another conditional put is under way, which may yet fail: only a look tells.
                if self._is_there(path):
                    return False
            else:
                return True
        reason = f"{CONFLICTS} times another publisher of {path} was in the way, and none succeeded"
        raise RegistryUnavailable(self.name, reason)

    def _is_there(self, path: str) -> bool:
        try:
            with self._asking():
                obstore.head(self._store, path)
        except FileNotFoundError:
            return False
        return True

    def read_manifest(self, family: str, version: str) -> StoredManifest:
        """Look a version up. Raises `UnknownFamily` or `UnknownVersion`."""
        if not is_family_name(family):
            raise UnknownFamily(family)
        if not is_version(version):
            raise UnknownVersion(family, version)
        try:
            return self._stored(_manifest(family, version))
        except FileNotFoundError as error:
            self.versions(family)
            raise UnknownVersion(family, version) from error

    def _stored(self, path: str) -> StoredManifest:
        with self._asking():
            found = obstore.get(self._store, path)
            if found.meta["size"] > LARGEST_MANIFEST:
                raise InvalidManifest(reason=f"larger than {LARGEST_MANIFEST} bytes")
            digest = found.attributes.get(_DIGEST, "")
            return StoredManifest(bytes(found.bytes()), str(digest))

    # --- what is kept beside a version ------------------------------------------------------------------------------

    def attach(self, family: str, version: str, kind: str, document: bytes) -> None:
        """Add a document to a version. Raises `UnknownFamily` or `UnknownVersion`."""
        digest = hashlib.sha256(document).hexdigest()
        self._create(f"{self._attached(family, version, kind)}{digest}", document, digest)

    def attachments(self, family: str, version: str, kind: str) -> Sequence[bytes]:
        """The documents of a kind beside a version. Raises `UnknownFamily`, `UnknownVersion` or `DigestMismatch`."""
        folder = self._attached(family, version, kind)
        return [self._document(path) for path in self._listed(folder) if is_digest(path.removeprefix(folder))]

    def _document(self, path: str) -> bytes:
        with self._asking():
            found = obstore.get(self._store, path)
            document = b"" if found.meta["size"] > LARGEST_DOCUMENT else bytes(found.bytes())
        refuse_damaged(path, document, path.rpartition("/")[2])
        return document

    def _attached(self, family: str, version: str, kind: str) -> str:
        self.read_manifest(family, version)
        return f"{_FAMILIES}{family}/{version}/attached/{folder_of(kind)}/"

    # --- the library of components ----------------------------------------------------------------------------------

    def put_component_file(self, name: str, artifact: Artifact, source: BinaryIO) -> bool:
        """Store a file unless it is there, from a component or a version. Raises `DigestMismatch` for other bytes."""
        del name
        return self._put_blob(artifact, source)

    def open_component_file(self, name: str, artifact: Artifact) -> BinaryIO:
        """Read a file; the caller verifies it. Raises `MissingBlob`."""
        del name
        return self._open_blob(artifact)

    def read_component_span(self, name: str, artifact: Artifact, start: int, length: int) -> bytes:
        """Read a part of a file. Raises as `read_span` does."""
        del name
        return self._read_span(artifact, start, length)

    def put_component(self, name: str, version: str, document: bytes, artifacts: Sequence[Artifact]) -> bool:
        """Publish a component, unless it is there; whether this call did it. Raises `MissingBlob` while a file is lacking."""
        self._refuse_lacking(artifacts)
        return self._create(_component(name, version), document, hashlib.sha256(document).hexdigest())

    def read_component(self, name: str, version: str) -> StoredManifest:
        """Look a component up. Raises `UnknownComponent`."""
        try:
            return self._stored(_component(name, version))
        except FileNotFoundError as error:
            raise UnknownComponent(name, version) from error

    def components(self) -> Sequence[str]:
        """The components that have a version, by name."""
        return sorted({name for name, _ in self._matching(_COMPONENT, _COMPONENTS)})

    def component_versions(self, name: str) -> Sequence[str]:
        """A component's versions, in no order. Raises `UnknownComponent`."""
        found = [version for _, version in self._matching(_COMPONENT, f"{_COMPONENTS}{name}/")] if is_family_name(name) else []
        if not found:
            raise UnknownComponent(name)
        return found

    # --- lists ------------------------------------------------------------------------------------------------------

    def families(self) -> Sequence[str]:
        """The families that have a version, by name."""
        return sorted({family for family, _ in self._matching(_PUBLISHED, _FAMILIES)})

    def versions(self, family: str) -> Sequence[str]:
        """A family's versions, in no order. Raises `UnknownFamily`."""
        found = [version for _, version in self._matching(_PUBLISHED, f"{_FAMILIES}{family}/")] if is_family_name(family) else []
        if not found:
            raise UnknownFamily(family)
        return found

    def _matching(self, form: re.Pattern[str], prefix: str) -> list[tuple[str, str]]:
        """Name and version of all that lies below a prefix and has that form."""
        found = [match.groups() for path in self._listed(prefix) if (match := form.fullmatch(path)) is not None]
        return [(name, version) for name, version in found if is_family_name(name) and is_version(version)]

    def _listed(self, prefix: str) -> list[str]:
        with self._asking():
            listed = obstore.list(self._store, prefix)  # pyright: ignore[reportUnknownMemberType] # another overload is of Arrow tables
            return [entry["path"] for batch in listed for entry in batch]

    @contextmanager
    def _asking(self) -> Generator[None]:
        """Say in our words what went wrong on the way. Of `AlreadyExistsError` and `PreconditionError` the caller knows more."""
        try:
            yield
        except (AlreadyExistsError, PreconditionError):
            raise
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise AccessRefused(self.name, _sentence(error)) from error
        except BaseError as error:
            if _REFUSED.search(_sentence(error)):  # a refused listing has no class of its own
                raise AccessRefused(self.name, _sentence(error)) from error
            raise RegistryUnavailable(self.name, _sentence(error)) from error


def _connect(address: S3Address, access: Access) -> S3Store:
    """A store that gives up after seconds, not minutes: whoever asks has a cache."""
    config: Any = {"conditional_put": "etag"}  # obstore's TypedDict is not there at run time
    if access.username:
        config |= {"access_key_id": access.username, "secret_access_key": access.password()}
    if access.endpoint:
        config |= {"endpoint": access.endpoint}
    if access.region or access.endpoint:
        config |= {"region": access.region or "us-east-1"}
    return S3Store(
        address.bucket,
        prefix=address.prefix or None,
        config=config,
        client_options={"allow_http": access.endpoint.startswith("http://"), "connect_timeout": "5s", "timeout": "60s"},
        retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=10)},
    )


def _nothing() -> None:
    """A download has nothing to close."""


def _blob(digest: str) -> str:
    return f"blobs/sha256/{digest[:2]}/{digest}"


def _manifest(family: str, version: str) -> str:
    return f"{_FAMILIES}{family}/{version}/manifest.json"


def _component(name: str, version: str) -> str:
    """Raises `UnknownComponent` for what is no name or no version, and so could lead elsewhere."""
    if not is_family_name(name) or not is_version(version):
        raise UnknownComponent(name, version)
    return f"{_COMPONENTS}{name}/{version}/component.json"


def _sentence(error: Exception) -> str:
    """Its first line, which names what was asked and what came back; the rest is the debug form of a structure."""
    return str(error).strip().partition("\n")[0][:300]
