"""The leader's part of rehearsals: asks the family's own guards about the made-up version, and has it taken out when they find harm.

What a rollout is judged by is used as it is (`core.course`): the policy, its guards, the tripwire, the risks. Only nothing is written to a
decision log, and what follows from the verdict is that the route goes.
"""

import asyncio
from dataclasses import replace
from typing import Protocol

import structlog

from serving.control.operations import Author
from serving.control.policies.parsing import parse_pinned
from serving.control.records import Records
from serving.control.rollouts.hearing import measures_of, reports_of
from serving.core.course import Course, looked, measured, opened
from serving.core.decisions import Look, Measured
from serving.core.errors import ChangeRefused, StaleRevision
from serving.core.happenings import AUTO
from serving.core.lifecycle import FamilyRecord
from serving.core.rehearsals import Rehearsal
from serving.core.rehearsing import CatchRehearsal, EndRehearsal, MeasureRehearsal, PracticeChange, RehearsalChange
from serving.core.standing import Receipt, Rollout, State
from serving.core.underway import Underway
from serving.ports import Clock, Observations

log = structlog.get_logger()


class EndsRehearsals(Protocol):
    """Whoever makes a change of a family. Raises what `Operations.drill` does."""

    async def drill(self, family: str, change: PracticeChange, author: Author) -> object:
        """Take one step of a rehearsal."""
        ...


class Rehearsals:
    """One step: hear the gateways, ask the guards of every rehearsal that is under way, and act."""

    def __init__(self, records: Records, observations: Observations, operations: EndsRehearsals, clock: Clock) -> None:
        self._records = records
        self._observations = observations
        self._operations = operations
        self._clock = clock
        self._courses: dict[str, Course] = {}

    async def step(self) -> None:
        """Take one. Raises `StoreUnavailable` or `NotLeader`."""
        records = [record for record in self._records.snapshot.families.values() if record.rehearsal is not None]
        ids = {record.rehearsal.id for record in records if record.rehearsal is not None}
        self._courses = {name: course for name, course in self._courses.items() if name in ids}
        for record in records:
            if record.rehearsal is not None:
                await self._step(record, record.rehearsal)

    async def _step(self, record: FamilyRecord, rehearsal: Rehearsal) -> None:
        if self._clock.now() > rehearsal.until:
            # Whoever held it is gone.
            failure = "it was interrupted, and ended by whoever leads"
            await self._change(record.family, EndRehearsal(rehearsal.id, failure=failure), "left")
        elif not rehearsal.is_caught:
            receipt = await self._judge(record, rehearsal)
            if receipt is not None:
                await self._change(record.family, CatchRehearsal(rehearsal.id, receipt), "caught")

    async def _judge(self, record: FamilyRecord, rehearsal: Rehearsal) -> Receipt | None:
        """The receipt of the rollback that the guards ask for, once they do."""
        course = self._courses.get(rehearsal.id)
        if course is None:
            course = await asyncio.to_thread(_opened, record, rehearsal)
        await self._measure(record, rehearsal)
        course = _sorted(course, rehearsal)
        reports, before = reports_of(self._observations.latest(), rehearsal.id), course.rollout
        if reports and before.receipt is None:
            course = looked(course, Look(self._clock.now(), reports)).course
            if course.rollout.stage != before.stage or course.rollout.state is State.LIVE:
                # All is well so far; what is rehearsed is this stage.
                course = replace(course, rollout=before)
        self._courses[rehearsal.id] = course
        held = course.rollout.held
        if held is not None and before.held is None:
            log.warning("rehearsal_held", family=record.family, rehearsal=rehearsal.id, why=held.why)
        return course.rollout.receipt

    async def _measure(self, record: FamilyRecord, rehearsal: Rehearsal) -> None:
        """Pin what production's answers show, once there are enough of them."""
        entry = measures_of(self._observations.latest(), _underway(record, rehearsal), self._clock.now())
        if entry is not None:
            word = "measured" + "-edges" * bool(entry.edges) + "-classes" * bool(entry.classes)
            await self._change(record.family, MeasureRehearsal(rehearsal.id, entry.edges, entry.classes), word)

    async def _change(self, family: str, change: RehearsalChange, word: str) -> None:
        author = Author(AUTO.name, str(change), f"{change.id}.{word}", "rehearsal", AUTO.roles)
        try:
            await self._operations.drill(family, change, author)
        except (ChangeRefused, StaleRevision) as refused:
            # Somebody else was first; the next step sees what they made of it.
            log.info("rehearsal_overtaken", family=family, why=str(refused))
        else:
            log.info("rehearsal_moved", family=family, rehearsal=change.id, step=str(change))


def _opened(record: FamilyRecord, rehearsal: Rehearsal) -> Course:
    pinned, at = parse_pinned(rehearsal.policy.encode()), rehearsal.receipt.decided
    rollout = replace(_underway(record, rehearsal).rollout, policy_digest=pinned.digest)
    return opened(pinned, rollout, at=at).course


def _sorted(course: Course, rehearsal: Rehearsal) -> Course:
    """The course that takes reports by the classes that are pinned, if some are by now."""
    if not rehearsal.classes or course.book.classes:
        return course
    return measured(course, Measured(rehearsal.receipt.decided, rehearsal.edges, rehearsal.classes)).course


def _underway(record: FamilyRecord, rehearsal: Rehearsal) -> Underway:
    """The rehearsal as a rollout that nobody started."""
    at = rehearsal.receipt.decided
    rollout = Rollout(
        family=record.family,
        version=str(rehearsal.version),
        digest=record.digests[rehearsal.version],
        policy_digest="",
        author=rehearsal.receipt.actor,
        state=State.RAMPING,
        stage=rehearsal.stage,
        entered=at,
    )
    return Underway(rehearsal.id, rollout, rehearsal.policy, at, rehearsal.terms, rehearsal.edges, rehearsal.classes)
