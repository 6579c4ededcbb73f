"""Signatures of versions: an Ed25519 key vouches for a manifest's digest, and so for every byte that a version loads.

Signatures are DSSE envelopes beside the version; they are added and never changed. Whose word counts is said by whoever loads.
"""

import hashlib
import os
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import rfc8785
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, EllipticCurvePublicKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from registry_client.decoding import from_json
from registry_client.dsse import Envelope, Mark, UnreadableEnvelope, pre_authentication_encoding
from registry_client.errors import RegistryError
from registry_client.manifest import Manifest
from registry_client.signatures import Signature

PAYLOAD_TYPE = "application/vnd.pointsman.version.v1+json"
CURVES: Mapping[str, HashAlgorithm] = {"secp256r1": SHA256(), "secp384r1": SHA384(), "secp521r1": SHA512()}
"""The curves of sigstore's keys, each with the hash that it signs by."""
_MOST_BYTES = 16 * 1024
_OWNER_ONLY = 0o600


class UnusableKey(RegistryError):
    """A key file that cannot be read, or that holds something else."""

    hint = "an Ed25519 key in PEM is needed, for sigstore one of P-256; make a pair with: pointsman keys new FILE [--format sigstore]"

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        super().__init__(f"the key {path} cannot be used: {reason}")


class Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is signed: that this version is the manifest with this sha256, says whom, and when."""

    family: str
    version: str
    manifest_sha256: str
    signed_at: str
    signed_by: str


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key whose signatures can be checked, under the name that it is known by here: Ed25519 for ours, of a curve for sigstore's."""

    name: str
    key: Ed25519PublicKey | EllipticCurvePublicKey

    @classmethod
    def read(cls, name: str, path: Path) -> "PublicKey":
        """A public key in PEM. Raises `UnusableKey`."""
        try:
            key = load_pem_public_key(_content(path))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise UnusableKey(path, "it is no public key in PEM") from error
        if isinstance(key, Ed25519PublicKey) or (isinstance(key, EllipticCurvePublicKey) and key.curve.name in CURVES):
            return cls(name, key)
        raise UnusableKey(path, "it is a public key of another kind")

    @property
    def ident(self) -> str:
        """The sha256 of the key, in hexadecimal: what it is called in signatures."""
        return ident_of(self.key)

    def has_signed(self, envelope: Envelope) -> bool:
        """Whether one of an envelope's signatures is this key's, over exactly its type and payload. Raises `UnreadableEnvelope`."""
        message = pre_authentication_encoding(envelope.payload_type, envelope.content())
        return any(self._holds(mark.raw(), message) for mark in envelope.signatures)

    def _holds(self, signature: bytes, message: bytes) -> bool:
        if not isinstance(self.key, Ed25519PublicKey):
            return False
        try:
            self.key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


class SigningKey:
    """A secret key that signs versions."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def new(cls) -> "SigningKey":
        """A key that there was never before."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def read(cls, path: Path) -> "SigningKey":
        """A private key in PEM, without a password. Raises `UnusableKey`."""
        key = _private(path)
        if not isinstance(key, Ed25519PrivateKey):
            raise UnusableKey(path, "it is a private key of another kind")
        return cls(key)

    def write(self, path: Path) -> Path:
        """Write the key, mode 0600, and its public half beside it, whose path is given back. Raises `FileExistsError` or `OSError`."""
        return _write_pair(path, self._key)

    @property
    def ident(self) -> str:
        """What it is called in signatures."""
        return ident_of(self._key.public_key())

    def sign(self, manifest: Manifest, by: str, at: datetime) -> bytes:
        """Vouch for a version: the envelope. `by` is for people, and proves nothing."""
        stamp = at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        statement = Statement(manifest.family, manifest.version, manifest.digest, stamp, by)
        payload = rfc8785.dumps(msgspec.to_builtins(statement))
        signature = self._key.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))
        return Envelope.of(PAYLOAD_TYPE, payload, [Mark(sig=b64encode(signature).decode(), keyid=self.ident)]).document()


def judged(document: bytes, manifest: Manifest, keys: Sequence[PublicKey]) -> Signature:
    """Whether an envelope beside a version is a signature of exactly this manifest, by one of these keys."""
    try:
        envelope = Envelope.read(document)
        signer = next((key.name for key in keys if key.has_signed(envelope)), "")
        statement = _statement(envelope)
    except UnreadableEnvelope as error:
        return Signature("", why=str(error))
    keyid = envelope.signatures[0].keyid
    if (statement.family, statement.version, statement.manifest_sha256) != (manifest.family, manifest.version, manifest.digest):
        why = f"it is about {statement.family}@{statement.version} of digest {statement.manifest_sha256[:12]}"
        return Signature("", statement.signed_at, statement.signed_by, keyid, why)
    if not signer:
        known = any(key.ident == keyid for key in keys)
        why = "it does not hold: it names a trusted key, which did not make it" if known else "no trusted key made it"
        return Signature("", statement.signed_at, statement.signed_by, keyid, why)
    return Signature(signer, statement.signed_at, statement.signed_by, keyid)


def _statement(envelope: Envelope) -> Statement:
    if envelope.payload_type != PAYLOAD_TYPE:
        raise UnreadableEnvelope(reason=f"what it signs is of type {envelope.payload_type[:80]!r}, not {PAYLOAD_TYPE}")
    try:
        return from_json(envelope.content(), Statement)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnreadableEnvelope(reason=f"what it signs is no statement about a version: {error}") from error


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES)
    except OSError as error:
        raise UnusableKey(path, error.strerror or str(error)) from error


def ident_of(key: Ed25519PublicKey | EllipticCurvePublicKey) -> str:
    """The sha256 of a key: of its bytes where it is one of ours, of its PEM as sigstore has it."""
    if isinstance(key, Ed25519PublicKey):
        return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()
    return hashlib.sha256(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def new_curve_key(path: Path) -> tuple[Path, str]:
    """Make a pair of keys of the curve P-256, for sigstore; the path of the public one and its id. Raises as `SigningKey.write` does."""
    key = generate_private_key(SECP256R1())
    return _write_pair(path, key), ident_of(key.public_key())


def curve_key_id(path: Path) -> str:
    """What a private key of one of the curves is called in signatures. Raises `UnusableKey`."""
    key = _private(path)
    if not isinstance(key, EllipticCurvePrivateKey) or key.curve.name not in CURVES:
        raise UnusableKey(path, "it is a private key of another kind")
    return ident_of(key.public_key())


def _private(path: Path) -> object:
    try:
        return load_pem_private_key(_content(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UnusableKey(path, "it is no private key in PEM without a password") from error


def _write_pair(path: Path, key: Ed25519PrivateKey | EllipticCurvePrivateKey) -> Path:
    public = path.with_name(f"{path.name}.pub")
    if public.exists():
        raise FileExistsError(public)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as file:
        file.write(private)
    with public.open("xb") as file:
        file.write(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return public
