"""Signatures as sigstore's `model-signing` makes them with a key, so that whoever has only its tools can check a version.

What is signed is a folder: `manifest.json`, whose sha256 is the version's identity, and every file that it names. Making one takes the
extra `sigstore`; checking one is an ECDSA signature in a DSSE envelope, and takes neither the extra nor a network. Signatures by a
certificate or by an identity ("keyless") are of another kind, and count for nothing here.
"""

import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey

from registry_client.decoding import from_json
from registry_client.dsse import Envelope, UnreadableEnvelope, pre_authentication_encoding
from registry_client.errors import RegistryError
from registry_client.manifest import Manifest
from registry_client.signatures import Signature
from registry_client.signing import CURVES, PublicKey, curve_key_id

MEDIA_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
MANIFEST: Final = "manifest.json"

_PAYLOAD_TYPE = "application/vnd.in-toto+json"
_STATEMENT = "https://in-toto.io/Statement/v1"
_PREDICATE = "https://model_signing/signature/v1.0"


class MissingSigstore(RegistryError):
    """A signature of sigstore's is to be made, and the library that makes them is not installed."""

    hint = "pip install 'pointsman[sigstore]'; checking such signatures needs nothing more than pointsman"

    def __init__(self) -> None:
        super().__init__("signatures in sigstore's format need the extra sigstore, which is not installed")


class CannotBeSigned(RegistryError):
    """A version whose folder could not tell its own files from what says what it is."""

    hint = f"publish it without a file named {MANIFEST}, or sign it in the other format: pointsman sign --format dsse"

    def __init__(self, manifest: Manifest) -> None:
        super().__init__(f"{manifest.family}@{manifest.version} has a file {MANIFEST} of its own")


class _Key(msgspec.Struct, frozen=True):
    hint: str | None = None


class _Material(msgspec.Struct, frozen=True, rename="camel"):
    public_key: _Key = _Key()


class _Bundle(msgspec.Struct, frozen=True, rename="camel"):
    media_type: str
    dsse_envelope: msgspec.Raw
    verification_material: _Material = _Material()


class _Resource(msgspec.Struct, frozen=True):
    name: str
    algorithm: str
    digest: str


class _Serialization(msgspec.Struct, frozen=True):
    method: str


class _Predicate(msgspec.Struct, frozen=True):
    serialization: _Serialization
    resources: tuple[_Resource, ...]


class _Statement(msgspec.Struct, frozen=True, rename={"kind": "_type", "predicate_type": "predicateType"}):
    kind: str
    predicate_type: str
    predicate: _Predicate


def is_bundle(document: bytes) -> bool:
    """Whether a document beside a version is meant for this module."""
    try:
        return from_json(document, _Bundle).media_type == MEDIA_TYPE
    except (msgspec.DecodeError, RecursionError):
        return False


def judged(document: bytes, manifest: Manifest, keys: Sequence[PublicKey]) -> Signature:
    """Whether a document is a signature of exactly this version by one of these keys. Such signatures say neither when nor by whom."""
    try:
        bundle = from_json(document, _Bundle)
        envelope = Envelope.read(bytes(bundle.dsse_envelope))
        signer = next((key.name for key in keys if _has_signed(key, envelope)), "")
        _refuse_other(_statement(envelope), manifest)
    except (UnreadableEnvelope, msgspec.DecodeError, RecursionError) as error:
        return Signature("", why=str(error))
    hint = bundle.verification_material.public_key.hint or ""
    return Signature(signer, keyid=hint, why="" if signer else "no trusted key made it")


def _has_signed(key: PublicKey, envelope: Envelope) -> bool:
    """Whether one of an envelope's signatures is this key's. Raises `UnreadableEnvelope`."""
    if not isinstance(key.key, EllipticCurvePublicKey):
        return False
    message = pre_authentication_encoding(envelope.payload_type, envelope.content())
    for mark in envelope.signatures:
        with suppress(InvalidSignature):
            key.key.verify(mark.raw(), message, ECDSA(CURVES[key.key.curve.name]))
            return True
    return False


def _statement(envelope: Envelope) -> _Statement:
    if envelope.payload_type != _PAYLOAD_TYPE:
        raise UnreadableEnvelope(reason=f"what it signs is of type {envelope.payload_type[:80]!r}, not {_PAYLOAD_TYPE}")
    statement = from_json(envelope.content(), _Statement)
    if (statement.kind, statement.predicate_type, statement.predicate.serialization.method) != (_STATEMENT, _PREDICATE, "files"):
        raise UnreadableEnvelope(reason="what it signs is no list of a model's files")
    return statement


def _refuse_other(statement: _Statement, manifest: Manifest) -> None:
    """Raise `UnreadableEnvelope` unless what is signed is this version: its manifest, and none of its files as another one.

    The manifest's digest covers every byte that is loaded, so what else lay in the folder does not matter.
    """
    resources = statement.predicate.resources
    listed = {each.name: each.digest for each in resources if each.algorithm == "sha256"}
    if len(listed) != len(resources):
        raise UnreadableEnvelope(reason="it lists a file twice, or by another digest than sha256")
    about = listed.get(MANIFEST)
    if about != manifest.digest:
        found = "without a manifest.json" if about is None else f"of manifest {about[:12]}"
        raise UnreadableEnvelope(reason=f"it is about a folder {found}, not about {manifest.family}@{manifest.version}")
    other = next((each.path for each in manifest.artifacts if listed.get(each.path, each.sha256) != each.sha256), None)
    if other is not None:
        raise UnreadableEnvelope(reason=f"it is about another {other} than this version's")


def sign(manifest: Manifest, directory: Path, key: Path) -> bytes:
    """Vouch for a version, whose verified files lie in a directory. Raises `MissingSigstore`, `UnusableKey` or `CannotBeSigned`."""
    curve_key_id(key)
    try:
        from model_signing import signing  # noqa: PLC0415 - an extra; a second to import
    except ImportError as error:
        raise MissingSigstore from error
    if any(artifact.path == MANIFEST for artifact in manifest.artifacts):
        raise CannotBeSigned(manifest)
    with tempfile.TemporaryDirectory(prefix="pointsman-") as aside:
        folder, signature = Path(aside) / f"{manifest.family}-{manifest.version}", Path(aside) / "signature"
        write_folder(manifest, directory, folder)
        config: Any = signing.Config()  # type: ignore[no-untyped-call] # the library types its methods only in part
        config.use_elliptic_key_signer(private_key=key).sign(folder, signature)
        return signature.read_bytes()


def write_folder(manifest: Manifest, directory: Path, folder: Path) -> None:
    """A version as the folder that is signed: its files, taken from a directory that has them, and its manifest."""
    for artifact in manifest.artifacts:
        target = folder / artifact.path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(directory / artifact.path, target)  # a link would show in the seals of whoever loads them
    folder.mkdir(exist_ok=True)
    (folder / MANIFEST).write_bytes(manifest.canonical())
