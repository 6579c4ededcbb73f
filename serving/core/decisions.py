"""The decision log: one line for each look and each event, in canonical JSON (RFC 8785), with what came of it.

A line holds what was seen and what was concluded. Numbers are rounded to nine digits after the point, so that a library's last bit on
another machine changes no byte. Replaying a log gives the same bytes, or it was not written by this policy and this program.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite
from typing import Any, cast

import msgspec
import rfc8785

from registry_client.decoding import from_json, from_plain
from serving.core.assessing import Assessment
from serving.core.happenings import (
    Advance,
    Approve,
    Checked,
    Event,
    Flipped,
    Hold,
    Kind,
    Observed,
    Resume,
    Retry,
    RollBack,
    Start,
    Supersede,
)
from serving.core.standing import Rollout
from serving.core.totals import Report

FORM = 1
_DIGITS = 9

_EVENTS: Mapping[Kind, type[Event]] = {
    event.kind: event for event in (Start, Observed, Approve, Advance, Hold, Resume, RollBack, Flipped, Checked, Retry, Supersede)
}


@dataclass(frozen=True, slots=True)
class Opened:
    """The first line: which rollout, by which policy, and how many edges and classes were pinned."""

    at: datetime
    rollout: Rollout
    slow: int
    classes: int
    policy: str = ""
    """The canonical document, so that a log can be replayed when nothing else is left of its rollout."""


@dataclass(frozen=True, slots=True)
class Look:
    """The reports of one look, and the sources that should have been heard of. `unreadable`: whose newest report is none, and why.

    `passed`: since the look before, by a clock that only goes on; None for a leader's first.
    """

    at: datetime
    reports: tuple[Report, ...]
    expected: tuple[str, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()
    passed: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Stood:
    """How the rollout stands in the store, where the line before says something else: another change had come first."""

    at: datetime
    rollout: Rollout
    steps: int
    why: str


@dataclass(frozen=True, slots=True)
class Measured:
    """Production was seen enough: these edges (seconds) and classes are pinned."""

    at: datetime
    edges: tuple[float, ...] = ()
    classes: tuple[str, ...] = ()


Entry = Opened | Look | Stood | Measured | Event


_OWN: Mapping[str, type[Opened | Look | Stood | Measured]] = {"opened": Opened, "look": Look, "stands": Stood, "measured": Measured}
"""The lines that are no events."""


class UnreadableLine(ValueError):
    """A line that is no line of a decision log."""


def line(entry: Entry, rollout: Rollout | None = None, assessment: Assessment | None = None, *, steps: int = 0) -> bytes:
    """One line, without its end: what happened, and what came of it."""
    document: dict[str, object] = {"form": FORM, "kind": _kind(entry), "seen": _seen(entry), "steps": steps}
    if rollout is not None:
        document["stands"] = _plain(rollout)
    if assessment is not None:
        document["verdicts"] = _plain(assessment)
    return rfc8785.dumps(cast("dict[str, Any]", document))


def as_written(look: Look) -> Look:
    """A look as its line has it: whoever decides by this has seen exactly what a replay sees."""
    return from_plain(_plain(look), Look)


def entry_of(text: bytes) -> Entry:
    """What happened, out of a line. Raises `UnreadableLine`."""
    try:
        document = msgspec.json.decode(text, type=dict[str, Any])
        kind, seen = document["kind"], document["seen"]
        if document["form"] != FORM:
            msg = f"form {document['form']!r} is not {FORM}"
            raise UnreadableLine(msg)
        if kind in _OWN:
            return from_plain(seen, _OWN[kind])
        if kind == Kind.ADVANCE:
            seen = {**seen, "assessment": document.get("verdicts", {})}
        return from_plain(seen, _EVENTS[Kind(kind)])
    except (msgspec.MsgspecError, KeyError, ValueError) as error:
        raise UnreadableLine(str(error)) from error


def stands_in(text: bytes) -> Rollout | None:
    """How the rollout stood after a line; None in the opening one. Raises `UnreadableLine`."""
    try:
        stands = msgspec.json.decode(text, type=dict[str, Any]).get("stands")
        return None if stands is None else from_plain(stands, Rollout)
    except msgspec.MsgspecError as error:
        raise UnreadableLine(str(error)) from error


@dataclass(frozen=True, slots=True)
class LastLook:
    """The last time that guards were asked: when, what they said, and how often they had been asked by then."""

    at: datetime
    assessment: Assessment
    looks: int


class _Glance(msgspec.Struct):
    """What tells whether guards were asked, without reading all of a line."""

    kind: str
    verdicts: msgspec.Raw = msgspec.Raw()


class _When(msgspec.Struct):
    at: datetime


class _Judged(msgspec.Struct):
    seen: _When
    verdicts: Assessment


def last_look(lines: Sequence[bytes]) -> LastLook | None:
    """The last look of a log, read and not decided again; None where there was none. Raises `UnreadableLine`."""
    try:
        glances = ((text, from_json(text, _Glance)) for text in lines)
        looks = [text for text, glance in glances if glance.kind == "look" and bytes(glance.verdicts)]
        if not looks:
            return None
        # Not strict: a number that JSON has no word for, such as infinity, was written as text.
        judged = from_json(looks[-1], _Judged, strict=False)
    except msgspec.MsgspecError as error:
        raise UnreadableLine(str(error)) from error
    return LastLook(judged.seen.at, judged.verdicts, len(looks))


def plain_event(event: Event) -> Mapping[str, object]:
    """An event as plain JSON values, with its kind; exact, unlike a line."""
    return {"kind": event.kind.value, **cast("dict[str, object]", msgspec.to_builtins(event))}


def event_of(plain: Mapping[str, Any]) -> Event:
    """An event from plain JSON values. Raises `ValueError`."""
    try:
        return from_plain({name: value for name, value in plain.items() if name != "kind"}, _EVENTS[Kind(plain["kind"])])
    except KeyError as error:
        msg = "an event without a kind"
        raise ValueError(msg) from error


def _kind(entry: Entry) -> str:
    match entry:
        case Opened():
            return "opened"
        case Look():
            return "look"
        case Stood():
            return "stands"
        case Measured():
            return "measured"
        case _:
            return entry.kind.value


def _seen(entry: Entry) -> object:
    plain = _plain(entry)
    # What the guards said stands beside it already; that all could be read goes without saying.
    left_out = {"assessment"} if not isinstance(entry, Look) or entry.unreadable else {"unreadable"}
    return {name: value for name, value in cast("dict[str, object]", plain).items() if name not in left_out}


def _plain(value: object) -> object:
    return worded(msgspec.to_builtins(value), _DIGITS)


def worded(value: object, digits: int | None = None) -> object:
    """A plain value with text for numbers that JSON has no word for, such as infinity; the others rounded to so many digits, if any."""
    match value:
        case float():
            if not isfinite(value):
                return str(value)
            return value if digits is None else round(value, digits)
        case dict():
            return {key: worded(inner, digits) for key, inner in cast("dict[str, object]", value).items()}
        case list() | tuple():
            return [worded(inner, digits) for inner in cast("list[object]", value)]
        case _:
            return value
