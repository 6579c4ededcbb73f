"""A course as bytes and back, exactly: what a new leader begins with, instead of deciding a whole log again.

Exact where the log's lines are rounded: no float loses a bit, infinities have a place. What would not be written as the same again was
written by another form of this program, and is no checkpoint here.
"""

from collections.abc import Collection, Mapping
from dataclasses import fields, replace
from typing import Any, cast, get_type_hints

import msgspec

from registry_client.decoding import from_plain
from serving.core.assessing import Dial, Evidence
from serving.core.course import Course
from serving.core.gauges import Gauge
from serving.core.policy import Pinned

FORM = 1

Plain = Mapping[str, Any]


class UnreadableCheckpoint(ValueError):
    """Bytes that are no checkpoint of a course by this policy and this program."""


def state_of(course: Course) -> bytes:
    """Everything that a course has beside its policy."""
    parts = {field.name: getattr(course, field.name) for field in fields(course) if field.name != "pinned"}
    return msgspec.msgpack.encode({"form": FORM, "policy": course.pinned.digest, **parts})


def course_of(pinned: Pinned, state: bytes) -> Course:
    """The course that `state_of` gave these bytes for. Raises `UnreadableCheckpoint`."""
    try:
        document = _plain(state)
        course = _course(pinned, document)
    except (msgspec.MsgspecError, LookupError, TypeError, ValueError) as error:
        raise UnreadableCheckpoint(str(error)) from error
    # As values and not as bytes: a whole number may come back as the same float.
    if _plain(state_of(course)) != document:
        msg = "another policy, or another form of this program, wrote it"
        raise UnreadableCheckpoint(msg)
    return course


def _plain(state: bytes) -> Plain:
    return msgspec.msgpack.decode(state, type=dict[str, Any])


def _course(pinned: Pinned, document: Plain) -> Course:
    evidence = _evidence(pinned, document["evidence"])
    return Course(pinned=pinned, evidence=evidence, **_fields(Course, document, but={"pinned", "evidence"}))


def _evidence(pinned: Pinned, plain: Plain) -> Evidence:
    fresh = Evidence.none(pinned.policy, plain["digest"], at=plain["opened"])
    dials = {name: _dial(fresh.dials[name], dial) for name, dial in cast("Mapping[str, Plain]", plain["dials"]).items()}
    return replace(fresh, dials=dials, **_fields(Evidence, plain, but={"dials"}))


def _dial(fresh: Dial, plain: Plain) -> Dial:
    return Dial(gauge=_gauge(fresh.gauge, plain["gauge"]), **_fields(Dial, plain, but={"gauge"}))


def _gauge(fresh: Gauge, plain: Plain) -> Gauge:
    # Which kind it is, and by which rule, says the policy.
    return replace(fresh, **_fields(type(fresh), plain, but={"rule"}))


def _fields(kind: type[object], plain: Plain, *, but: Collection[str]) -> dict[str, Any]:
    return {name: from_plain(plain[name], hint) for name, hint in get_type_hints(kind).items() if name not in but}
