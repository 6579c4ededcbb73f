"""How a rollout stands: the value that is stored whole. What may happen to it is in `rollout`."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class State(StrEnum):
    """Where a rollout stands."""

    DRAFT = "draft"
    SHADOWING = "shadowing"
    RAMPING = "ramping"
    SOAKING = "soaking"
    LIVE = "live"
    HELD = "held"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class Held:
    """Why the weight stands still, and what it stood in. `is_passing`: it ends by itself when data come back."""

    why: str
    before: State
    is_passing: bool = False
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """The five moments of a rollback: what was seen when, and that it is over."""

    reason: str
    signal: str
    actor: str
    detected: datetime
    decided: datetime
    flipped: datetime | None = None
    epoch: int | None = None
    last_stray: datetime | None = None
    verified: datetime | None = None
    is_escalated: bool = False


@dataclass(frozen=True, slots=True)
class Rollout:
    """One candidate on its way; written whole. `stage` counts from 0; `entered` is when the stage began."""

    family: str
    version: str
    digest: str
    policy_digest: str
    author: str
    state: State = State.DRAFT
    stage: int = 0
    entered: datetime | None = None
    held: Held | None = None
    approvals: tuple[str, ...] = ()
    """Who approved the current stage."""
    overridden: tuple[str, ...] = ()
    """Guards that are no longer listened to, by somebody's word."""
    warm_until: datetime | None = None
    receipt: Receipt | None = None
