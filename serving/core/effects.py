"""What a step of a rollout asks for. Each says what should be, so that doing it twice does it once."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class SetWeight:
    """The candidate answers `weight` basis points of the callers."""

    weight: int


@dataclass(frozen=True, slots=True)
class SetMirror:
    """The candidate is sent copies of `weight` basis points of the requests."""

    weight: int


@dataclass(frozen=True, slots=True)
class Promote:
    """The candidate is production; the one before stays loaded."""


@dataclass(frozen=True, slots=True)
class FlipBack:
    """The one fenced write: production as before, the candidate out of traffic and its digest quarantined."""

    digest: str
    reason: str
    signal: str


@dataclass(frozen=True, slots=True)
class TakeOff:
    """The candidate gets no more traffic, without blame."""


@dataclass(frozen=True, slots=True)
class Verify:
    """Look whether a rollback is over, again and again; by `until` it is, or somebody is paged."""

    until: datetime


@dataclass(frozen=True, slots=True)
class KeepWarm:
    """The old production stays loaded until then."""

    until: datetime


@dataclass(frozen=True, slots=True)
class ReleaseWarm:
    """The old production need not stay loaded any more."""


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell whoever wants to hear of an occasion; after the deed, never in its way."""

    occasion: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Page:
    """Wake somebody."""

    sentence: str


Effect = SetWeight | SetMirror | Promote | FlipBack | TakeOff | Verify | KeepWarm | ReleaseWarm | Tell | Page
