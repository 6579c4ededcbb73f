"""How a family's rollout is written down in its record, and read back strictly: a field that nobody knows is refused, by name."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, TypeVar, cast

import msgspec

from registry_client.decoding import from_plain
from serving.core.decisions import event_of, plain_event
from serving.core.standing import Rollout
from serving.core.underway import Asked, Terms, Underway

Value = TypeVar("Value")


class AskedDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An event that waits for the decision log; which fields it has depends on its kind."""

    step: int
    revision: int
    event: dict[str, Any]


class UnderwayDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rollout; its inner parts are plain here, and converted one by one."""

    id: str
    rollout: dict[str, Any]
    policy: str
    opened: datetime
    terms: dict[str, Any]
    edges: tuple[float, ...]
    classes: tuple[str, ...]
    steps: int
    asked: tuple[AskedDocument, ...]


def rollout_to_document(underway: Underway) -> UnderwayDocument:
    """Write it down: the same rollout gives the same document."""
    return UnderwayDocument(
        id=underway.id,
        rollout=msgspec.to_builtins(underway.rollout),
        policy=underway.policy,
        opened=underway.opened,
        terms=msgspec.to_builtins(underway.terms),
        edges=underway.edges,
        classes=underway.classes,
        steps=underway.steps,
        asked=tuple(AskedDocument(step=one.step, revision=one.revision, event=dict(plain_event(one.event))) for one in underway.asked),
    )


def rollout_from_document(document: UnderwayDocument) -> Underway:
    """Read it. Raises `ValueError`, naming the field."""
    return Underway(
        id=document.id,
        rollout=part_of("rollout.rollout", document.rollout, Rollout),
        policy=document.policy,
        opened=document.opened,
        terms=part_of("rollout.terms", document.terms, Terms),
        edges=document.edges,
        classes=document.classes,
        steps=document.steps,
        asked=tuple(_asked(one) for one in document.asked),
    )


def _asked(document: AskedDocument) -> Asked:
    try:
        return Asked(document.step, document.revision, event_of(document.event))
    except (ValueError, TypeError) as error:
        msg = f"rollout.asked: {error}"
        raise ValueError(msg) from error


def part_of(place: str, plain: Mapping[str, Any], kind: type[Value]) -> Value:
    """A part out of its plain form. Raises `ValueError`, naming the field, also for one that nobody knows."""
    try:
        value = from_plain(plain, kind)
    except msgspec.ValidationError as error:
        msg = f"{place}: {error}"
        raise ValueError(msg) from error
    # A dataclass takes what it does not know for nothing; here that is somebody's later word.
    unknown = next(_unknown(plain, msgspec.to_builtins(value), place), None)
    if unknown is not None:
        msg = f"{unknown}: there is no such field"
        raise ValueError(msg)
    return value


def _unknown(written: object, known: object, place: str) -> Iterator[str]:
    if not isinstance(written, Mapping) or not isinstance(known, Mapping):
        return
    understood = cast("Mapping[str, object]", known)
    for name, value in cast("Mapping[str, object]", written).items():
        if name not in understood:
            yield f"{place}.{name}"
        else:
            yield from _unknown(value, understood[name], f"{place}.{name}")
