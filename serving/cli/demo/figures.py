"""What the demo measured, as a table for people and as a document for programs; every figure is of the run that prints it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
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


@dataclass(frozen=True, slots=True)
class Drilled:
    """A practised rollback, in seconds from when it was asked for; 0 for what did not happen."""

    family: str
    version: str
    to: str
    passed: bool
    flipped: float
    verified: float
    restored: float
    stray: float | None
    """When the version that left gave its last answer; None when it gave none."""

    @classmethod
    def of(cls, family: str, held: Mapping[str, Any]) -> "Drilled":
        """Out of the document that the admin API answers with."""
        times: Mapping[str, str | None] = held["times"]
        begun = datetime.fromisoformat(str(times["detected"]))

        def after(name: str) -> float | None:
            stamp = times[name]
            return None if stamp is None else (datetime.fromisoformat(stamp) - begun).total_seconds()

        flipped, verified, restored = (after(name) or 0.0 for name in ("flipped", "verified", "restored"))
        return cls(family, held["version"], held["to"], bool(held["passed"]), flipped, verified, restored, after("last_stray"))


@dataclass(slots=True)
class Figures:
    """All that was measured so far."""

    flips: list[Flip] = field(default_factory=list)
    guarded: list[Guarded] = field(default_factory=list)
    shadows: list[Pairs] = field(default_factory=list)
    splits: list[Split] = field(default_factory=list)
    drills: list[Drilled] = field(default_factory=list)
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
    for drill in figures.drills:
        rows.append((f"drill: {drill.family} {drill.version}", milliseconds(drill.flipped), f"asked -> {drill.to} is production"))
        rows.append(("", milliseconds(drill.verified), "asked -> proven by golden examples"))
        rows.append(("", milliseconds(drill.restored), f"asked -> {drill.version} is production again"))
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
        "drills": [_drill(one) for one in figures.drills],
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


def _drill(one: Drilled) -> dict[str, Any]:
    return {
        "family": one.family,
        "version": one.version,
        "to": one.to,
        "passed": one.passed,
        "flipped_ms": _round(one.flipped),
        "last_stray_ms": None if one.stray is None else _round(one.stray),
        "verified_ms": _round(one.verified),
        "restored_ms": _round(one.restored),
    }


def milliseconds(seconds: float) -> str:
    """For people."""
    return f"{seconds * 1000:,.0f} ms"


def _round(seconds: float) -> float:
    return round(seconds * 1000, 1)
