"""Ed25519 keys that sign the heads of the audit, and whoever checks them. The home of `cryptography`."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from serving.core.heads import SignedHead, head_message


class Ed25519Signer:
    """A `HeadSigner` made of 32 secret bytes."""

    def __init__(self, secret: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(secret)

    @property
    def public_key(self) -> str:
        """What to check signatures with: 32 bytes, hexadecimal."""
        return self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()

    def sign(self, message: bytes) -> str:
        """The signature: 64 bytes, hexadecimal."""
        return self._key.sign(message).hex()

    def has_signed(self, head: SignedHead) -> bool:
        """Whether it is this very key that signed a head."""
        return head.public_key == self.public_key and is_signed(head)


def is_signed(head: SignedHead) -> bool:
    """Whether a head is signed by the key it names."""
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(head.public_key))
        key.verify(bytes.fromhex(head.signature), head_message(head.mark, head.signed_at))
    except (InvalidSignature, ValueError):
        return False
    return True
