"""Disagreeing pairs that are kept for operators: a few, drawn evenly from all there were, without what the policy says must not be seen."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import msgspec

from serving.ports import NO_JSON_PART, Call, Encoding, Reply

LARGEST_SHOWN = 16_384
"""Bytes of a request, or of an answer, that are kept; of a larger one only how large it was."""

REDACTED = "[redacted]"
ANY = "*"
"""The part of a pointer that every member of a list or an object answers to."""

_JSON = msgspec.json.Decoder()


class KeptPair(msgspec.Struct, frozen=True):
    """One pair. `at`: seconds since 1970; what is no JSON, or too large, is shown as `{"not_shown": why}`."""

    at: float
    outcome: str
    request: Any  # whatever JSON can hold
    production: Any
    candidate: Any


class PairSample:
    """An even sample of at most `most` of all pairs that were offered (Vitter's algorithm R). `redact`: JSON pointers (RFC 6901)."""

    def __init__(self, most: int, redact: Sequence[str], dice: Callable[[], float], now: Callable[[], float]) -> None:
        self.pairs: list[KeptPair] = []
        self.offered = 0
        self._most = most
        self._pointers = [_parts(pointer) for pointer in redact]
        self._dice = dice
        self._now = now

    def offer(self, outcome: str, call: Call, primary: Reply, own: bytes) -> None:
        """Offer a pair. Only one that is kept costs anything."""
        self.offered += 1
        place = len(self.pairs) if len(self.pairs) < self._most else int(self._dice() * self.offered)
        if place >= self._most:
            return
        request = {"not_shown": "it is compressed"} if call.encoding is not Encoding.IDENTITY else self._shown(call.body, call.json_length)
        pair = KeptPair(self._now(), outcome, request, self._shown(primary.body, primary.json_length), self._shown(own))
        self.pairs[place : place + 1] = [pair]

    def _shown(self, body: bytes, json_length: int = NO_JSON_PART) -> object:
        document = body if json_length == NO_JSON_PART else body[:json_length]
        if len(document) > LARGEST_SHOWN:
            return {"not_shown": f"it has {len(document)} bytes"}
        try:
            value: object = _JSON.decode(document)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            # Not shown at all: what cannot be read cannot be redacted.
            return {"not_shown": f"{len(document)} bytes that are no JSON"}
        for pointer in self._pointers:
            value = redacted(value, pointer)
        return value


def redacted(value: object, pointer: Sequence[str]) -> object:
    """The value with whatever a pointer leads to replaced; what is not there stays not there."""
    if not pointer:
        return REDACTED
    first, rest = pointer[0], pointer[1:]
    match value:
        case dict():
            members = cast("dict[str, object]", value)  # as JSON has it
            return {name: redacted(inner, rest) if first in {name, ANY} else inner for name, inner in members.items()}
        case list():
            items = cast("list[object]", value)
            return [redacted(inner, rest) if first in {str(index), ANY} else inner for index, inner in enumerate(items)]
        case _:
            return value


def _parts(pointer: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
