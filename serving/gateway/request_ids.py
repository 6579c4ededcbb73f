"""Request ids that carry where the answer came from, signed: feedback finds its version with no lookup.

The form is `family:version:arm:epoch:nonce:signature`; the signature is a keyed BLAKE2b of what stands before it.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from itertools import count
from secrets import token_hex

from serving.core.routing import Arm, Target

SIGNATURE_BYTES = 12
"""96 bits: a forged id is found out long before it is guessed."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What a request id says about the answer that carried it."""

    family: str
    version: str
    arm: Arm
    epoch: int
    nonce: str


class RequestIds:
    """Mints and reads request ids with one secret, shared by every gateway of an installation."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        # One random prefix a process and a counter: unique, and a tenth of the cost of randomness for each request.
        self._process = token_hex(6)
        self._next: Callable[[], int] = count().__next__

    def prefix(self, target: Target, arm: Arm, epoch: int) -> str:
        """The part that all answers of one lane share; computed once per lane."""
        return f"{target.family}:{target.version}:{arm.value}:{epoch}:{self._process}"

    def mint(self, prefix: str) -> str:
        """A new id under a prefix."""
        unsigned = f"{prefix}{self._next():x}"
        return f"{unsigned}:{self._sign(unsigned)}"

    def read(self, request_id: str) -> Origin | None:
        """What an id says, or None when it is not one of ours."""
        unsigned, _, signature = request_id.rpartition(":")
        if not hmac.compare_digest(signature.encode(), self._sign(unsigned).encode()):
            return None
        family, version, arm, epoch, nonce = unsigned.split(":")
        return Origin(family, version, Arm(arm), int(epoch), nonce)

    def _sign(self, unsigned: str) -> str:
        return blake2b(unsigned.encode(), key=self._secret, digest_size=SIGNATURE_BYTES).hexdigest()
