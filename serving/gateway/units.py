"""Who counts once, for all gateways of the node together: a unit in a window, by its first answer there; a request, by its first rating."""

from hashlib import blake2b

from serving.ports import Claims

NUMBER_BYTES = 8


def number_of(text: str, salt: str) -> int:
    """64 bits that tell texts apart, the same in every process. The salt keeps them independent of whatever else they are hashed for."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogateescape"), digest_size=NUMBER_BYTES, key=salt.encode()[:64]).digest())


class Units:
    """The units of one stage of a rollout. `window`: seconds in which each counts once, from when the stage was first seen on the node."""

    def __init__(self, claims: Claims, window: float, salt: str) -> None:
        self._claims = claims
        self._window = window
        self._salt = salt

    def is_first(self, unit: str, now: float) -> bool:
        """Whether this is the first answer to a unit in the window of `now`, monotonic seconds."""
        window = int(max(now - self._claims.opened, 0.0) / self._window)
        return self._claims.claim(number_of(unit, self._salt), window)

    def close(self) -> None:
        """The stage is over."""
        self._claims.close()
