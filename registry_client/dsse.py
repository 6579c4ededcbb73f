"""DSSE envelopes: who vouches for which bytes, and as what kind of statement (https://github.com/secure-systems-lab/dsse, v1.0).

What is signed is the payload together with its type, so that a signature can never be taken for one about something else. This module
reads and writes envelopes; it believes nothing that stands in them.
"""

import binascii
from base64 import b64decode, b64encode, urlsafe_b64decode
from collections.abc import Sequence

import msgspec

from registry_client.decoding import from_json
from registry_client.errors import RegistryError

MEDIA_TYPE = "application/vnd.dsse.envelope.v1+json"
MOST_SIGNATURES = 16


class UnreadableEnvelope(RegistryError):
    """What is no DSSE envelope."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"this is no DSSE envelope: {reason}")


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """One signature, in base64. `keyid` is a hint that nobody vouches for."""

    sig: str
    keyid: str = ""

    def raw(self) -> bytes:
        """The signature's bytes. Raises `UnreadableEnvelope`."""
        return _decoded(self.sig)


class Envelope(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A payload in base64, its type, and its signatures."""

    payload: str
    payload_type: str
    signatures: tuple[Mark, ...]

    @classmethod
    def read(cls, document: bytes) -> "Envelope":
        """Parse one; fields that nobody knows are left out, as the specification wants it. Raises `UnreadableEnvelope`."""
        try:
            envelope = from_json(document, cls)
        except (msgspec.DecodeError, RecursionError) as error:
            raise UnreadableEnvelope(reason=str(error)) from error
        if not 1 <= len(envelope.signatures) <= MOST_SIGNATURES:
            raise UnreadableEnvelope(reason=f"it has {len(envelope.signatures)} signatures, not 1 to {MOST_SIGNATURES}")
        return envelope

    @classmethod
    def of(cls, payload_type: str, payload: bytes, signatures: Sequence[Mark]) -> "Envelope":
        """An envelope around a payload."""
        return cls(payload=b64encode(payload).decode(), payload_type=payload_type, signatures=tuple(signatures))

    def content(self) -> bytes:
        """The payload's bytes. Raises `UnreadableEnvelope`."""
        return _decoded(self.payload)

    def document(self) -> bytes:
        """The envelope as JSON."""
        return msgspec.json.encode(self)


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """What is signed: the lengths, in bytes, keep type and payload apart."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _decoded(text: str) -> bytes:
    """Either alphabet of base64 must be taken. Raises `UnreadableEnvelope`."""
    try:
        return urlsafe_b64decode(text) if "-" in text or "_" in text else b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnreadableEnvelope(reason=f"a part of it is no base64: {error}") from error
