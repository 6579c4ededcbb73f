"""What can happen to a rollout: what people ask for, what is seen, and what came of an effect. Each knows when it was."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar

from serving.core.assessing import Assessment


class Kind(StrEnum):
    """The kinds of events; the columns of the table in `rollout`."""

    START = "start"
    OBSERVED = "observed"
    APPROVE = "approve"
    ADVANCE = "advance"
    HOLD = "hold"
    RESUME = "resume"
    ROLL_BACK = "roll_back"
    FLIPPED = "flipped"
    CHECKED = "checked"
    RETRY = "retry"
    SUPERSEDE = "supersede"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks, and as what."""

    name: str
    roles: tuple[str, ...] = ()


AUTO = Actor("auto", ("auto",))
"""The rollout itself."""


@dataclass(frozen=True, slots=True)
class Start:
    """Begin. `obstacles`: what forbids it (not ready, cooling down, a stale drill); `quarantined`: why the digest is, if it is."""

    at: datetime
    by: Actor
    obstacles: tuple[str, ...] = ()
    quarantined: str = ""
    override: str = ""
    """The reason for starting a quarantined digest all the same."""
    kind: ClassVar[Kind] = Kind.START


@dataclass(frozen=True, slots=True)
class Observed:
    """The guards looked."""

    at: datetime
    assessment: Assessment
    kind: ClassVar[Kind] = Kind.OBSERVED


@dataclass(frozen=True, slots=True)
class Approve:
    """Somebody's word for the next stage."""

    at: datetime
    by: Actor
    kind: ClassVar[Kind] = Kind.APPROVE


@dataclass(frozen=True, slots=True)
class Advance:
    """Go on to the next stage; `override` names guards that are not to be listened to."""

    at: datetime
    by: Actor
    override: tuple[str, ...] = ()
    reason: str = ""
    assessment: Assessment = Assessment()  # noqa: RUF009 - frozen
    """What the guards said last."""
    kind: ClassVar[Kind] = Kind.ADVANCE


@dataclass(frozen=True, slots=True)
class Hold:
    """Stand still at this weight."""

    at: datetime
    by: Actor
    reason: str
    kind: ClassVar[Kind] = Kind.HOLD


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on where it was held."""

    at: datetime
    by: Actor
    kind: ClassVar[Kind] = Kind.RESUME


@dataclass(frozen=True, slots=True)
class RollBack:
    """Go back. `signal`: what set it off, when not a person; `detected`: when that was seen."""

    at: datetime
    by: Actor
    reason: str
    signal: str = ""
    detected: datetime | None = None
    kind: ClassVar[Kind] = Kind.ROLL_BACK


@dataclass(frozen=True, slots=True)
class Flipped:
    """The rollback's write is committed, at this epoch."""

    at: datetime
    epoch: int
    kind: ClassVar[Kind] = Kind.FLIPPED


@dataclass(frozen=True, slots=True)
class Checked:
    """How far a rollback is. `strays`: answers of the bad version in the last `quiet` of the policy.

    `passed`: since the line before it, as far as is known; `spent`: since the flip, or since the decision while there is none.
    """

    at: datetime
    is_acked: bool
    strays: int
    is_probed: bool
    is_recovered: bool
    last_stray: datetime | None = None
    passed: timedelta | None = None
    spent: timedelta = timedelta()
    kind: ClassVar[Kind] = Kind.CHECKED


@dataclass(frozen=True, slots=True)
class Retry:
    """Flip and verify once more."""

    at: datetime
    by: Actor
    kind: ClassVar[Kind] = Kind.RETRY


@dataclass(frozen=True, slots=True)
class Supersede:
    """Another rollout takes its place; nobody is to blame."""

    at: datetime
    by: Actor
    to: str
    is_done: bool = False
    """Whether the family has moved on already, past the rollout: nobody is asked any more, it is only heard of."""
    kind: ClassVar[Kind] = Kind.SUPERSEDE


Event = Start | Observed | Approve | Advance | Hold | Resume | RollBack | Flipped | Checked | Retry | Supersede
