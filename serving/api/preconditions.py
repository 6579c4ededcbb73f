"""What a change carries in its headers: the revision it was decided on, its operation id, and who asks."""

import re
from dataclasses import dataclass
from typing import Annotated
from uuid import uuid4

from fastapi import Header

from serving.api.problems import MalformedPrecondition, MissingPrecondition
from serving.control.operations import Author

_REVISION = re.compile(r'"(\d{1,18})"')

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description='The revision the change was decided on: the family\'s ETag, quotes included, or `*` for "whatever is there".',
        examples=['"12"'],
    ),
]
Actor = Annotated[
    str,
    Header(
        alias="X-Actor",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._@:/+-]{0,127}$",
        description="Who asks; written to the history. Taken on trust until the listener authenticates its callers.",
        examples=["ada@example.org"],
    ),
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[A-Za-z0-9._:-]{1,128}$",
        description="Stored with the change: the same key again answers with the first outcome and changes nothing. Made up when absent.",
        examples=["7f9c1f4e-promote"],
    ),
]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and under which operation id."""

    actor: str
    operation_id: str

    def author(self, reason: str) -> Author:
        """The author of a change, with the reason it gave."""
        return Author(actor=self.actor, reason=reason, operation_id=self.operation_id)


def caller(actor: Actor = "operator", key: IdempotencyKey = None) -> Caller:
    """Read who asks."""
    return Caller(actor, key or str(uuid4()))


def stated_revision(if_match: IfMatch = None) -> int | None:
    """The revision of an If-Match that may be left out. Raises `MalformedPrecondition`."""
    if if_match is None or if_match.strip() == "*":
        return None
    matched = _REVISION.fullmatch(if_match.strip())
    if matched is None:
        raise MalformedPrecondition(if_match)
    return int(matched[1])


def expected_revision(if_match: IfMatch = None) -> int | None:
    """The revision of an If-Match that must be there; None for `*`. Raises `MissingPrecondition`."""
    if if_match is None:
        raise MissingPrecondition
    return stated_revision(if_match)
