from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.dataplane.handshake import (
    ANSWER_BYTES,
    HELLO,
    MAGIC,
    PROTOCOL,
    ClusterSecret,
    GatewayHandshake,
    HandshakeFailed,
    UnusableSecret,
    VersionHandshake,
)

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
DIGEST, OTHER_DIGEST = "ab" * 32, "cd" * 32


def test_two_ends_with_one_secret_believe_each_other() -> None:
    gateway, version = GatewayHandshake(KEY, DIGEST), VersionHandshake(KEY, DIGEST)

    proof = gateway.proof(version.answer(gateway.hello))

    version.admit(proof)


def test_a_gateway_does_not_believe_a_version_with_another_secret() -> None:
    gateway, version = GatewayHandshake(KEY, DIGEST), VersionHandshake(OTHER_KEY, DIGEST)

    with pytest.raises(HandshakeFailed, match="secret"):
        gateway.proof(version.answer(gateway.hello))


def test_a_version_does_not_believe_a_gateway_with_another_secret() -> None:
    # given a gateway that skips its own check
    version = VersionHandshake(KEY, DIGEST)
    stranger = GatewayHandshake(OTHER_KEY, DIGEST)
    answer = VersionHandshake(OTHER_KEY, DIGEST).answer(stranger.hello)
    version.answer(stranger.hello)

    with pytest.raises(HandshakeFailed, match="secret"):
        version.admit(stranger.proof(answer))


def test_a_version_is_dialled_for_its_own_bundle_only() -> None:
    with pytest.raises(HandshakeFailed, match="another bundle"):
        VersionHandshake(KEY, OTHER_DIGEST).answer(GatewayHandshake(KEY, DIGEST).hello)


def test_another_protocol_is_refused_before_anything_is_proven() -> None:
    newer = HELLO.pack(MAGIC, PROTOCOL + 1, bytes.fromhex(DIGEST), bytes(32))

    with pytest.raises(HandshakeFailed, match=f"protocol {PROTOCOL + 1}"):
        VersionHandshake(KEY, DIGEST).answer(newer)


def test_a_recorded_handshake_is_worth_nothing() -> None:
    gateway, version = GatewayHandshake(KEY, DIGEST), VersionHandshake(KEY, DIGEST)
    recorded = gateway.proof(version.answer(gateway.hello))

    later = VersionHandshake(KEY, DIGEST)
    later.answer(gateway.hello)

    with pytest.raises(HandshakeFailed):
        later.admit(recorded)


def test_a_version_does_not_take_its_own_proof_back() -> None:
    gateway, version = GatewayHandshake(KEY, DIGEST), VersionHandshake(KEY, DIGEST)
    answer = version.answer(gateway.hello)

    with pytest.raises(HandshakeFailed):
        version.admit(answer[32:])


def test_a_proof_before_hello_is_refused() -> None:
    with pytest.raises(HandshakeFailed):
        VersionHandshake(KEY, DIGEST).admit(bytes(32))


def test_whoever_shows_another_certificate_cannot_pass_proofs_on() -> None:
    gateway, version = GatewayHandshake(KEY, DIGEST), VersionHandshake(KEY, DIGEST)
    answer = version.answer(gateway.hello, certificate=b"the version's")

    with pytest.raises(HandshakeFailed):
        gateway.proof(answer, certificate=b"the one in the middle's")


@given(at=st.integers(0, ANSWER_BYTES - 1), flip=st.integers(1, 255))
def test_an_answer_that_was_touched_is_not_believed(at: int, flip: int) -> None:
    gateway, version = GatewayHandshake(KEY, DIGEST), VersionHandshake(KEY, DIGEST)
    answer = bytearray(version.answer(gateway.hello))
    answer[at] ^= flip

    with pytest.raises(HandshakeFailed):
        gateway.proof(bytes(answer))


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_secret_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secret"
    path.write_text("s" * 64)
    path.chmod(mode)

    with pytest.raises(UnusableSecret, match="open to others"):
        ClusterSecret.read(path)


def test_a_secret_of_its_owner_is_read_without_the_line_end(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("s" * 64 + "\n")
    path.chmod(0o600)

    assert ClusterSecret.read(path).key("links") == ClusterSecret(b"s" * 64).key("links")


def test_a_short_or_missing_secret_is_refused_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "secret"

    with pytest.raises(UnusableSecret, match=r"secret: No such file"):
        ClusterSecret.read(path)
    with pytest.raises(UnusableSecret, match="has 5 bytes"):
        ClusterSecret(b"short")


def test_every_purpose_has_a_key_of_its_own_and_the_secret_is_never_printed() -> None:
    secret = ClusterSecret(b"s" * 32)

    assert secret.key("links") != secret.key("reports")
    assert "s" * 32 not in repr(secret)
