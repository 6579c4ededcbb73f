"""A rollout with everything it has learned: one value that looks and events turn into the next, each leaving a line of the decision log.

The control loop and `replay` go through the same two functions, so a log that is replayed gives the same bytes.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from serving.core.assessing import Assessment, Evidence, assess, edges
from serving.core.decisions import Entry, Look, Opened, UnreadableLine, entry_of, line
from serving.core.effects import Effect
from serving.core.happenings import Advance, Event, Observed
from serving.core.policy import Pinned
from serving.core.rollout import OVER, step
from serving.core.standing import Rollout, State
from serving.core.totals import Book, Listening

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
    course = Course(pinned, rollout, book, Evidence.none(pinned.policy, rollout.digest, at=at))
    return Turn(course, (), line(Opened(at, rollout, slow, classes)))


def looked(course: Course, look: Look) -> Turn:
    """The course after a look at the reports."""
    policy, rollout = course.pinned.policy, course.rollout
    listening = Listening(frozenset(look.expected), policy.deadline.silence)
    book, tick = course.book.after(look.reports, at=look.at, listening=listening)
    if rollout.state in _BEFORE_OR_AFTER:
        return Turn(replace(course, book=book), (), line(look, rollout))
    stage = policy.stages[rollout.stage]
    evidence = course.evidence.after(policy, stage, tick, at=look.at)
    assessment = assess(policy, stage, evidence, at=look.at)
    rollout, effects = step(course.pinned, rollout, Observed(look.at, assessment))
    after = Course(course.pinned, rollout, book, evidence, assessment)
    return Turn(after, effects, line(look, rollout, assessment))


def happened(course: Course, event: Event) -> Turn:
    """The course after an event. Raises `EventRefused`, and then leaves no line."""
    if isinstance(event, Advance):
        event = replace(event, assessment=course.assessment)
    rollout, effects = step(course.pinned, course.rollout, event)
    return Turn(replace(course, rollout=rollout), effects, line(event, rollout))


def retraced(pinned: Pinned, lines: Iterable[bytes]) -> Iterator[tuple[Entry, Turn]]:
    """What each line of a log says happened, and what becomes of it now. Raises `UnreadableLine` or `EventRefused`."""
    course: Course | None = None
    for text in lines:
        entry = entry_of(text)
        if isinstance(entry, Opened):
            turn = opened(pinned, entry.rollout, at=entry.at, classes=entry.classes)
        elif course is None:
            msg = "the log does not begin with its opening line"
            raise UnreadableLine(msg)
        else:
            turn = looked(course, entry) if isinstance(entry, Look) else happened(course, entry)
        course = turn.course
        yield entry, turn


def replay(pinned: Pinned, lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a log as this policy and this program write them now. Raises `UnreadableLine` or `EventRefused`."""
    return (turn.line for _, turn in retraced(pinned, lines))
