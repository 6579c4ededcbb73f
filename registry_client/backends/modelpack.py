"""A version as OCI documents: the image manifest and the configuration that the ModelPack specification of the CNCF describes.

The documents depend on the manifest alone, so the same version is the same bytes whoever publishes it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec
import rfc8785

from registry_client.backends.base import is_digest
from registry_client.decoding import from_json
from registry_client.errors import InvalidManifest
from registry_client.manifest import Artifact, Manifest, Role

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
ARTIFACT: Final = "application/vnd.cncf.model.manifest.v1+json"
CONFIG: Final = "application/vnd.cncf.model.config.v1+json"
OWN: Final = "application/vnd.pointsman.manifest.v1+json"
"""Our manifest, the first layer."""
COMPONENT: Final = "application/vnd.pointsman.component.v1+json"
"""The document of a component, the first layer of its image; also what kind of image it is."""
EMPTY: Final = "application/vnd.oci.empty.v1+json"
EMPTY_CONFIG: Final = b"{}"
FILEPATH: Final = "org.cncf.model.filepath"

MEDIA_TYPES: Final[Mapping[Role, str]] = {
    Role.MODEL: "application/vnd.cncf.model.weight.v1.raw",
    Role.WEIGHTS: "application/vnd.cncf.model.weight.v1.raw",
    Role.COMPONENT: "application/vnd.cncf.model.code.v1.raw",
    Role.LOCK: "application/vnd.cncf.model.code.v1.raw",
    Role.WHEEL: "application/vnd.cncf.model.code.v1.raw",
    Role.GOLDEN: "application/vnd.cncf.model.dataset.v1.raw",
    Role.DOC: "application/vnd.cncf.model.doc.v1.raw",
}
"""Raw, never archives: nothing is unpacked."""


class Descriptor(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A document or a file of an image, by digest. `size` is in bytes."""

    media_type: str
    digest: str
    size: int
    artifact_type: str | None = None
    annotations: dict[str, str] = {}

    @property
    def sha256(self) -> str:
        """The digest. Raises `InvalidManifest` for one of another kind."""
        algorithm, _, value = self.digest.partition(":")
        if algorithm != "sha256" or not is_digest(value):
            raise InvalidManifest(reason=f"{self.digest[:80]!r} is no sha256 digest")
        return value


class Image(msgspec.Struct, frozen=True, rename="camel"):
    """What is read of an image manifest."""

    layers: tuple[Descriptor, ...]


class Index(msgspec.Struct, frozen=True, rename="camel"):
    """A list of manifests."""

    schema_version: int = 2
    media_type: str = INDEX
    manifests: tuple[Descriptor, ...] = ()


Document = TypeVar("Document", Image, Index)


def parse(content: bytes, kind: type[Document], what: str) -> Document:
    """Read an image manifest or an index. Raises `InvalidManifest`."""
    try:
        return from_json(content, kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidManifest(reason=f"{what} is no image manifest: {error}") from error


def image_of(manifest: Manifest) -> bytes:
    """The image manifest of a version."""
    own, config = manifest.canonical(), config_of(manifest)
    layers = [_described(own, OWN, {FILEPATH: "manifest.json"}), *map(_layer, manifest.artifacts)]
    annotations = {
        "org.opencontainers.image.created": manifest.created_at,
        "org.opencontainers.image.title": manifest.family,
        "org.opencontainers.image.version": manifest.version,
    }
    return _image(ARTIFACT, _described(config, CONFIG, {}), layers, {"annotations": annotations})


def component_of(document: bytes, artifacts: Sequence[Artifact]) -> bytes:
    """The image manifest of a component of the library."""
    layers = [_described(document, COMPONENT, {FILEPATH: "component.json"}), *map(_layer, artifacts)]
    return _image(COMPONENT, _described(EMPTY_CONFIG, EMPTY, {}), layers, {})


def config_of(manifest: Manifest) -> bytes:
    """The ModelPack configuration of a version."""
    digests = [manifest.digest, *(artifact.sha256 for artifact in manifest.artifacts)]
    document: dict[str, Any] = {
        "descriptor": {
            "createdAt": manifest.created_at,
            "authors": [manifest.created_by],
            "family": manifest.family,
            "name": manifest.family,
            "version": manifest.version,
            "description": manifest.docs,
            "licenses": list(manifest.licenses),
        },
        "config": {"format": "onnx"},
        "modelfs": {"type": "layers", "diffIds": [f"sha256:{digest}" for digest in digests]},
    }
    return rfc8785.dumps(document)


def attached(subject: Descriptor, kind: str, document: bytes) -> bytes:
    """The image manifest of a document that refers to another image."""
    refers = {"mediaType": subject.media_type, "digest": subject.digest, "size": subject.size}
    return _image(kind, _described(EMPTY_CONFIG, EMPTY, {}), [_described(document, kind, {})], {"subject": refers})


def _image(kind: str, config: dict[str, Any], layers: list[dict[str, Any]], more: dict[str, Any]) -> bytes:
    head: dict[str, Any] = {"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": kind}
    return rfc8785.dumps({**head, "config": config, "layers": layers, **more})


def _layer(artifact: Artifact) -> dict[str, Any]:
    return {
        "mediaType": MEDIA_TYPES[artifact.role],
        "digest": f"sha256:{artifact.sha256}",
        "size": artifact.size,
        "annotations": {FILEPATH: artifact.path},
    }


def _described(document: bytes, media_type: str, annotations: dict[str, str]) -> dict[str, Any]:
    digest = hashlib.sha256(document).hexdigest()
    described: dict[str, Any] = {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(document)}
    return described | ({"annotations": annotations} if annotations else {})
