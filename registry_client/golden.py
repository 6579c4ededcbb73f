"""Golden examples: raw requests with the answers their author saw, and the comparison of an answer with one of them.

They serve warm-up, the READY check, the smoke test of a canary and the verification of a rollback.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Annotated, Any, cast

import msgspec

from registry_client.decoding import from_json
from registry_client.errors import InvalidBundle

LARGEST = 16 * 2**20
"""Bytes of a golden file: enough for thousands of requests, and all of it runs before a version is READY."""

MOST_DIFFERENCES = 20
"""Reported of one answer; more tell a reader nothing new."""

Positive = Annotated[float, msgspec.Meta(ge=0)]


class Tolerance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far a number may be off: `atol + rtol * |expected|`."""

    atol: Positive = 1e-4
    rtol: Positive = 1e-3


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    request: dict[str, Any]
    response: dict[str, Any]
    tolerance: Tolerance = Tolerance()
    slice: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None


@dataclass(frozen=True, slots=True)
class GoldenExample:
    """A plain application request and the response expected to it, within a tolerance."""

    name: str
    request: dict[str, Any]
    response: dict[str, Any]
    atol: float
    rtol: float
    slice: str | None = None
    """The part of all requests that this one stands for; evaluations name the same."""

    def as_strict_as(self, other: "GoldenExample") -> "GoldenExample":
        """The same, with a tolerance that forgives no more than the other's does."""
        return replace(self, atol=min(self.atol, other.atol), rtol=min(self.rtol, other.rtol))

    def differences(self, actual: object) -> list[str]:
        """How an answer to the request differs from the expected one; empty when it does not."""
        return differences(self.response, actual, self.atol, self.rtol)


def parse_golden(document: bytes, source: str = "golden.jsonl") -> tuple[GoldenExample, ...]:
    """Read JSON Lines, one example each; blank lines are skipped. Raises `InvalidBundle`, naming the line."""
    if len(document) > LARGEST:
        raise InvalidBundle(source, f"larger than {LARGEST} bytes", "keep a few telling examples; evaluation sets belong elsewhere")
    examples: dict[str, GoldenExample] = {}
    for number, line in enumerate(document.split(b"\n"), start=1):
        if not line.strip():
            continue
        place = f"{source} line {number}"
        example = _parse_line(line, place)
        if example.name in examples:
            raise InvalidBundle(place, f"repeats the name {example.name!r}")
        examples[example.name] = example
    if not examples:
        raise InvalidBundle(source, "holds no example")
    return tuple(examples.values())


def _parse_line(line: bytes, place: str) -> GoldenExample:
    try:
        read = from_json(line, _Line)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        hint = 'write {"name": ..., "request": {...}, "response": {...}, "tolerance": {"atol": 1e-4, "rtol": 1e-3}} on one line'
        raise InvalidBundle(place, str(error), hint) from error
    return GoldenExample(read.name, read.request, read.response, read.tolerance.atol, read.tolerance.rtol, read.slice)


def differences(expected: object, actual: object, atol: float, rtol: float, *, most: int = MOST_DIFFERENCES) -> list[str]:
    """Compare two JSON values, numbers within the tolerance and everything else exactly; at most `most` sentences.

    Each sentence starts with the JSON path of what differs. NaN equals NaN, an infinity only itself.
    """

    def close(wanted: float, found: float) -> bool:
        return _is_close(wanted, found, atol, rtol)

    return list(islice(_differing(expected, actual, close), most))


_KINDS: dict[type, str] = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
_LONGEST_SHOWN = 80
_Pending = list[tuple[str, object, object]]


def _differing(expected: object, actual: object, close: Callable[[float, float], bool]) -> Iterator[str]:
    # A stack, not recursion: the depth of an answer is a caller's to choose.
    pending: _Pending = [("$", expected, actual)]
    while pending:
        path, wanted, found = pending.pop()
        if _is_number(wanted) and _is_number(found):
            if not close(cast("float", wanted), cast("float", found)):  # two numbers, as just checked
                yield f"{path}: expected {_shown(wanted)}, got {_shown(found)}"
        elif type(wanted) is not type(found):
            yield f"{path}: expected {_kind(wanted)}, got {_kind(found)}"
        elif isinstance(wanted, dict):
            yield from _open_objects(path, cast("dict[str, object]", wanted), cast("dict[str, object]", found), pending)
        elif isinstance(wanted, list):
            yield from _open_arrays(path, cast("list[object]", wanted), cast("list[object]", found), pending)
        elif wanted != found:
            yield f"{path}: expected {_shown(wanted)}, got {_shown(found)}"


def _open_objects(path: str, wanted: dict[str, object], found: dict[str, object], pending: _Pending) -> Iterator[str]:
    for key in sorted(wanted.keys() - found.keys()):
        yield f"{_member(path, key)}: missing"
    for key in sorted(found.keys() - wanted.keys()):
        yield f"{_member(path, key)}: not expected"
    pending.extend((_member(path, key), wanted[key], found[key]) for key in reversed(wanted) if key in found)


def _open_arrays(path: str, wanted: list[object], found: list[object], pending: _Pending) -> Iterator[str]:
    if len(wanted) != len(found):
        yield f"{path}: expected {len(wanted)} elements, got {len(found)}"
    pairs = list(enumerate(zip(wanted, found, strict=False)))
    pending.extend((f"{path}[{at}]", one, other) for at, (one, other) in reversed(pairs))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_close(wanted: float, found: float, atol: float, rtol: float) -> bool:
    if wanted == found:
        return True
    try:
        if math.isnan(wanted) or math.isnan(found):
            return math.isnan(wanted) and math.isnan(found)
        return math.isfinite(wanted) and abs(found - wanted) <= atol + rtol * abs(wanted)
    except OverflowError:  # integers beyond what a float holds
        return False


def _member(path: str, key: str) -> str:
    return f"{path}.{key}" if key.isidentifier() else f"{path}[{key[:_LONGEST_SHOWN]!r}]"


def _kind(value: object) -> str:
    return "a number" if _is_number(value) else _KINDS.get(type(value), type(value).__name__)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
