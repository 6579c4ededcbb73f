"""A rollout with everything it has learned: one value that looks and events turn into the next, each leaving a line of the decision log.

The control loop and `replay` go through the same two functions, so a log that is replayed gives the same bytes.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from serving.core.assessing import Assessment, Evidence, assess, edges
from serving.core.decisions import Entry, Look, Measured, Opened, Stood, UnreadableLine, entry_of, line
from serving.core.effects import Effect
from serving.core.happenings import Advance, Checked, Event, Flipped, Observed
from serving.core.policy import Pinned
from serving.core.rollout import OVER, step
from serving.core.spending import passed, spent
from serving.core.standing import Rollout, State
from serving.core.totals import Book, Fault, Listening, RefusedReport, Tick, Totals

_BEFORE_OR_AFTER = frozenset({State.DRAFT, State.ROLLING_BACK, *OVER})
"""Where there is nothing to judge."""


@dataclass(frozen=True, slots=True)
class Course:
    """The rollout, what was reported, and what it comes to."""

    pinned: Pinned
    rollout: Rollout
    book: Book
    evidence: Evidence
    assessment: Assessment = Assessment()  # noqa: RUF009 - frozen
    steps: int = 0
    """Changes of the rollout so far, as its record counts them."""
    totals: Totals = Totals()  # noqa: RUF009 - frozen
    """All that was counted."""
    looks: int = 0
    """How often the guards were asked."""
    looked: datetime | None = None
    """When they last were."""
    at: datetime | None = None
    """Of the last look or check."""
    spent: timedelta = timedelta()
    """In the stage, or since the rollback was decided or flipped: as looks and checks have measured it."""

    def spent_by(self, at: datetime, measured: timedelta | None) -> timedelta:
        """The same at a later moment; `measured`: how long after the last one."""
        return self.spent + passed(self.at or at, at, measured)


@dataclass(frozen=True, slots=True)
class Turn:
    """What a look or an event led to: the course, the effects in their order, and the line of the log."""

    course: Course
    effects: tuple[Effect, ...]
    line: bytes


def opened(pinned: Pinned, rollout: Rollout, *, at: datetime, classes: int = 0) -> Turn:
    """The beginning. `classes`: how many classes or bins answers are counted in, pinned before the rollout."""
    slow = 2 * len(edges(pinned.policy))
    book = Book(warm_up=pinned.policy.warm_up, slow=slow, classes=classes, opened=at)
    course = Course(pinned, rollout, book, Evidence.none(pinned.policy, rollout.digest, at=at), at=at)
    return Turn(course, (), line(Opened(at, rollout, slow, classes, pinned.document.decode())))


def looked(course: Course, look: Look) -> Turn:
    """The course after a look at the reports."""
    policy, rollout = course.pinned.policy, course.rollout
    listening = Listening(frozenset(look.expected), policy.deadline.silence)
    book, tick = course.book.after(look.reports, at=look.at, listening=listening)
    tick = _with_unreadable(tick, look)
    totals = course.totals + tick.totals
    if rollout.state in _BEFORE_OR_AFTER:
        return Turn(replace(course, book=book, totals=totals), (), line(look, rollout, steps=course.steps))
    stage = policy.stages[rollout.stage]
    evidence, so_far = course.evidence.after(policy, stage, tick, at=look.at), course.spent_by(look.at, look.passed)
    assessment = replace(assess(policy, stage, evidence, at=look.at), spent=so_far)
    after, effects = step(course.pinned, rollout, Observed(look.at, assessment))
    steps = course.steps if after == rollout else course.steps + 1
    seen = replace(course, book=book, evidence=evidence, assessment=assessment, totals=totals, looks=course.looks + 1, looked=look.at)
    course = replace(seen, rollout=after, steps=steps, at=look.at, spent=spent(rollout, after, so_far))
    return Turn(course, effects, line(look, after, assessment, steps=steps))


def _with_unreadable(tick: Tick, look: Look) -> Tick:
    """With the reports that never got as far as the book."""
    unreadable = tuple(RefusedReport(source, Fault.NONSENSE, why) for source, why in look.unreadable)
    return replace(tick, refused=(*tick.refused, *unreadable)) if unreadable else tick


def happened(course: Course, event: Event) -> Turn:
    """The course after an event. Raises `EventRefused`, and then leaves no line."""
    said: Assessment | None = None
    if isinstance(event, Advance):
        # By what whoever decided it had before them, where that is known: the guards may have looked again since.
        said = event.assessment if event.assessment.verdicts else course.assessment
        event = replace(event, assessment=said)
    at, so_far = course.at, course.spent
    if isinstance(event, Checked):
        at, so_far = event.at, course.spent_by(event.at, event.passed)
        event = replace(event, spent=so_far)
    rollout, effects = step(course.pinned, course.rollout, event)
    # A check that finds nothing new is noted and changes nothing; whatever people ask, the record has counted.
    is_step = rollout != course.rollout or not isinstance(event, Checked | Flipped)
    after = replace(course, rollout=rollout, steps=course.steps + is_step, at=at, spent=spent(course.rollout, rollout, so_far))
    return Turn(after, effects, line(event, rollout, said, steps=after.steps))


def stood(course: Course, entry: Stood) -> Turn:
    """The course by the rollout that the store has. What was seen stays seen, of the same candidate."""
    after = replace(course, rollout=entry.rollout, steps=entry.steps, spent=spent(course.rollout, entry.rollout, course.spent))
    return Turn(after, (), line(entry, entry.rollout, steps=entry.steps))


def measured(course: Course, entry: Measured) -> Turn:
    """The course with edges or classes pinned: reports may have them from now on."""
    # What answers none of the classes has a counter of its own.
    classes = len(entry.classes) + 1 if entry.classes else course.book.classes
    after = replace(course, book=replace(course.book, classes=classes), steps=course.steps + 1)
    return Turn(after, (), line(entry, course.rollout, steps=after.steps))


def retraced(pinned: Pinned, lines: Iterable[bytes], *, since: Course | None = None) -> Iterator[tuple[Entry, Turn]]:
    """What each line of a log says happened, and what becomes of it now. `since`: the course before the first of them.

    Raises `UnreadableLine` or `EventRefused`.
    """
    course = since
    for text in lines:
        entry = entry_of(text)
        turn = _again(pinned, course, entry)
        course = turn.course
        yield entry, turn


def replay(pinned: Pinned, lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a log as this policy and this program write them now. Raises `UnreadableLine` or `EventRefused`."""
    return (turn.line for _, turn in retraced(pinned, lines))


def resumed(pinned: Pinned, lines: Iterable[bytes], *, since: Course | None = None) -> Turn | None:
    """The last turn of a log, with the course at its end; None where nothing was logged. Raises as `retraced` does."""
    last: Turn | None = None
    for _, turn in retraced(pinned, lines, since=since):
        last = turn
    return last


def _again(pinned: Pinned, course: Course | None, entry: Entry) -> Turn:
    if isinstance(entry, Opened):
        return opened(pinned, entry.rollout, at=entry.at, classes=entry.classes)
    if course is None:
        msg = "the log does not begin with its opening line"
        raise UnreadableLine(msg)
    match entry:
        case Look():
            return looked(course, entry)
        case Stood():
            return stood(course, entry)
        case Measured():
            return measured(course, entry)
        case _:
            return happened(course, entry)
