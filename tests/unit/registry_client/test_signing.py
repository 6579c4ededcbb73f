import json
import shutil
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from registry_client.address import TrustPlan
from registry_client.dsse import Envelope, pre_authentication_encoding
from registry_client.manifest import Manifest
from registry_client.signatures import Signature
from registry_client.signing import PAYLOAD_TYPE, PublicKey, SigningKey, UnusableKey, judged
from registry_client.trust import NotSigned, read_trust
from tests.fakes.registry import manifest_of

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MANIFEST = manifest_of("digits", "1.0.0")


def judge(documents: Sequence[bytes], manifest: Manifest, keys: Sequence[PublicKey]) -> list[Signature]:
    return [judged(document, manifest, keys) for document in documents]


class Hand:
    """Somebody with a pair of keys."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.key = SigningKey.new()
        self.private = folder / name
        self.public = self.key.write(self.private)

    def sign(self, version: str = "1.0.0") -> bytes:
        return self.key.sign(manifest_of("digits", version), self.name, AT)

    def known(self) -> PublicKey:
        return PublicKey.read(self.name, self.public)


@pytest.fixture
def ada(tmp_path: Path) -> Hand:
    return Hand(tmp_path, "ada")


@pytest.fixture
def mallory(tmp_path: Path) -> Hand:
    return Hand(tmp_path, "mallory")


def test_a_signature_by_a_trusted_key_says_whose_it_is_and_when(ada: Hand) -> None:
    [signature] = judge([ada.sign()], MANIFEST, [ada.known()])

    assert (signature.key, signature.by, signature.at, signature.keyid) == ("ada", "ada", "2026-01-02T03:04:05Z", ada.known().ident)
    assert signature.why == ""


def test_a_signature_by_another_key_counts_for_nothing(ada: Hand, mallory: Hand) -> None:
    [signature] = judge([mallory.sign()], MANIFEST, [ada.known()])

    assert (signature.key, signature.why) == ("", "no trusted key made it")


def test_whoever_writes_the_id_of_a_trusted_key_beside_his_own_signature_is_found_out(ada: Hand, mallory: Hand) -> None:
    forged = json.loads(mallory.sign())
    forged["signatures"][0]["keyid"] = ada.known().ident

    [signature] = judge([json.dumps(forged).encode()], MANIFEST, [ada.known()])

    assert signature.key == ""
    assert "did not make it" in signature.why


def test_a_signature_of_another_version_or_of_other_bytes_counts_for_nothing(ada: Hand) -> None:
    other_bytes = msgspec.structs.replace(MANIFEST, docs="other")

    of_another, of_others = judge([ada.sign("2.0.0")], MANIFEST, [ada.known()]) + judge([ada.sign()], other_bytes, [ada.known()])

    assert (of_another.key, of_others.key) == ("", "")
    assert "digits@2.0.0" in of_another.why
    assert MANIFEST.digest[:12] in of_others.why


def test_no_byte_of_what_is_signed_can_be_changed(ada: Hand) -> None:
    # given
    whole = json.loads(ada.sign())
    payload = b64decode(whole["payload"])

    # when
    changed = [payload[:at] + bytes([payload[at] ^ 1]) + payload[at + 1 :] for at in range(len(payload))]
    verdicts = judge([json.dumps({**whole, "payload": b64encode(one).decode()}).encode() for one in changed], MANIFEST, [ada.known()])

    # then
    assert {verdict.key for verdict in verdicts} == {""}


def test_a_signature_as_another_kind_of_statement_counts_for_nothing(ada: Hand) -> None:
    whole = json.loads(ada.sign())

    [signature] = judge([json.dumps({**whole, "payloadType": "text/plain"}).encode()], MANIFEST, [ada.known()])

    assert signature.key == ""


@pytest.mark.parametrize("document", [b"", b"{}", b"\xff", b'{"payload":"e30=","payloadType":"x","signatures":[{"sig":"AA=="}]}'])
def test_what_is_no_signature_is_told_and_spoils_no_other(ada: Hand, document: bytes) -> None:
    broken, good = judge([document, ada.sign()], MANIFEST, [ada.known()])

    assert (broken.key, bool(broken.why), good.key) == ("", True, "ada")


# --- keys -----------------------------------------------------------------------------------------------------------


def test_the_private_key_is_for_its_owner_alone_and_reads_back(ada: Hand) -> None:
    again = SigningKey.read(ada.private)

    assert ada.private.stat().st_mode & 0o777 == 0o600
    assert again.ident == ada.key.ident == ada.known().ident


def test_no_key_is_ever_overwritten(ada: Hand) -> None:
    before = (ada.private.read_bytes(), ada.public.read_bytes())

    with pytest.raises(FileExistsError):
        SigningKey.new().write(ada.private)
    ada.private.unlink()
    with pytest.raises(FileExistsError):
        SigningKey.new().write(ada.private)

    assert ada.public.read_bytes() == before[1]


def test_a_key_of_another_kind_or_none_at_all_is_refused_with_its_file(tmp_path: Path) -> None:
    # given
    rsa = generate_private_key(65537, 2048)
    files = {
        "rsa": rsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        "rsa.pub": rsa.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "text": b"hello",
        "empty": b"",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)

    # when / then
    for name in [*files, "nowhere"]:
        for read in (SigningKey.read, lambda path: PublicKey.read("it", path)):
            with pytest.raises(UnusableKey, match=name):
                read(tmp_path / name)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl on this machine")
def test_openssl_agrees_about_a_signature(ada: Hand, tmp_path: Path) -> None:
    # given
    envelope = Envelope.read(ada.sign())
    (tmp_path / "message").write_bytes(pre_authentication_encoding(PAYLOAD_TYPE, envelope.content()))
    (tmp_path / "signature").write_bytes(envelope.signatures[0].raw())

    # when
    words = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(ada.public), "-rawin"]
    said = subprocess.run(
        [*words, "-in", str(tmp_path / "message"), "-sigfile", str(tmp_path / "signature")], capture_output=True, text=True, check=False
    )

    # then
    assert said.returncode == 0, said.stderr


# --- whose word counts ----------------------------------------------------------------------------------------------


def test_only_the_families_that_are_named_need_a_signature(ada: Hand) -> None:
    trust = read_trust(TrustPlan({"ada": ada.public}, {"digits": ("ada",)}))

    trust.refuse_unsigned(manifest_of("iris", "1.0.0"), [])
    with pytest.raises(NotSigned, match="it has no signature"):
        trust.refuse_unsigned(MANIFEST, [])
    trust.refuse_unsigned(MANIFEST, [ada.sign()])


def test_a_star_means_every_family_that_is_not_named(ada: Hand, mallory: Hand) -> None:
    trust = read_trust(TrustPlan({"ada": ada.public, "mallory": mallory.public}, {"*": ("ada",), "digits": ("mallory",)}))

    assert (trust.required("iris"), trust.required("digits")) == (("ada",), ("mallory",))


def test_a_trusted_key_that_is_not_the_one_for_the_family_is_not_enough(ada: Hand, mallory: Hand) -> None:
    trust = read_trust(TrustPlan({"ada": ada.public, "mallory": mallory.public}, {"digits": ("ada",)}))

    with pytest.raises(NotSigned, match="it is signed with mallory"):
        trust.refuse_unsigned(MANIFEST, [mallory.sign()])
