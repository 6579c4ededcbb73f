"""What the demo measured, as a table for people and as a document for programs; every figure is of the run that prints it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import RenderableType

from serving.cli.demo.observations import Rate
from serving.cli.output import table

Row = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Flip:
    """One change of who answers, in seconds from the admin call."""

    change: str
    old: str
    acked: float
    last_old: float


@dataclass(frozen=True, slots=True)
class Guarded:
    """One automatic rollback, in seconds: how long harm was done, and how long it took to end it."""

    version: str
    detect: float
    rollback: float
    failing: int
    """Requests that the canary failed and production answered."""
    signal: str
    why: str


@dataclass(frozen=True, slots=True)
class Pairs:
    """What became of the requests that were mirrored to one shadow."""

    version: str
    outcomes: Mapping[str, int]

    @property
    def compared(self) -> int:
        """Pairs of answers that were looked at."""
        return sum(self.outcomes.get(kind, 0) for kind in ("agree", "number", "label", "shape"))

    @property
    def other_label(self) -> Rate:
        """How often the shadow gave another label."""
        return Rate(self.outcomes.get("label", 0), self.compared)


@dataclass(frozen=True, slots=True)
class Split:
    """One stage of a canary."""

    version: str
    asked: float
    observed: Rate
    users: int
    wavering: int


@dataclass(slots=True)
class Figures:
    """All that was measured so far."""

    flips: list[Flip] = field(default_factory=list)
    guarded: list[Guarded] = field(default_factory=list)
    shadows: list[Pairs] = field(default_factory=list)
    splits: list[Split] = field(default_factory=list)
    sent: int = 0
    failed: int = 0
    per_second: float = 0.0
    seconds: float = 0.0
    not_as_told: list[str] = field(default_factory=list)


def render_figures(figures: Figures) -> RenderableType:
    """The closing table."""
    return table(("what", "measured", "from -> to"), rows_of(figures))


def rows_of(figures: Figures) -> Sequence[Row]:
    """The closing table's lines."""
    rows: list[Row] = []
    for flip in figures.flips:
        rows.append((flip.change, milliseconds(flip.acked), "call -> every gateway acked"))
        rows.append(("", milliseconds(flip.last_old), f"call -> last {flip.old} answer"))
    for guarded in figures.guarded:
        rows.append((f"detect: {guarded.version} does harm", milliseconds(guarded.detect), "first failing answer -> decision"))
        rows.append((f"rollback: {guarded.version}, by itself", milliseconds(guarded.rollback), "decision -> last old-route answer"))
    pairs = sum(shadow.compared for shadow in figures.shadows)
    rows.append(("shadow pairs compared", f"{pairs:,}", ", ".join(f"{shadow.version} {shadow.compared:,}" for shadow in figures.shadows)))
    rows.append(("requests sent", f"{figures.sent:,}", f"{figures.per_second:.0f} a second, both families"))
    rows.append(("requests failed", f"{figures.failed:,}", "as the clients saw it"))
    return rows


def document_of(figures: Figures) -> dict[str, Any]:
    """The same as one JSON document; times in milliseconds, shares in percent."""
    return {
        "ok": not figures.not_as_told,
        "not_as_told": list(figures.not_as_told),
        "seconds": round(figures.seconds, 1),
        "flips": [
            {"change": flip.change, "old": flip.old, "acked_ms": _round(flip.acked), "last_old_answer_ms": _round(flip.last_old)}
            for flip in figures.flips
        ],
        "automatic_rollbacks": [
            {
                "version": one.version,
                "detect_ms": _round(one.detect),
                "rollback_ms": _round(one.rollback),
                "failing_canary_answers": one.failing,
                "signal": one.signal,
                "why": one.why,
            }
            for one in figures.guarded
        ],
        "shadows": [{"version": one.version, "pairs": one.compared, "outcomes": dict(one.outcomes)} for one in figures.shadows],
        "canaries": [
            {
                "version": one.version,
                "asked_percent": one.asked,
                "observed_percent": round(one.observed.percent, 2),
                "answers": one.observed.whole,
                "users": one.users,
                "users_of_both_versions": one.wavering,
            }
            for one in figures.splits
        ],
        "requests": {"sent": figures.sent, "failed": figures.failed, "per_second": round(figures.per_second, 1)},
    }


def milliseconds(seconds: float) -> str:
    """For people."""
    return f"{seconds * 1000:,.0f} ms"


def _round(seconds: float) -> float:
    return round(seconds * 1000, 1)
