"""Request ids that carry where the answer came from, signed: feedback finds its version with no lookup.

The form is `family:version:digest:reason:epoch:second:nonce:signature`: of the digest eight digits, the second hexadecimal since 1970; the
signature is a keyed BLAKE2b of what stands before it.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from itertools import count
from secrets import token_hex

from serving.core.routing import Arm, Reason, Target

SIGNATURE_BYTES = 12
"""96 bits: a forged id is found out long before it is guessed."""


DIGEST_DIGITS = 8

UNDRAWN = "undrawn"
"""The reason in the id of an answer that could only have been production's: feedback on it says nothing of a rollout."""

_PARTS = 7
_ARMS = {Reason.PRODUCTION: Arm.PRODUCTION, Reason.FALLBACK: Arm.PRODUCTION, Reason.CANARY: Arm.CANARY, Reason.HOLDBACK: Arm.HOLDBACK}


@dataclass(frozen=True, slots=True)
class Origin:
    """What a request id says about the answer that carried it. `digest`: its first digits; `at`: seconds since 1970."""

    family: str
    version: str
    digest: str
    reason: Reason
    is_drawn: bool
    epoch: int
    at: int
    nonce: str

    @property
    def arm(self) -> Arm:
        """The part that the version played."""
        return _ARMS.get(self.reason, Arm.PINNED)


class RequestIds:
    """Mints and reads request ids with one secret, shared by every gateway of an installation."""

    def __init__(self, secret: bytes, now: float = 0.0) -> None:
        self._secret = secret
        # One random prefix a process and a counter: unique, and a tenth of the cost of randomness for each request.
        self._process = token_hex(6)
        self.tell_time(now)
        self._next: Callable[[], int] = count().__next__

    def tell_time(self, now: float) -> None:
        """Seconds since 1970, told now and then: asking for every id would cost more than the id."""
        self._second = f"{int(now):x}:{self._process}"

    def prefix(self, target: Target, reason: Reason, epoch: int, *, is_drawn: bool = True) -> str:
        """The part that all answers of one lane share; computed once per lane."""
        why = reason.value if is_drawn else UNDRAWN
        return f"{target.family}:{target.version}:{target.digest[:DIGEST_DIGITS]}:{why}:{epoch}:"

    def mint(self, prefix: str) -> str:
        """A new id under a prefix."""
        unsigned = f"{prefix}{self._second}{self._next():x}"
        return f"{unsigned}:{self._sign(unsigned)}"

    def read(self, request_id: str) -> Origin | None:
        """What an id says, or None when it is not one of ours."""
        unsigned, _, signature = request_id.rpartition(":")
        if not hmac.compare_digest(signature.encode("utf-8", "surrogatepass"), self._sign(unsigned).encode()):
            return None
        parts = unsigned.split(":")
        if len(parts) != _PARTS:  # signed by an earlier program
            return None
        family, version, digest, why, epoch, second, nonce = parts
        is_drawn = why != UNDRAWN
        reason = Reason(why) if is_drawn else Reason.PRODUCTION
        return Origin(family, version, digest, reason, is_drawn, int(epoch), int(second, 16), nonce)

    def _sign(self, unsigned: str) -> str:
        return blake2b(unsigned.encode("utf-8", "surrogatepass"), key=self._secret, digest_size=SIGNATURE_BYTES).hexdigest()
