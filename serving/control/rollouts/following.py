"""Follows one rollout: writes down what people asked of it, looks at it, and has done what follows from what is seen.

A line of the decision log is written before the change that it leads to. What the store says holds: where a change did not come about,
because another was first or the candidate is not ready, the log says how the rollout stands and the next look goes on from there.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from serving.control.operations import Author, Changed
from serving.control.policies.parsing import InvalidPolicy, parse_pinned
from serving.control.rollouts.journal import CHECKPOINT_LINES, Journal, UnreadableLog
from serving.control.rollouts.saying import Herald, Voice
from serving.control.rollouts.timing import Lap, SteadyTime
from serving.core.course import Course, Turn, happened, looked, measured, opened, stood
from serving.core.decisions import Look, Measured, Stood, as_written
from serving.core.effects import Effect, FlipBack
from serving.core.errors import ChangeRefused, StaleRevision
from serving.core.happenings import AUTO, Checked, Flipped
from serving.core.judging import open_ends
from serving.core.lifecycle import FamilyRecord
from serving.core.moving import Move
from serving.core.policy import Pinned
from serving.core.rollout import EventRefused, due
from serving.core.standing import Rollout, State
from serving.core.totals import Fault, Report
from serving.core.underway import Terms, Underway
from serving.failpoints import Failpoint, reach
from serving.ports import Clock, ControlRecorder, DecisionLog, Progress

QUICK = timedelta(seconds=1)
"""Between two looks while a stage is young, and while a rollback is verified."""

PACES = ((timedelta(minutes=10), QUICK), (timedelta(hours=2), timedelta(seconds=5)))
"""How old a stage may be for which time between two looks."""

SLOW = timedelta(seconds=15)
"""The same later on: a look leaves a line of the log of three kilobytes, for good."""

ALARMED = timedelta(seconds=0.2)
"""Between two looks while the candidate fails, so that many failures at once are no storm of lines."""

_IDENTITY = ("family", "version", "digest", "policy_digest", "author")
"""What a rollout is from before anything happens to it."""

log = structlog.get_logger()


class Moves(Protocol):
    """The one operation that following needs. Raises what `Operations.move` does."""

    async def move(
        self, family: str, phrase: str, decide: Callable[[FamilyRecord], Move], author: Author, *, expected: int | None = None
    ) -> Changed:
        """Take a rollout's step and all that follows from it."""
        ...


class Check(Protocol):
    """Looks how far a rollback is."""

    async def check(self, pinned: Pinned, underway: Underway, at: datetime, since: timedelta) -> Checked:
        """How far it is now, `at`, so long since the flip. Raises a `PointsmanError`."""
        ...

    async def flip_of(self, underway: Underway) -> Flipped | None:
        """The write that took the candidate out, if it can be found. Raises `StoreUnavailable`."""
        ...


@dataclass(frozen=True, slots=True)
class Tools:
    """What following works with. `term` gives the fencing token of this process's term, or raises `NotLeader`."""

    moves: Moves
    log: DecisionLog
    herald: Herald
    check: Check
    recorder: ControlRecorder
    clock: Clock
    term: Callable[[], int]
    checkpoint_every: int = CHECKPOINT_LINES


@dataclass(frozen=True, slots=True)
class Heard:
    """What gateways said by now: their reports, which of them should have been heard of, and what edges production shows."""

    reports: tuple[Report, ...] = ()
    expected: tuple[str, ...] = ()
    measure: Measured | None = None
    unreadable: tuple[tuple[str, str], ...] = ()
    """Of which gateways the newest report could not be read, and why."""


class Follower:
    """One rollout, from when this controller first saw it."""

    def __init__(self, underway: Underway, tools: Tools) -> None:
        self.id = underway.id
        self.looked: datetime | None = None
        """By this process: when it last looked, or checked."""
        self._refused: tuple[tuple[str, Fault], ...] = ()
        self._pinned = _pinned(underway)
        self._tools = tools
        self._voice = Voice(underway.id, tools.herald, tools.clock, self._pinned.policy.tell)
        self._journal = Journal(underway.id, tools.log, tools.term, every=tools.checkpoint_every)
        self._time = SteadyTime(tools.clock)
        self._lap = Lap(tools.clock)
        self._course: Course | None = None

    @property
    def is_harmful(self) -> bool:
        """Whether the candidate shall get no more traffic, whether or not that could be written."""
        course = self._course
        return course is None or bool(course.assessment.trip) or course.rollout.state is State.ROLLING_BACK

    @property
    def progress(self) -> Progress | None:
        """What was seen last; None before the first look."""
        course = self._course
        if course is None or course.looked is None:
            return None
        # By the wall clock, as whoever reads it goes by.
        at = self._tools.clock.now() - (self._time.now() - (self.looked or course.looked))
        seen, voice = course.evidence, self._voice
        known = Progress(self.id, at, course.assessment, course.totals, course.looks, voice.trouble, voice.troubled)
        return replace(known, refused=seen.refused, stage=seen.stage)

    async def step(self, record: FamilyRecord, heard: Heard) -> None:
        """Take one step, if one is due. Raises `StoreUnavailable`, `NotLeader` or `UnreadableLog`."""
        underway = record.rollout
        if underway is None or underway.id != self.id:
            return
        try:
            await self._step(record, underway, heard)
        except StaleRevision:
            # Somebody else was first: what they made of it is read at the next step.
            await self._stand(underway, "another change came first")
        except Exception:
            # Whether the last line led to anything is for the store to say; the log says what was seen.
            self._course = None
            raise

    async def _step(self, record: FamilyRecord, underway: Underway, heard: Heard) -> None:
        course = await self._hear(underway)
        if underway.rollout.state is State.ROLLING_BACK:
            await self._verify(record, course)
        elif not underway.is_over and underway.is_watched and self._is_due(course, heard):
            if heard.measure is not None:
                await self._measure(record, course, heard.measure)
            else:
                await self._look(record, course, heard)
        elif underway.is_over and underway.asked:
            await self._commit(record, course, (), f"{course.rollout.version} is in its log")
        if self._course is not None:
            await self._journal.keep(self._course)

    # --- what others did

    async def _hear(self, underway: Underway) -> Course:
        """The course with all that people asked, standing as the store says."""
        course = self._course or await self._resume(underway)
        for asked in underway.asked:
            if asked.step <= course.steps:
                continue
            try:
                turn = happened(course, asked.event)
            except EventRefused as refused:
                # The store took it, past the rollout: a rollback asks nobody.
                log.info("rollout_moved_past", rollout=self.id, why=str(refused))
                continue
            self._time.set()
            course = await self._write(turn, Failpoint.COURSE_HEARD)
            self._lap.begin()
            await self._voice.tell(turn.effects, turn.course)
        if (course.rollout, course.steps) != (underway.rollout, underway.steps):
            course = await self._stand(underway, "the store says so")
        return course

    async def _resume(self, underway: Underway) -> Course:
        self._lap.forget()
        turn = await self._journal.resume(self._pinned)
        if turn is None:
            fresh = Rollout(**{name: getattr(underway.rollout, name) for name in _IDENTITY})
            return await self._write(opened(self._pinned, fresh, at=underway.opened), Failpoint.COURSE_OPENED)
        course = self._course = turn.course
        if (course.rollout, course.steps) == (underway.rollout, underway.steps):
            # Whoever wrote the last line may have died before anybody was told; what is told twice is known as once.
            await self._voice.tell(turn.effects, course)
        return course

    async def _stand(self, underway: Underway, why: str) -> Course:
        course = self._course
        if course is None:
            return await self._resume(underway)
        self._time.set()
        entry = Stood(self._time.now(), underway.rollout, underway.steps, why)
        course = await self._write(stood(course, entry))
        self._lap.begin()
        return course

    # --- looking

    def _is_due(self, course: Course, heard: Heard) -> bool:
        now = self._time.now()
        if self.looked is None or now < self.looked:
            return True
        if any(report.row >= self._pinned.policy.tripwire.errors_in_a_row for report in heard.reports):
            return now - self.looked >= ALARMED
        return now - self.looked >= _pace(course.spent)

    async def _measure(self, record: FamilyRecord, course: Course, entry: Measured) -> None:
        turn = measured(course, entry)
        await self._write(turn, Failpoint.COURSE_LOOKED)
        await self._commit(record, turn.course, (), f"{course.rollout.version} measures production", entry)

    async def _look(self, record: FamilyRecord, course: Course, heard: Heard) -> None:
        now = self._time.now()
        turn = looked(course, as_written(Look(now, heard.reports, heard.expected, heard.unreadable, self._lap.take())))
        self.looked = now
        await self._write(turn, Failpoint.COURSE_LOOKED)
        self._lap.end()
        self._note_refused(turn.course)
        if turn.course.rollout == course.rollout:
            await self._voice.await_word(course, turn.course)
            return
        underway = record.rollout
        try:
            changed = await self._commit(record, turn.course, turn.effects, _phrase(self._pinned, turn.course.rollout))
        except ChangeRefused as refused:
            await self._say_refused(turn, refused)
            if underway is not None:
                await self._stand(underway, self._voice.trouble)
            return
        self._voice.note("")
        reach(Failpoint.COURSE_MOVED)
        self._note(turn, changed)
        await self._voice.tell(turn.effects, turn.course)
        if any(isinstance(effect, FlipBack) for effect in turn.effects):
            await self._flipped(changed.record, turn.course, Flipped(self._time.now(), changed.commit.epoch))

    async def _say_refused(self, turn: Turn, refused: ChangeRefused) -> None:
        """Say once that it cannot go on, or back."""
        if not self._voice.note(str(refused)):
            return
        log.warning("rollout_cannot_go_on", rollout=self.id, why=str(refused))
        is_way_back = any(isinstance(effect, FlipBack) for effect in turn.effects)
        await self._voice.refuse(str(refused), turn.course, to_go_back=is_way_back)

    def _note_refused(self, course: Course) -> None:
        """Count the reports that did not count; a line for each gateway with which something changed."""
        refused = course.evidence.refused
        for one in refused:
            self._tools.recorder.report_refused(course.rollout.family, one.fault)
            if (one.source, one.fault) not in self._refused:
                log.warning("rollout_report_refused", rollout=self.id, gateway=one.source, fault=one.fault.value, why=one.why)
        for source in {source for source, _ in self._refused} - {one.source for one in refused}:
            log.info("rollout_report_counts_again", rollout=self.id, gateway=source)
        self._refused = tuple((one.source, one.fault) for one in refused)

    def _note(self, turn: Turn, changed: Changed) -> None:
        rollout = turn.course.rollout
        event = log.bind(rollout=self.id, state=rollout.state.value, stage=rollout.stage, epoch=changed.commit.epoch)
        if rollout.receipt is not None and rollout.state is State.ROLLING_BACK:
            self._tools.recorder.rolled_back(rollout.family, rollout.receipt.signal)
            event.warning("rollout_rolls_back", reason=rollout.receipt.reason, detected=rollout.receipt.detected.isoformat())
        else:
            event.info("rollout_moved")

    # --- going back

    async def _verify(self, record: FamilyRecord, course: Course) -> None:
        receipt, underway = course.rollout.receipt, record.rollout
        if receipt is None or underway is None:
            return
        if receipt.flipped is None:
            await self._flip(record, course, await self._tools.check.flip_of(underway))
            return
        now = self._time.now()
        if self.looked is not None and timedelta() <= now - self.looked < QUICK:
            return
        self.looked = now
        passed = self._lap.take()
        checked = await self._tools.check.check(self._pinned, underway, now, course.spent_by(now, passed))
        turn = happened(course, replace(checked, passed=passed))
        await self._write(turn, Failpoint.COURSE_CHECKED)
        self._lap.end()
        self._voice.note("" if turn.course.rollout.state is State.ROLLED_BACK else open_ends(checked, flipped=True))
        if turn.course.rollout == course.rollout:
            return
        is_over = turn.course.rollout.state is State.ROLLED_BACK
        await self._commit(record, turn.course, turn.effects, f"{course.rollout.version} {'verified' if is_over else 'not verified yet'}")
        await self._voice.tell(turn.effects, turn.course)

    async def _flip(self, record: FamilyRecord, course: Course, found: Flipped | None) -> None:
        """Note the write that took the candidate out; one that is nowhere to be found is made once more, which does no harm."""
        if found is not None:
            await self._flipped(record, course, found)
            return
        log.warning("rollout_flips_again", rollout=self.id)
        changed = await self._commit(record, course, due(self._pinned.policy, course.rollout), f"{course.rollout.version} flips again")
        await self._flipped(changed.record, course, Flipped(self._time.now(), changed.commit.epoch))

    async def _flipped(self, record: FamilyRecord, course: Course, event: Flipped) -> None:
        turn = happened(course, event)
        if turn.course.rollout == course.rollout:
            return
        await self._write(turn, Failpoint.COURSE_FLIPPED)
        self._lap.begin()
        await self._commit(record, turn.course, (), f"{course.rollout.version} flipped at epoch {event.epoch}")
        await self._voice.tell(turn.effects, turn.course)

    # --- writing

    async def _write(self, turn: Turn, point: Failpoint | None = None) -> Course:
        await self._journal.write(turn)
        self._course = turn.course
        if point is not None:
            reach(point)
        return turn.course

    async def _commit(
        self, record: FamilyRecord, after: Course, effects: tuple[Effect, ...], phrase: str, pins: Measured | None = None
    ) -> Changed:
        underway = record.rollout
        if underway is None:
            raise AssertionError
        stepped = underway.stepped(after.rollout, revision=record.revision + 1).heard(after.steps)
        stepped = replace(stepped, terms=Terms.of(self._pinned.policy, after.rollout.stage))
        if pins is not None:
            stepped = replace(stepped, edges=pins.edges or stepped.edges, classes=pins.classes or stepped.classes)
        reason, signal = _why(after.rollout)
        author = Author(AUTO.name, reason, f"{AUTO.name}-{self.id}-{stepped.steps}", signal, AUTO.roles)
        return await self._tools.moves.move(record.family, phrase, lambda _: Move(stepped, effects), author, expected=record.revision)


def _pace(age: timedelta) -> timedelta:
    return next((pace for limit, pace in PACES if age < limit), SLOW)


def _pinned(underway: Underway) -> Pinned:
    try:
        return parse_pinned(underway.policy.encode())
    except InvalidPolicy as error:
        raise UnreadableLog(underway.id, f"its policy is not understood: {error}") from error


def _phrase(pinned: Pinned, rollout: Rollout) -> str:
    stage = pinned.policy.stages[rollout.stage].name
    match rollout.state:
        case State.HELD:
            return f"{rollout.version} held in {stage}"
        case State.ROLLING_BACK:
            return f"{rollout.version} rolls back"
        case State.LIVE:
            return f"{rollout.version} is live"
        case _:
            return f"{rollout.version} in {stage}"


def _why(rollout: Rollout) -> tuple[str, str]:
    if rollout.receipt is not None:
        return rollout.receipt.reason, rollout.receipt.signal
    return (rollout.held.why, "") if rollout.held is not None else ("its guards say so", "")
