"""What a picture of a rollout shows, out of its decision log: the candidate's share, the guards' evidence, what happened.

Pure; what draws it is elsewhere. The log is gone through once more, as `replay` does, so the thresholds are the ones that were held to.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from math import log

from serving.core.course import Course, retraced
from serving.core.decisions import Entry, Look, Measured, Opened, Stood
from serving.core.happenings import Advance, Approve, Checked, Flipped, Hold, Kind, Observed, Resume, Retry, RollBack, Start, Supersede
from serving.core.policy import Pinned
from serving.core.rollout import weight
from serving.core.standing import State
from serving.core.verdicts import Finding

MOST_POINTS = 1_500
"""In one curve; more would not be seen. Where a verdict changes no point is left out."""

_TEN = log(10)


@dataclass(frozen=True, slots=True)
class Point:
    """What a guard said at one look: seconds since the rollout was opened; evidence and thresholds as powers of ten."""

    seconds: float
    finding: Finding
    harm: float | None = None
    safe: float | None = None
    harm_from: float | None = None
    safe_from: float | None = None


@dataclass(frozen=True, slots=True)
class Strip:
    """One guard's verdicts over time, and the sentence of the last."""

    guard: str
    points: tuple[Point, ...]
    sentence: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened, in a word or two."""

    seconds: float
    label: str
    is_bad: bool = False


@dataclass(frozen=True, slots=True)
class Share:
    """From when on the candidate had which share of the callers or of the copies, in percent, and in which stage."""

    seconds: float
    callers: float
    copies: float
    stage: str


@dataclass(frozen=True, slots=True)
class Chart:
    """All of it. `ended` are the seconds from the opening to the last line."""

    family: str
    version: str
    opened: datetime
    ended: float
    state: State
    shares: tuple[Share, ...]
    strips: tuple[Strip, ...]
    marks: tuple[Mark, ...]


@dataclass
class _Sheet:
    """What was drawn so far."""

    opened: datetime | None = None
    seconds: float = 0.0
    shares: list[Share] = field(default_factory=list[Share])
    points: dict[str, list[Point]] = field(default_factory=dict[str, list[Point]])
    sentences: dict[str, str] = field(default_factory=dict[str, str])
    marks: list[Mark] = field(default_factory=list[Mark])
    state: State = State.DRAFT

    def add(self, entry: Entry, course: Course) -> None:
        """One line further."""
        self.opened = self.opened or entry.at
        self.seconds = max(self.seconds, (entry.at - self.opened).total_seconds())
        share = _share(course, self.seconds)
        if not self.shares or replace(self.shares[-1], seconds=self.seconds) != share:
            self.shares.append(share)
        if isinstance(entry, Look):
            self._add_points(course)
        self.marks += _marks(entry, course, before=self.state, seconds=self.seconds)
        self.state = course.rollout.state

    def _add_points(self, course: Course) -> None:
        for verdict in course.assessment.verdicts:
            self.points.setdefault(verdict.guard, []).append(_point(course, verdict.guard, self.seconds))
            self.sentences[verdict.guard] = verdict.sentence


def chart_of(pinned: Pinned, lines: Iterable[bytes]) -> Chart:
    """The picture of a log. Raises `UnreadableLine`, or `EventRefused` where the log was not written by this policy and program."""
    sheet, course = _Sheet(), None
    for entry, turn in retraced(pinned, lines):
        course = turn.course
        sheet.add(entry, course)
    if course is None or sheet.opened is None:
        raise EmptyLog
    order = [guard.id for guard in pinned.policy.guards if guard.id in sheet.points]
    return Chart(
        family=course.rollout.family,
        version=course.rollout.version,
        opened=sheet.opened,
        ended=sheet.seconds,
        state=course.rollout.state,
        shares=tuple(sheet.shares),
        strips=tuple(Strip(guard, tuple(_thinned(sheet.points[guard])), sheet.sentences[guard]) for guard in order),
        marks=tuple(sheet.marks),
    )


class EmptyLog(ValueError):
    """There is nothing to draw."""

    def __init__(self) -> None:
        super().__init__("the decision log has no lines yet")


def _share(course: Course, seconds: float) -> Share:
    policy, rollout = course.pinned.policy, course.rollout
    stage = policy.stages[rollout.stage]
    mirrors = stage.mirror if rollout.state in {State.SHADOWING, State.HELD} and stage.is_shadow else 0
    name = stage.name if rollout.state is not State.DRAFT else ""
    return Share(seconds, weight(policy, rollout) / 100, mirrors / 100, name)


def _point(course: Course, guard: str, seconds: float) -> Point:
    verdict = course.assessment.of(guard)
    if verdict is None:
        raise AssertionError
    chances, numbers = course.evidence.dials[guard].gauge.chances, verdict.numbers
    harm, safe = _power(numbers, "log_e_harm"), _power(numbers, "log_e_safe")
    return Point(
        seconds=seconds,
        finding=verdict.finding,
        harm=harm,
        safe=safe,
        harm_from=None if harm is None else -log(chances.alpha) / _TEN,
        safe_from=None if safe is None else -log(chances.beta) / _TEN,
    )


def _power(numbers: Mapping[str, float], name: str) -> float | None:
    value = numbers.get(name)
    return None if value is None else value / _TEN


_WORDS: Mapping[Kind, str] = {
    Kind.START: "start",
    Kind.APPROVE: "approved",
    Kind.ADVANCE: "advanced",
    Kind.HOLD: "hold",
    Kind.RESUME: "resumed",
    Kind.ROLL_BACK: "rollback",
    Kind.FLIPPED: "flipped",
    Kind.RETRY: "again",
    Kind.SUPERSEDE: "superseded",
}

_ENTERED: Mapping[State, str] = {State.LIVE: "live", State.HELD: "held", State.ROLLING_BACK: "rollback", State.ROLLED_BACK: "verified"}
"""What a look or a check may lead to that a reader looks for."""


def _marks(entry: Entry, course: Course, *, before: State, seconds: float) -> Iterator[Mark]:
    state = course.rollout.state
    is_bad = state in {State.ROLLING_BACK, State.ROLLED_BACK, State.HELD}
    match entry:
        case Opened() | Measured() | Stood():
            return
        case Look() | Checked() | Observed():
            if state is not before and state in _ENTERED:
                signal = "" if course.rollout.receipt is None else f": {course.rollout.receipt.signal}"
                yield Mark(seconds, _ENTERED[state] + (signal if state is State.ROLLING_BACK else ""), is_bad=is_bad)
        case Approve() | Advance() | Hold() | Resume() | Retry() | RollBack() | Start() | Supersede():
            yield Mark(seconds, f"{_WORDS[entry.kind]} ({entry.by.name})", is_bad=is_bad)
        case Flipped():
            yield Mark(seconds, _WORDS[entry.kind], is_bad=is_bad)


def _thinned(points: list[Point]) -> Iterator[Point]:
    """Every so manieth, with both sides of each change of the verdict, and the ends."""
    step = max(1, len(points) // MOST_POINTS)
    kept = {0, len(points) - 1, *range(0, len(points), step)}
    for index, (one, other) in enumerate(pairwise(points)):
        if one.finding is not other.finding:
            kept |= {index, index + 1}
    return (points[index] for index in sorted(kept))
