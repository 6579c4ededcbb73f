"""Rehearsals: a bad version that is made up on a route of its own, to see that the family's guards catch it. Values alone.

No caller is led there: the route answers whoever knows a key that is made for one rehearsal, and whose digest alone is written down.
Nothing of it counts for a version: not what is asked, not what is answered, and nobody is quarantined.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from registry_client.versions import ModelVersion
from serving.core.standing import Receipt

PREFIX = "rehearsal:"
"""What a request names in place of a version, with the key behind it. No version, tag or range is written so."""


def key_digest(key: str) -> str:
    """What is written down of a key."""
    return sha256(key.encode()).hexdigest()


class Injection(StrEnum):
    """What is made bad of the candidate's answers."""

    ERRORS = "errors"
    """Half of them fail."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """One that is under way: production's own version on both arms, of which the candidate's answers are made bad."""

    id: str
    version: ModelVersion
    injection: Injection
    key: str
    """SHA-256 of what a request has to name to be led here."""
    policy: str
    """The policy's canonical document, whose guards are asked."""
    stage: int
    """The stage of the policy that is played."""
    weight: int
    """The candidate's share of what is asked here, in basis points."""
    receipt: Receipt
    """Who asked for it, until it is caught; then what was seen and decided."""
    until: datetime
    """Whoever leads ends it then, if whoever holds it has not."""
    is_caught: bool = False
    """Whether the guards had it taken out: the route is gone."""
