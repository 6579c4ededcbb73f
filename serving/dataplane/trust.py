"""What the links of a cluster are secured with: the secret that both ends prove, and the certificate that encrypts, if there is one.

The certificate need not be signed by anybody: the handshake proves, with the secret, that the peer is the one that showed it.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path

from serving.dataplane.handshake import ClusterSecret

LINKS = "links"
"""The purpose of the secret's key."""


class UnusableCertificate(Exception):
    """A certificate or key that TLS cannot be spoken with."""

    hint = "both must be PEM files that this user can read, at the same paths on every node"


@dataclass(frozen=True, slots=True)
class Certificate:
    """Two PEM files, the same on every node or each node's own."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class LinkTrust:
    """The key of the handshake, and how the connection is encrypted under it; without `tls` it is not."""

    key: bytes
    dialling: ssl.SSLContext | None = None
    listening: ssl.SSLContext | None = None
    shown: bytes = b""
    """The certificate that the listening end shows, as DER."""

    @classmethod
    def of(cls, secret: ClusterSecret, certificate: Certificate | None = None) -> "LinkTrust":
        """Read what is configured. Raises `UnusableCertificate`."""
        key = secret.key(LINKS)
        if certificate is None:
            return cls(key)
        try:
            listening = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            listening.minimum_version = ssl.TLSVersion.TLSv1_3
            listening.load_cert_chain(certificate.certificate, certificate.key)
            shown = ssl.PEM_cert_to_DER_cert(_first(certificate.certificate.read_text("ascii")))
        except (OSError, ValueError) as error:
            msg = f"cannot use {certificate.certificate} with {certificate.key}: {error}"
            raise UnusableCertificate(msg) from error
        return cls(key, _dialling(), listening, shown)


def _dialling() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # Not the name and the issuer but the handshake authenticates the peer: its proof covers the certificate that was shown.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _first(chain: str) -> str:
    end = "-----END CERTIFICATE-----"
    return chain[chain.index("-----BEGIN CERTIFICATE-----") : chain.index(end) + len(end)]
