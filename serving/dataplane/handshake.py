"""How both ends of a TCP link prove that they hold the cluster's secret, before a frame is read: bytes in, bytes out, no sockets.

hello   magic 4 | protocol u16 | digest 32 | gateway's nonce 32     gateway to version
answer  version's nonce 32 | version's proof 32                     version to gateway
proof   gateway's proof 32                                          gateway to version

A proof is HMAC-SHA256 over who proves it and everything said before it: both nonces, the digest of the bundle that the link is for,
the protocol, and, under TLS, the certificate that the version showed, so that nobody in the middle can pass one end's proof on to
the other. The nonces are new for every link, so a recorded proof is worth nothing.
"""

import hmac
import os
import secrets
import stat
from hashlib import sha256
from pathlib import Path
from struct import Struct

HELLO = Struct(">4sH32s32s")
MAGIC = b"PTMN"
PROTOCOL = 1
"""Of the handshake and the frames that follow; both ends must speak the same."""

NONCE_BYTES = 32
PROOF_BYTES = 32
ANSWER_BYTES = NONCE_BYTES + PROOF_BYTES
SECRET_BYTES = 32
"""The shortest secret that is taken."""

_GATEWAY, _VERSION = b"gateway", b"version"


class HandshakeFailed(Exception):
    """The other end has not shown that it belongs to this cluster."""


class UnusableSecret(Exception):
    """A file that must not be, or cannot be, the cluster's secret."""

    hint = "make it with: (umask 077; openssl rand -hex 32 > FILE), and copy it to the same path on every node"


class ClusterSecret:
    """The secret that all processes of a cluster share. Every use has a key of its own, so none can stand in for another."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < SECRET_BYTES:
            msg = f"the cluster's secret has {len(secret)} bytes, and needs {SECRET_BYTES}"
            raise UnusableSecret(msg)
        self._secret = secret

    @classmethod
    def read(cls, path: Path) -> "ClusterSecret":
        """Read it from a file that is this user's alone. Raises `UnusableSecret`."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                found = os.fstat(file.fileno())
                if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
                    msg = f"{path} is open to others or not this user's: it must be a file of mode 0600"
                    raise UnusableSecret(msg)
                return cls(file.read().strip())
        except OSError as error:
            msg = f"cannot read the cluster's secret {path}: {error.strerror}"
            raise UnusableSecret(msg) from error

    def key(self, purpose: str) -> bytes:
        """The key of one use."""
        return hmac.digest(self._secret, purpose.encode(), "sha256")

    def __repr__(self) -> str:
        return "ClusterSecret()"  # never its bytes, whoever prints it


class GatewayHandshake:
    """The end that dials."""

    def __init__(self, key: bytes, digest: str) -> None:
        self._key = key
        self.hello = HELLO.pack(MAGIC, PROTOCOL, bytes.fromhex(digest), secrets.token_bytes(NONCE_BYTES))

    def proof(self, answer: bytes, certificate: bytes = b"") -> bytes:
        """Believe the version, or raise `HandshakeFailed`; what to send it in return."""
        said = _said(self.hello, answer[:NONCE_BYTES], certificate)
        if not hmac.compare_digest(answer[NONCE_BYTES:], _prove(self._key, _VERSION, said)):
            msg = "it does not know the cluster's secret, or serves another bundle"
            raise HandshakeFailed(msg)
        return _prove(self._key, _GATEWAY, said)


class VersionHandshake:
    """The end that is dialled."""

    def __init__(self, key: bytes, digest: str) -> None:
        self._key = key
        self._digest = bytes.fromhex(digest)
        self._said = b""

    def answer(self, hello: bytes, certificate: bytes = b"") -> bytes:
        """What to send to one who said hello. Raises `HandshakeFailed`."""
        magic, protocol, digest, _ = HELLO.unpack(hello)
        if magic != MAGIC:
            msg = "it is no gateway of ours"
            raise HandshakeFailed(msg)
        if protocol != PROTOCOL:
            msg = f"it speaks protocol {protocol} and not {PROTOCOL}: both ends must run the same release"
            raise HandshakeFailed(msg)
        if digest != self._digest:
            msg = "it asks for another bundle than the one that was verified here"
            raise HandshakeFailed(msg)
        nonce = secrets.token_bytes(NONCE_BYTES)
        self._said = _said(hello, nonce, certificate)
        return nonce + _prove(self._key, _VERSION, self._said)

    def admit(self, proof: bytes) -> None:
        """Believe the gateway, or raise `HandshakeFailed`."""
        if not self._said or not hmac.compare_digest(proof, _prove(self._key, _GATEWAY, self._said)):
            msg = "it does not know the cluster's secret"
            raise HandshakeFailed(msg)


def _said(hello: bytes, nonce: bytes, certificate: bytes) -> bytes:
    return hello + nonce + sha256(certificate).digest()


def _prove(key: bytes, who: bytes, said: bytes) -> bytes:
    return hmac.digest(key, who + b"\0" + said, "sha256")
