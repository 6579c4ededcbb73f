"""Whose hash decides which arm a caller is in: ours, or that of a flag service, so that its callers land in the same arm here.

Each gives a point in [0, 1), and a caller is in where the point lies below the weight, as the service itself decides it. What a service
hashes beside the caller's key (a group, a seed, a flag with its salt) is the policy's `unit.salt`. The vectors are in tests/golden.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from hashlib import sha1

import mmh3

from serving.core.traffic import BELOW_ONE, point

_FNV_OFFSET, _FNV_PRIME, _WORD = 0x811C9DC5, 0x01000193, 0xFFFFFFFF
_PERCENT = 100
_PARTS = 10_000
_LONGEST = 0xFFFFFFFFFFFFFFF
_DIGITS = 15


class Bucketer(StrEnum):
    """Whose hash decides which arm a caller is in."""

    NATIVE = "native"
    UNLEASH = "unleash"
    GROWTHBOOK = "growthbook"
    LAUNCHDARKLY = "launchdarkly"


def place(bucketer: Bucketer, salt: str, key: str) -> float:
    """Where a caller's key falls in [0, 1)."""
    return _POINTS[bucketer](salt, key)


def _unleash(group: str, key: str) -> float:
    """Murmur3 of "group:key" in hundredths (Unleash's normalized value, 1 to 100, less one): whole percents, as in Unleash."""
    return mmh3.hash(_bytes(f"{group}:{key}"), signed=False) % _PERCENT / _PERCENT


def _growthbook(seed: str, key: str) -> float:
    """FNV-1a, 32 bits, of itself, in ten-thousandths (GrowthBook's hash version 2)."""
    return _fnv1a(str(_fnv1a(seed + key))) % _PARTS / _PARTS


def _launchdarkly(flag: str, key: str) -> float:
    """The first 15 hexadecimal digits of SHA-1 of "flag.salt.key"; `flag` is "flag.salt". Bucketing by contract, no security."""
    digits = sha1(_bytes(f"{flag}.{key}"), usedforsecurity=False).hexdigest()[:_DIGITS]
    return min(int(digits, 16) / _LONGEST, BELOW_ONE)


def _fnv1a(text: str) -> int:
    number = _FNV_OFFSET
    for byte in _bytes(text):
        number = (number ^ byte) * _FNV_PRIME & _WORD
    return number


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


_POINTS: Mapping[Bucketer, Callable[[str, str], float]] = {
    Bucketer.NATIVE: point,
    Bucketer.UNLEASH: _unleash,
    Bucketer.GROWTHBOOK: _growthbook,
    Bucketer.LAUNCHDARKLY: _launchdarkly,
}
