"""Signatures in sigstore's format: what its own library makes counts here, and what is made here holds by its own library."""

import json
import sys
from base64 import b64decode, b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat, load_pem_private_key
from model_signing import signing, verifying

from registry_client.address import TrustPlan
from registry_client.backends.files import FilesBackend
from registry_client.bundle import load_bundle
from registry_client.cache import Cache
from registry_client.client import RegistryClient
from registry_client.dsse import pre_authentication_encoding
from registry_client.manifest import Manifest
from registry_client.signatures import Signature
from registry_client.signing import PublicKey, SigningKey, UnusableKey, new_curve_key
from registry_client.sigstore import MEDIA_TYPE, CannotBeSigned, MissingSigstore, sign, write_folder
from registry_client.trust import NotSigned, Trust, read_trust
from tests.fakes.bundles import write_files

CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}


@dataclass
class Release:
    """A published version, and somebody with a key of a curve."""

    manifest: Manifest
    directory: Path
    """Where its files lie."""
    private: Path
    public: Path

    def trust(self, *public: Path) -> Trust:
        return Trust([PublicKey.read(path.name, path) for path in public or (self.public,)])

    def judged(self, document: bytes) -> Signature:
        [signature] = self.trust().judge([document], self.manifest)
        return signature


@pytest.fixture
def client(tmp_path: Path) -> RegistryClient:
    return RegistryClient(FilesBackend(tmp_path / "registry"), Cache(tmp_path / "cache"))


@pytest.fixture
def release(client: RegistryClient, tmp_path: Path) -> Release:
    client.publish(load_bundle(write_files(tmp_path / "bundle")))
    fetched = client.fetch("digits", "1.0.0")
    public, _ = new_curve_key(tmp_path / "release")
    return Release(fetched.manifest, fetched.directory, tmp_path / "release", public)


@pytest.fixture
def signature(release: Release) -> bytes:
    return sign(release.manifest, release.directory, release.private)


def folder_of(release: Release, place: Path) -> Path:
    write_folder(release.manifest, release.directory, place)
    return place


def by_its_own_library(release: Release, folder: Path, document: bytes) -> None:
    """Have `model-signing` check it. Raises `ValueError` where it does not hold."""
    file = folder.parent / "signature"
    file.write_bytes(document)
    verifying.Config().use_elliptic_key_verifier(public_key=release.public).verify(folder, file)  # type: ignore[no-untyped-call]


def test_a_signature_made_here_holds_by_its_own_library_for_every_file(release: Release, signature: bytes, tmp_path: Path) -> None:
    folder = folder_of(release, tmp_path / "elsewhere")

    by_its_own_library(release, folder, signature)

    (folder / "weights" / "model.onnx.data").unlink()
    (folder / "weights" / "model.onnx.data").write_bytes(b"other")
    with pytest.raises(ValueError, match="mismatch"):
        by_its_own_library(release, folder, signature)


@pytest.mark.parametrize("curve", list(CURVES))
def test_one_that_its_own_library_made_counts_here(release: Release, tmp_path: Path, curve: str) -> None:
    # given
    key = ec.generate_private_key(CURVES[curve])
    release.private, release.public = tmp_path / "k", tmp_path / "k.pub"
    release.private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    release.public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    file = tmp_path / "made"

    # when
    config = signing.Config().use_elliptic_key_signer(private_key=release.private)  # type: ignore[no-untyped-call]
    config.sign(folder_of(release, tmp_path / "elsewhere"), file)

    # then
    found = release.judged(file.read_bytes())
    assert (found.key, found.why, found.keyid) == ("k.pub", "", PublicKey.read("k", release.public).ident)


def test_one_by_a_key_that_nobody_trusts_counts_for_nothing(release: Release, signature: bytes, tmp_path: Path) -> None:
    other, _ = new_curve_key(tmp_path / "other")
    ours = SigningKey.new().write(tmp_path / "ours")

    [found] = release.trust(other, ours).judge([signature], release.manifest)

    assert (found.key, found.why) == ("", "no trusted key made it")


def test_one_of_another_version_counts_for_nothing(release: Release, signature: bytes) -> None:
    other = msgspec.structs.replace(release.manifest, docs="other")

    [found] = release.trust().judge([signature], other)

    assert found.key == ""
    assert release.manifest.digest[:12] in found.why


def changed(signature: bytes, payload: bytes, **envelope: Any) -> bytes:
    """The same bundle around another payload."""
    bundle = json.loads(signature)
    bundle["dsseEnvelope"] |= {"payload": b64encode(payload).decode(), **envelope}
    return json.dumps(bundle).encode()


def test_no_byte_of_what_is_signed_can_be_changed(release: Release, signature: bytes) -> None:
    # given
    payload = b64decode(json.loads(signature)["dsseEnvelope"]["payload"])

    # when
    spoiled = [changed(signature, payload[:at] + bytes([payload[at] ^ 1]) + payload[at + 1 :]) for at in range(len(payload))]

    # then
    assert {release.judged(document).key for document in spoiled} == {""}


def resigned(release: Release, statement: dict[str, Any], kind: str = "application/vnd.in-toto+json") -> bytes:
    """A signature that the trusted key really made, of something else."""
    payload = json.dumps(statement).encode()
    key = load_pem_private_key(release.private.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    mark = key.sign(pre_authentication_encoding(kind, payload), ec.ECDSA(SHA256()))
    envelope = {"payload": b64encode(payload).decode(), "payloadType": kind, "signatures": [{"sig": b64encode(mark).decode(), "keyid": ""}]}
    return json.dumps({"mediaType": MEDIA_TYPE, "verificationMaterial": {}, "dsseEnvelope": envelope}).encode()


def statement_of(signature: bytes) -> dict[str, Any]:
    statement: dict[str, Any] = json.loads(b64decode(json.loads(signature)["dsseEnvelope"]["payload"]))
    return statement


def test_what_the_key_signed_as_something_else_counts_for_nothing(release: Release, signature: bytes) -> None:
    # given
    whole = statement_of(signature)
    resources = whole["predicate"]["resources"]
    [own] = [each for each in resources if each["name"] == "manifest.json"]
    others = [each for each in resources if each is not own]

    def listing(*listed: dict[str, Any]) -> dict[str, Any]:
        return {**whole, "predicate": {**whole["predicate"], "resources": list(listed)}}

    # when
    assert release.judged(resigned(release, whole)).key == "release.pub"
    found = [
        release.judged(document)
        for document in (
            resigned(release, whole, "application/vnd.pointsman.version.v1+json"),
            resigned(release, {**whole, "_type": "https://in-toto.io/Statement/v0.1"}),
            resigned(release, {**whole, "predicateType": "https://slsa.dev/provenance/v1"}),
            resigned(release, listing(*others)),
            resigned(release, listing(own, {**others[0], "digest": "ab" * 32}, *others[1:])),
            resigned(release, listing(*resources, {**own, "digest": "ab" * 32})),
            resigned(release, listing({**own, "algorithm": "blake3"}, *others)),
            resigned(release, {}),
        )
    ]

    # then
    assert [one.key for one in found] == [""] * len(found)
    assert all(one.why for one in found)


@pytest.mark.parametrize("document", [b"", b"[]", b'{"mediaType":"%b","dsseEnvelope":{}}' % MEDIA_TYPE.encode(), b"[" * 5000])
def test_what_is_no_signature_is_told_and_spoils_no_other(release: Release, signature: bytes, document: bytes) -> None:
    broken, good = release.trust().judge([document, signature], release.manifest)

    assert (broken.key, bool(broken.why), good.key) == ("", True, "release.pub")


def test_where_signatures_are_needed_either_format_will_do(client: RegistryClient, release: Release, tmp_path: Path) -> None:
    # given
    trust = read_trust(TrustPlan({"release": release.public}, {"digits": ("release",)}))
    strict = RegistryClient(FilesBackend(tmp_path / "registry"), Cache(tmp_path / "strict"), trust=trust)
    with pytest.raises(NotSigned):
        strict.fetch("digits", "1.0.0")

    # when
    client.sign_folder("digits", "1.0.0", lambda manifest, directory: sign(manifest, directory, release.private))

    # then
    assert strict.fetch("digits", "1.0.0").digest == release.manifest.digest
    (tmp_path / "registry").rename(tmp_path / "away")
    away = RegistryClient(FilesBackend(tmp_path / "registry"), Cache(tmp_path / "strict"), trust=trust)
    assert away.fetch("digits", "1.0.0", expected_digest=release.manifest.digest).digest == release.manifest.digest


def test_a_version_that_must_be_signed_can_be_signed_by_whoever_is_held_to_it(release: Release, tmp_path: Path) -> None:
    trust = read_trust(TrustPlan({"release": release.public}, {"*": ("release",)}))
    strict = RegistryClient(FilesBackend(tmp_path / "registry"), Cache(tmp_path / "strict"), trust=trust)

    strict.sign_folder("digits", "1.0.0", lambda manifest, directory: sign(manifest, directory, release.private))

    assert strict.fetch("digits", "1.0.0").digest == release.manifest.digest


def test_a_key_of_another_kind_is_refused_with_its_file(release: Release, tmp_path: Path) -> None:
    SigningKey.new().write(tmp_path / "ed25519")
    (tmp_path / "text").write_text("hello")

    for name in ("ed25519", "text", "nowhere"):
        with pytest.raises(UnusableKey, match=name):
            sign(release.manifest, release.directory, tmp_path / name)


def test_a_version_with_a_manifest_of_its_own_among_its_files_is_not_signed(release: Release) -> None:
    first, *others = release.manifest.artifacts
    confusing = msgspec.structs.replace(release.manifest, artifacts=(msgspec.structs.replace(first, path="manifest.json"), *others))

    with pytest.raises(CannotBeSigned):
        sign(confusing, release.directory, release.private)


def test_without_the_extra_it_says_what_to_install_and_still_checks(
    release: Release, signature: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "model_signing", None)

    with pytest.raises(MissingSigstore) as missing:
        sign(release.manifest, release.directory, release.private)

    assert "pointsman[sigstore]" in missing.value.hint
    assert release.judged(signature).key == "release.pub"
