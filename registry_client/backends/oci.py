"""Published versions as OCI artifacts: a family is a repository, a version a tag, every file a blob, described as a ModelPack.

PREFIX/digits:1.1.0             an image manifest whose first layer is our manifest, and whose other layers are the version's files
PREFIX/components/words:1.3.0   an image manifest whose first layer is a component's document, and whose other layers are its files

A tag can be moved, and nothing keeps two publishers apart: every digest is computed here, and the ledger tells of a version that changed.
"""

import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import parse_qs, urlsplit

import msgspec

from registry_client.address import Access, OciAddress
from registry_client.backends.asking import PAUSES, Answer, Asker, Body
from registry_client.backends.base import (
    LARGEST_MANIFEST,
    Capabilities,
    StoredManifest,
    Support,
    is_digest,
    is_version,
    refuse_damaged_copy,
)
from registry_client.backends.modelpack import (
    COMPONENT,
    EMPTY_CONFIG,
    INDEX,
    MANIFEST,
    OWN,
    Descriptor,
    Image,
    Index,
    attached,
    component_of,
    config_of,
    image_of,
    parse,
)
from registry_client.backends.streams import as_file, verified
from registry_client.backends.uploads import BINARY, PIECE, Uploads
from registry_client.errors import (
    DigestMismatch,
    InvalidManifest,
    MissingBlob,
    RegistryUnavailable,
    UnknownComponent,
    UnknownFamily,
    UnknownVersion,
)
from registry_client.manifest import Artifact, Manifest, is_family_name

_ACCEPT = {"Accept": f"{MANIFEST}, {INDEX}"}
_NOT_FOUND = 404
_PAGE = 1000
_COMPONENTS = "components"
_UNSETTLED = frozenset({400, 404})
"""What docker-registry answers to an image while another publisher is just storing the same files."""
_TRIES = 8

_CAPABILITIES = Capabilities(
    immutable=Support.EMULATED,  # a tag can be moved; the digests and the ledger tell
    cas=Support.NONE,  # the distribution specification knows no conditional put
    events=Support.NONE,
    history=Support.NONE,
    signing=Support.EMULATED,  # signatures are kept as referrers, and checked by who reads them
    library=Support.EMULATED,  # a repository for each component; what is in it is checked by who reads it
)


class OciBackend:
    """A registry of OCI artifacts. Safe among threads."""

    def __init__(self, address: OciAddress, access: Access, uploads: Path | None = None) -> None:
        """`uploads`: a folder for notes of uploads that are under way."""
        self._name = str(address)
        self._repository = address.repository
        self._asker = Asker(self._name, address.base, access)
        self._uploads = Uploads(self._name, self._asker, uploads)
        self._at_once = access.at_once

    @property
    def name(self) -> str:
        """The address."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """What the distribution specification can do."""
        return _CAPABILITIES

    # --- files ------------------------------------------------------------------------------------------------------

    def put_file(self, manifest: Manifest, artifact: Artifact, source: BinaryIO) -> bool:
        """Store a file in the family's repository unless it is there; a large one on from where an earlier try ended.

        Raises `DigestMismatch` for other bytes.
        """
        return self._put_file(self._path(manifest.family), artifact, source)

    def _put_file(self, path: str, artifact: Artifact, source: BinaryIO) -> bool:
        if self._has_blob(path, artifact.sha256):
            # docker-registry has no good answer about a file that another publisher is just storing: that one looks at it himself.
            with suppress(RegistryUnavailable, MissingBlob), self._open_file(path, artifact) as file:
                refuse_damaged_copy(f"{path}/blobs/sha256:{artifact.sha256}", file, artifact)
            self._uploads.forget(path, artifact)
            return False
        if artifact.size > PIECE and source.seekable():
            self._uploads.put(path, artifact, source)
        else:
            self._upload(path, artifact.sha256, Body(verified(source, artifact), BINARY, artifact.size))
        return True

    def open_file(self, manifest: Manifest, artifact: Artifact) -> BinaryIO:
        """Read a file; the caller verifies it. Raises `MissingBlob`."""
        return self._open_file(self._path(manifest.family), artifact)

    def _open_file(self, path: str, artifact: Artifact) -> BinaryIO:
        if not is_digest(artifact.sha256):
            raise MissingBlob(artifact.sha256)
        path = f"{path}/blobs/sha256:{artifact.sha256}"
        download = self._asker.download(path, missing=MissingBlob(artifact.sha256))
        return as_file(download, artifact, download.close)

    @property
    def at_once(self) -> int:
        """How many parts of a file may be on their way at once."""
        return self._at_once

    def read_span(self, manifest: Manifest, artifact: Artifact, start: int, length: int) -> bytes:
        """Read a part of a file. Raises `MissingBlob`, or `NoParts` of a registry that knows no `Range`."""
        return self._read_span(self._path(manifest.family), artifact, start, length)

    def _read_span(self, path: str, artifact: Artifact, start: int, length: int) -> bytes:
        return self._asker.span(f"{path}/blobs/sha256:{artifact.sha256}", start, length, missing=MissingBlob(artifact.sha256))

    def _has_blob(self, path: str, digest: str) -> bool:
        return self._asker.ask("HEAD", f"{path}/blobs/sha256:{digest}", expect=frozenset({_NOT_FOUND})).is_ok

    def _upload(self, path: str, digest: str, body: Body) -> None:
        begun = self._asker.ask("POST", f"{path}/blobs/uploads/", body=Body(b"", BINARY, 0))
        location = self._asker.own(begun.headers.get("location", ""))
        between = "&" if "?" in location else "?"
        self._asker.ask("PUT", f"{location}{between}digest=sha256:{digest}", body=body)

    def _put_document(self, path: str, document: bytes) -> None:
        digest = hashlib.sha256(document).hexdigest()
        if not self._has_blob(path, digest):
            self._upload(path, digest, Body(document, BINARY, len(document)))

    # --- versions ---------------------------------------------------------------------------------------------------

    def put_manifest(self, manifest: Manifest) -> bool:
        """Publish, unless the version is there; whether this call did it. Raises `MissingBlob` while a file is lacking.

        Where two do so at the same time, the later one stays: who was overwritten is told at his next look, by the ledger.
        """
        documents = manifest.canonical(), config_of(manifest)
        return self._publish(self._path(manifest.family), manifest.version, image_of(manifest), manifest.artifacts, documents)

    def _publish(self, path: str, tag: str, image: bytes, artifacts: Sequence[Artifact], documents: Iterable[bytes]) -> bool:
        for artifact in artifacts:
            if not self._has_blob(path, artifact.sha256):
                raise MissingBlob(artifact.sha256)
        if self._asker.ask("HEAD", f"{path}/manifests/{tag}", headers=_ACCEPT, expect=frozenset({_NOT_FOUND})).is_ok:
            return False
        for document in documents:
            self._put_document(path, document)
        self._put_image(path, tag, image, MANIFEST)
        return self._manifest(path, tag).content == image

    def _put_image(self, path: str, reference: str, document: bytes, media_type: str) -> Answer:
        body = Body(document, media_type, len(document))
        for pause in PAUSES:
            answer = self._asker.ask("PUT", f"{path}/manifests/{reference}", body=body, expect=_UNSETTLED)
            if answer.is_ok:
                return answer
            time.sleep(pause)
        return self._asker.ask("PUT", f"{path}/manifests/{reference}", body=body)

    def read_manifest(self, family: str, version: str) -> StoredManifest:
        """Look a version up. Raises `UnknownFamily`, `UnknownVersion`, `InvalidManifest` or `DigestMismatch`."""
        return self._own(self._path(family), self._image(family, version), OWN, f"{family}:{version}")

    def _own(self, path: str, image: bytes, kind: str, what: str) -> StoredManifest:
        own = next((layer for layer in parse(image, Image, what).layers if layer.media_type == kind), None)
        if own is None:
            raise InvalidManifest(reason=f"{what} of {self._name} is nothing that was published with pointsman")
        if own.size > LARGEST_MANIFEST:
            raise InvalidManifest(reason=f"larger than {LARGEST_MANIFEST} bytes")
        answer = self._asker.ask("GET", f"{path}/blobs/sha256:{own.sha256}", expect=frozenset({_NOT_FOUND}))
        if not answer.is_ok:
            raise MissingBlob(own.sha256)
        return StoredManifest(answer.content, own.sha256)

    def _image(self, family: str, version: str) -> bytes:
        """The image manifest under a tag, which is what its digest says. Raises as `read_manifest` does."""
        if not is_family_name(family):
            raise UnknownFamily(family)
        if not is_version(version):
            raise UnknownVersion(family, version)
        answer = self._manifest(self._path(family), version)
        if not answer.is_ok:
            self.versions(family)
            raise UnknownVersion(family, version)
        return answer.content

    def _manifest(self, path: str, reference: str) -> Answer:
        answer = self._asker.ask("GET", f"{path}/manifests/{reference}", headers=_ACCEPT, expect=frozenset({_NOT_FOUND}))
        stated = answer.headers.get("docker-content-digest", "").removeprefix("sha256:")
        actual = hashlib.sha256(answer.content).hexdigest()
        if answer.is_ok and stated not in {"", actual}:
            raise DigestMismatch(what=f"{path}/manifests/{reference}", expected=stated, actual=actual)
        return answer

    # --- the library of components ----------------------------------------------------------------------------------

    def put_component_file(self, name: str, artifact: Artifact, source: BinaryIO) -> bool:
        """Store a file in the component's repository unless it is there. Raises `DigestMismatch` for other bytes."""
        return self._put_file(self._shelf(name), artifact, source)

    def open_component_file(self, name: str, artifact: Artifact) -> BinaryIO:
        """Read a file; the caller verifies it. Raises `MissingBlob`."""
        return self._open_file(self._shelf(name), artifact)

    def read_component_span(self, name: str, artifact: Artifact, start: int, length: int) -> bytes:
        """Read a part of a file. Raises as `read_span` does."""
        return self._read_span(self._shelf(name), artifact, start, length)

    def put_component(self, name: str, version: str, document: bytes, artifacts: Sequence[Artifact]) -> bool:
        """Publish a component, unless it is there; whether this call did it. Raises `MissingBlob` while a file is lacking.

        Of two at the same time the later one stays, as with versions; whoever pins one has its digest and its files, whatever comes after.
        """
        return self._publish(self._shelf(name), version, component_of(document, artifacts), artifacts, (document, EMPTY_CONFIG))

    def read_component(self, name: str, version: str) -> StoredManifest:
        """Look a component up. Raises `UnknownComponent`, `InvalidManifest` or `DigestMismatch`."""
        path = self._shelf(name)
        answer = self._manifest(path, version) if is_version(version) else None
        if answer is None or not answer.is_ok:
            raise UnknownComponent(name, version)
        return self._own(path, answer.content, COMPONENT, f"{_COMPONENTS}/{name}:{version}")

    def components(self) -> Sequence[str]:
        """The components that have a version, by name. Raises `RegistryUnavailable` where the registry lists no repositories."""
        prefix = f"{self._repository}/{_COMPONENTS}/"
        names = [name.removeprefix(prefix) for name in self._listed("/v2/_catalog", "repositories") if name.startswith(prefix)]
        return sorted(name for name in names if is_family_name(name) and self._tags(self._shelf(name)))

    def component_versions(self, name: str) -> Sequence[str]:
        """A component's versions, in no order. Raises `UnknownComponent`."""
        found = self._tags(self._shelf(name))
        if not found:
            raise UnknownComponent(name)
        return found

    def _shelf(self, name: str) -> str:
        if not is_family_name(name):
            raise UnknownComponent(name)
        return self._path(f"{_COMPONENTS}/{name}")

    # --- lists ------------------------------------------------------------------------------------------------------

    def families(self) -> Sequence[str]:
        """The families that have a version, by name. Raises `RegistryUnavailable` where the registry lists no repositories."""
        prefix = f"{self._repository}/"
        names = [name.removeprefix(prefix) for name in self._listed("/v2/_catalog", "repositories") if name.startswith(prefix)]
        return sorted(name for name in names if is_family_name(name) and self._tags(self._path(name)))

    def versions(self, family: str) -> Sequence[str]:
        """A family's versions, in no order. Raises `UnknownFamily`."""
        found = self._tags(self._path(family)) if is_family_name(family) else []
        if not found:
            raise UnknownFamily(family)
        return found

    def _tags(self, path: str) -> list[str]:
        return [tag for tag in self._listed(f"{path}/tags/list", "tags") if is_version(tag)]

    def _listed(self, path: str, field: str) -> Iterator[str]:
        """The names of a list that may come in pages; of the link to the next one only the place is believed."""
        last: str | None = None
        while True:
            query = {"n": str(_PAGE)} | ({} if last is None else {"last": last})
            answer = self._asker.ask("GET", path, query=query, expect=frozenset({_NOT_FOUND}))
            if answer.is_ok:
                yield from self._asker.texts(answer.content, field)
            following = _next(answer.headers.get("link", ""))
            if not answer.is_ok or following is None or following == last:
                return
            last = following

    # --- what is kept beside a version ------------------------------------------------------------------------------

    def attach(self, family: str, version: str, kind: str, document: bytes) -> None:
        """Keep a document, a signature for one, beside exactly these bytes of a version; `kind` is its media type.

        By the referrers API, or by a tag that lists them where the registry has none.
        """
        path, subject = self._path(family), self._subject(family, version)
        self._put_document(path, document)
        self._put_document(path, b"{}")
        image = attached(subject, kind, document)
        digest = hashlib.sha256(image).hexdigest()
        answer = self._put_image(path, f"sha256:{digest}", image, MANIFEST)
        if "oci-subject" not in answer.headers:
            self._list(path, subject, Descriptor(MANIFEST, f"sha256:{digest}", len(image), artifact_type=kind))

    def attachments(self, family: str, version: str, kind: str) -> Sequence[bytes]:
        """The documents of a kind beside a version, each of them what its digest says."""
        path, subject = self._path(family), self._subject(family, version)
        return [self._attachment(path, entry) for entry in self._referrers(path, subject).manifests if entry.artifact_type == kind]

    def _subject(self, family: str, version: str) -> Descriptor:
        image = self._image(family, version)
        return Descriptor(MANIFEST, f"sha256:{hashlib.sha256(image).hexdigest()}", len(image))

    def _referrers(self, path: str, subject: Descriptor) -> Index:
        answer = self._asker.ask("GET", f"{path}/referrers/{subject.digest}", headers=_ACCEPT, expect=frozenset({_NOT_FOUND}))
        if not answer.is_ok:
            answer = self._manifest(path, _fallback(subject))
        return parse(answer.content, Index, "the referrers") if answer.is_ok else Index()

    def _list(self, path: str, subject: Descriptor, entry: Descriptor) -> None:
        """Add to the tag that lists what refers to a manifest. Others may do so as well, and the last one stays: look, and do it again."""
        for _ in range(_TRIES):
            known = self._referrers(path, subject)
            if entry in known.manifests:
                return
            listed = msgspec.structs.replace(known, manifests=(*known.manifests, entry))
            self._put_image(path, _fallback(subject), msgspec.json.encode(listed), INDEX)
        raise RegistryUnavailable(self._name, f"others change the tag {_fallback(subject)} all the time")

    def _attachment(self, path: str, entry: Descriptor) -> bytes:
        document = self._verified(self._manifest(path, entry.digest), entry)
        [layer] = parse(document, Image, entry.digest).layers[:1]
        return self._verified(self._asker.ask("GET", f"{path}/blobs/sha256:{layer.sha256}"), layer)

    def _verified(self, answer: Answer, expected: Descriptor) -> bytes:
        actual = hashlib.sha256(answer.content).hexdigest()
        if actual != expected.sha256:
            raise DigestMismatch(what=expected.digest, expected=expected.sha256, actual=actual)
        return answer.content

    def _path(self, family: str) -> str:
        return f"/v2/{self._repository}/{family}"


def _fallback(subject: Descriptor) -> str:
    """The tag that the distribution specification gives the list of referrers where there is no API for it."""
    return subject.digest.replace(":", "-")


def _next(link: str) -> str | None:
    """What a page's link says the next one begins after."""
    url, _, relation = link.partition(">")
    if 'rel="next"' not in relation:
        return None
    return next(iter(parse_qs(urlsplit(url.lstrip("<")).query).get("last", [])), None)
