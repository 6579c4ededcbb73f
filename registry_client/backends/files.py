"""Published versions as a tree of files that a person can read: the embedded default.

ROOT/README.txt                                what this tree is
ROOT/blobs/sha256/ab/abcdef...                 every file once, by digest, read-only
ROOT/families/digits/1.1.0/manifest.json       the manifest's canonical bytes
ROOT/families/digits/1.1.0/manifest.sha256     their digest, as `sha256sum -c` reads it
ROOT/families/digits/1.1.0/bundle/...          links to the blobs under their own names, for people; never read here
ROOT/components/words/1.3.0/component.json     a component of the library, with its digest and its files beside it, as versions have them
ROOT/notes/digits/1.1.0/<type>/<sha256>.json   notes, signatures: what was appended to a version later; the version stays as it is
ROOT/.staging/...                              what is being written; counts for nothing

Nothing is ever changed: files appear whole by a link, versions whole by a rename, and whoever is second loses.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

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
)
from registry_client.errors import (
    DigestMismatch,
    InvalidManifest,
    MissingBlob,
    QuarantinedVersion,
    UnknownComponent,
    UnknownFamily,
    UnknownVersion,
)
from registry_client.files import (
    make_directory,
    measure,
    move_into_place,
    open_plain,
    staging,
    sync_directory,
    write_synced,
    write_verified,
)
from registry_client.manifest import Artifact, Manifest, is_family_name
from registry_client.transfers import FreeSpace, free_space, refuse_without_room

_README = """\
Published model versions, kept by Pointsman. Nothing in here ever changes; do not edit it by hand.

families/NAME/VERSION/manifest.json    what a version is: every file with its digest, the interface, where it comes from
families/NAME/VERSION/bundle/          the same files under their own names (links into blobs/), for you to look at
components/NAME/VERSION/               a component of the library: component.json, its digest, and its files (links into blobs/)
notes/NAME/VERSION/                    what was added to a version later: what was found out, and who vouches for it
blobs/sha256/                          every file once, named by its sha256; check one with: sha256sum FILE
.staging/                              unfinished writes; may be removed while nobody publishes
"""

_LONGEST_DIGEST = 200
"""Bytes: the digest, and the name of what it is of."""

_CHANGED = "a file that changed while it was published"

_CAPABILITIES = Capabilities(
    immutable=Support.EMULATED,  # whoever may write to the disk may change it; the digests and the ledger tell
    cas=Support.NATIVE,  # a rename onto a folder with content fails
    events=Support.NONE,
    history=Support.NONE,
    signing=Support.EMULATED,  # kept beside the version, and checked by whoever reads them
    library=Support.EMULATED,  # a folder beside the families; what is in it is checked by who reads it
)


class FilesBackend:
    """A registry in a local directory, which appears with the first version."""

    def __init__(self, root: Path, free: FreeSpace = free_space) -> None:
        self._root = Path(os.path.realpath(root))
        self._free = free
        self._staging = self._root / ".staging"
        self._families = self._root / "families"
        self._components = self._root / "components"

    @property
    def name(self) -> str:
        """The directory, as a URL."""
        return self._root.as_uri()

    @property
    def capabilities(self) -> Capabilities:
        """What a directory can do: little by itself."""
        return _CAPABILITIES

    def refuse_without_room(self, artifacts: Sequence[Artifact]) -> None:
        """Raise `NotEnoughRoom` unless those of the files that are not here yet can be written."""
        lacking = {each.sha256: each.size for each in artifacts if not self._blob(each.sha256).exists()}
        refuse_without_room(self._root, sum(lacking.values()), self._free)

    def put_file(self, manifest: Manifest, artifact: Artifact, source: BinaryIO) -> bool:
        """Store a file unless it is there, from this version or another. Raises `DigestMismatch` for other bytes."""
        del manifest
        return self.put_blob(artifact.sha256, source)

    def open_file(self, manifest: Manifest, artifact: Artifact) -> BinaryIO:
        """Read a file; the caller verifies it. Raises `MissingBlob`."""
        del manifest
        return self.open_blob(artifact.sha256)

    def put_blob(self, digest: str, source: BinaryIO) -> bool:
        """Store a file under its sha256 unless it is there; whether it was new. Raises `DigestMismatch` for other bytes."""
        target = self._blob(digest)
        if target.exists():
            _refuse_other(source, digest)
            _verify(target, digest)
            return False
        self._explain()
        with staging(self._staging) as unfinished:
            write_verified(source, unfinished / digest, digest, what=_CHANGED)
            make_directory(target.parent)
            created = _link(unfinished / digest, target)
        sync_directory(target.parent)
        if not created:
            _verify(target, digest)
        return created

    def put_manifest(self, manifest: Manifest) -> bool:
        """Publish, unless the version is there; whether this call did it. Raises `MissingBlob` while a file is lacking."""
        target = self._version(manifest.family, manifest.version)
        for artifact in manifest.artifacts:
            if not self._blob(artifact.sha256).is_file():
                raise MissingBlob(artifact.sha256)
        self._explain()
        created = self._put(target, "manifest", manifest.canonical(), "bundle", manifest.artifacts)
        if not created and not (target / "manifest.json").is_file():
            raise QuarantinedVersion(manifest.family, manifest.version, f"{target} has no manifest.json")
        return created

    def _put(self, target: Path, kind: str, document: bytes, folder: str, artifacts: Sequence[Artifact]) -> bool:
        """A document with its digest, and links to its files in a folder beside it, as one directory that appears whole."""
        with staging(self._staging) as unfinished:
            whole = unfinished / "whole"
            whole.mkdir(mode=0o755)
            _write(whole / f"{kind}.json", document)
            _write(whole / f"{kind}.sha256", f"{hashlib.sha256(document).hexdigest()}  {kind}.json\n".encode())
            for artifact in artifacts:
                link = whole / folder / artifact.path
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(os.path.relpath(self._blob(artifact.sha256), (target / folder / artifact.path).parent))
            sync_directory(whole)
            return move_into_place(whole, target)

    def read_manifest(self, family: str, version: str) -> StoredManifest:
        """Look a version up. Raises `UnknownFamily` or `UnknownVersion`."""
        directory = self._version(family, version)
        try:
            return _read(directory, "manifest")
        except FileNotFoundError as error:
            if not directory.parent.is_dir():
                raise UnknownFamily(family) from error
            raise UnknownVersion(family, version) from error

    def open_blob(self, digest: str) -> BinaryIO:
        """Read a file; the caller verifies it. Raises `MissingBlob`."""
        try:
            return open_plain(self._blob(digest))
        except FileNotFoundError as error:
            raise MissingBlob(digest) from error

    def families(self) -> Sequence[str]:
        """The families that have a version, by name."""
        return [name for name in _names(self._families) if is_family_name(name) and self._published(name)]

    def versions(self, family: str) -> Sequence[str]:
        """A family's versions, in no order. Raises `UnknownFamily`."""
        if not is_family_name(family):
            raise UnknownFamily(family)
        published = self._published(family)
        if not published:
            raise UnknownFamily(family)
        return published

    # --- what is kept beside a version ---

    def attach(self, family: str, version: str, kind: str, document: bytes) -> None:
        """Keep a document beside a version, under its digest; the same again changes nothing."""
        target = self._attached(family, version, kind) / f"{hashlib.sha256(document).hexdigest()}.json"
        with staging(self._staging) as unfinished:
            _write(unfinished / "document", document)
            make_directory(target.parent)
            _link(unfinished / "document", target)
        sync_directory(target.parent)

    def attachments(self, family: str, version: str, kind: str) -> Sequence[bytes]:
        """The documents of a kind beside a version. Raises `DigestMismatch` for one that was changed."""
        directory = self._attached(family, version, kind)
        return [_verified(directory / name) for name in _names(directory)]

    def _attached(self, family: str, version: str, kind: str) -> Path:
        self.read_manifest(family, version)
        return self._root / "notes" / family / version / folder_of(kind)

    # --- the library of components ---

    def put_component_file(self, name: str, artifact: Artifact, source: BinaryIO) -> bool:
        """Store a file unless it is there, from a component or a version. Raises `DigestMismatch` for other bytes."""
        del name
        return self.put_blob(artifact.sha256, source)

    def put_component(self, name: str, version: str, document: bytes, artifacts: Sequence[Artifact]) -> bool:
        """Publish a component, unless it is there; whether this call did it. Raises `MissingBlob` while a file is lacking."""
        target = self._component(name, version)
        for artifact in artifacts:
            if not self._blob(artifact.sha256).is_file():
                raise MissingBlob(artifact.sha256)
        self._explain()
        return self._put(target, "component", document, "files", artifacts)

    def read_component(self, name: str, version: str) -> StoredManifest:
        """Look a component up. Raises `UnknownComponent`."""
        try:
            return _read(self._component(name, version), "component")
        except FileNotFoundError as error:
            raise UnknownComponent(name, version) from error

    def open_component_file(self, name: str, artifact: Artifact) -> BinaryIO:
        """Read a file; the caller verifies it. Raises `MissingBlob`."""
        del name
        return self.open_blob(artifact.sha256)

    def components(self) -> Sequence[str]:
        """The components that have a version, by name."""
        return [name for name in _names(self._components) if is_family_name(name) and self._component_versions(name)]

    def component_versions(self, name: str) -> Sequence[str]:
        """A component's versions, in no order. Raises `UnknownComponent`."""
        found = self._component_versions(name) if is_family_name(name) else []
        if not found:
            raise UnknownComponent(name)
        return found

    def _component_versions(self, name: str) -> list[str]:
        directory = self._components / name
        return [version for version in _names(directory) if is_version(version) and (directory / version / "component.json").is_file()]

    def _component(self, name: str, version: str) -> Path:
        if not is_family_name(name) or not is_version(version):
            raise UnknownComponent(name, version)
        return self._components / name / version

    def _published(self, family: str) -> list[str]:
        directory = self._families / family
        return [name for name in _names(directory) if is_version(name) and (directory / name / "manifest.json").is_file()]

    def _version(self, family: str, version: str) -> Path:
        if not is_family_name(family):
            raise UnknownFamily(family)
        if not is_version(version):
            raise UnknownVersion(family, version)
        return self._families / family / version

    def _blob(self, digest: str) -> Path:
        if not is_digest(digest):
            raise MissingBlob(digest)
        return self._root / "blobs" / "sha256" / digest[:2] / digest

    def _explain(self) -> None:
        readme = self._root / "README.txt"
        if not readme.exists():
            with staging(self._staging) as unfinished:
                write_synced(unfinished / readme.name, _README.encode())
                (unfinished / readme.name).rename(readme)


def _names(directory: Path) -> list[str]:
    try:
        return sorted(path.name for path in directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _read(directory: Path, kind: str) -> StoredManifest:
    with open_plain(directory / f"{kind}.json") as file:
        document = file.read(LARGEST_MANIFEST + 1)
    with open_plain(directory / f"{kind}.sha256") as file:
        digest = file.read(_LONGEST_DIGEST).decode("ascii", "replace").split(" ")[0]
    if len(document) > LARGEST_MANIFEST:
        raise InvalidManifest(reason=f"larger than {LARGEST_MANIFEST} bytes")
    return StoredManifest(document, digest)


def _verified(path: Path) -> bytes:
    with path.open("rb") as file:
        document = file.read(LARGEST_DOCUMENT + 1)
    refuse_damaged(str(path), document, path.stem)
    return document


def _link(file: Path, name: Path) -> bool:
    try:
        os.link(file, name)
    except FileExistsError:
        return False
    return True


def _refuse_other(source: BinaryIO, digest: str) -> None:
    actual = measure(source).sha256
    if actual != digest:
        raise DigestMismatch(_CHANGED, expected=digest, actual=actual)


def _verify(path: Path, digest: str) -> None:
    with path.open("rb") as file:
        actual = measure(file).sha256
    if actual != digest:
        raise DigestMismatch(what=f"{path}, damaged since it was stored", expected=digest, actual=actual)


def _write(path: Path, content: bytes) -> None:
    write_synced(path, content)
    path.chmod(0o444)
