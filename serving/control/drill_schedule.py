"""Holds drills and rehearsals by itself, where a policy wants them and when there is the least traffic; ends drills that were left behind.

A leader's work, and nothing waits for it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import structlog

from serving.control.drill_book import Profiles, windows_of
from serving.control.operations import Author
from serving.control.policies.holding import HeldPolicies
from serving.control.policies.parsing import InvalidPolicy
from serving.control.practising import Drills
from serving.control.records import Records
from serving.control.rehearsing import Rehearsing
from serving.core.drilling import practice_of
from serving.core.drills import Practice, due, is_time, rehearsals_due
from serving.core.errors import ChangeRefused, StaleRevision
from serving.core.happenings import AUTO
from serving.core.lifecycle import FamilyRecord
from serving.core.policy import Drill, Policy
from serving.core.quiet import Profile, Window
from serving.core.routing import Arm
from serving.ports import Clock, GatewayReport, Observations

log = structlog.get_logger()

KEEP_SECONDS = 600.0
"""Between two times that what was learnt of the traffic is written down; an hour that is lost is seen again next week."""

READ_SECONDS = 60.0
"""A policy file that was changed is seen so much later, at most."""

REST = timedelta(hours=20)
"""After a drill that failed, before the next is held by itself: in tomorrow's window."""


class TrafficBook(Profiles, Protocol):
    """Where it is written down when families have how much traffic."""

    async def load(self) -> Mapping[str, Profile]:
        """All profiles by family."""
        ...

    async def keep(self, profiles: Mapping[str, Profile]) -> None:
        """Put them in place of what was there. Raises `OSError`."""
        ...


@dataclass(frozen=True, slots=True)
class ScheduleParts:
    """What the schedule works with."""

    records: Records
    observations: Observations
    book: TrafficBook
    policies: HeldPolicies
    clock: Clock


@dataclass(frozen=True, slots=True)
class _Read:
    """A policy as it was read, of a family at a revision; it holds until then (monotonic)."""

    revision: int
    until: float
    policy: Policy | None


class Traffic:
    """What families were asked since the last look, from the gateways' counters; a gateway's first report only says where it begins."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, float], Mapping[str, int]] = {}

    def since(self, reports: Iterable[GatewayReport]) -> Mapping[str, int]:
        """Requests by family."""
        news: dict[str, int] = {}
        for report in reports:
            life, now = (report.gateway, report.started), _asked(report)
            for family, count in now.items() if life in self._before else ():
                news[family] = news.get(family, 0) + max(0, count - self._before[life].get(family, 0))
            self._before[life] = now
        return news


def _asked(report: GatewayReport) -> Mapping[str, int]:
    asked: dict[str, int] = {}
    for counts in report.counts:
        if counts.arm is not Arm.SHADOW:
            asked[counts.target.family] = asked.get(counts.target.family, 0) + counts.requests
    return asked


class DrillSchedule:
    """One look after the other."""

    def __init__(self, parts: ScheduleParts, drills: Drills, rehearsing: Rehearsing) -> None:
        self._parts = parts
        self._drills = drills
        self._rehearsing = rehearsing
        self._traffic = Traffic()
        self._profiles: dict[str, Profile] | None = None
        self._kept = parts.clock.monotonic()
        self._policies: dict[str, _Read] = {}
        self._rests: dict[str, float] = {}

    async def step(self) -> None:
        """Learn from the traffic, end what was left behind, and hold what is due. Raises `StoreUnavailable`."""
        await self._learn()
        snapshot = await self._parts.records.refresh()
        for record in snapshot.families.values():
            await self._look(record)

    async def _learn(self) -> None:
        parts = self._parts
        profiles = dict(await parts.book.load()) if self._profiles is None else self._profiles
        now = parts.clock.now()
        news = self._traffic.since(parts.observations.latest().values())
        for family in profiles.keys() | news.keys():
            profiles[family] = profiles.get(family, Profile()).after(news.get(family, 0), now)
        self._profiles = profiles
        if parts.clock.monotonic() - self._kept >= KEEP_SECONDS:
            self._kept = parts.clock.monotonic()
            try:
                await parts.book.keep(profiles)
            except OSError as error:
                log.warning("traffic_not_kept", error=str(error))

    async def _look(self, record: FamilyRecord) -> None:
        now = self._parts.clock.now()
        if record.drill is not None:
            if now > record.drill.until:
                author = Author(AUTO.name, "a drill was left behind", f"{record.drill.id}.left", "drill")
                result = await self._drills.restore(record.family, record.drill, author)
                log.warning("drill_ended", family=record.family, failure=result.failure)
            return
        if record.canaries or record.rehearsal is not None or (record.rollout is not None and record.rollout.is_afoot):
            return
        practice = practice_of(record)
        why = "" if practice is None else await self._due(record, practice)
        if why and not self._is_resting(record.family):
            await self._hold(record, why)
        else:
            await self._rehearse(record)

    async def _rehearse(self, record: FamilyRecord) -> None:
        """Hold one rehearsal, if one is due: the next look holds the next."""
        policy, now = await self._policy(record), self._parts.clock.now()
        if policy is None or policy.drill is None or record.production is None:
            return
        if not any(window.contains(now) for window in self._windows(record, policy.drill)):
            return
        due_now = (kind for kind in rehearsals_due(policy.drill, record.drills, now) if not self._is_resting(f"{record.family} {kind}"))
        kind = next(due_now, None)
        if kind is None:
            return
        self._rest(f"{record.family} {kind}")
        operation = f"auto-{kind.value}-{record.family}-r{record.revision}"
        author = Author(AUTO.name, f"the policy has {kind.value} answers rehearsed", operation, "drill")
        try:
            result = await self._rehearsing.hold(record.family, kind, author)
        except (ChangeRefused, StaleRevision) as error:
            log.warning("rehearsal_refused", family=record.family, injection=kind.value, why=str(error))
        else:
            log.info("rehearsal_held", family=record.family, injection=kind.value, passed=result.passed, failure=result.failure)

    def _is_resting(self, what: str) -> bool:
        return self._parts.clock.monotonic() < self._rests.get(what, 0.0)

    def _rest(self, what: str) -> None:
        """Whatever comes of it, it is not tried again and again within the hour."""
        self._rests[what] = self._parts.clock.monotonic() + REST.total_seconds()

    def _windows(self, record: FamilyRecord, drill: Drill) -> tuple[Window, ...]:
        return windows_of(drill, (self._profiles or {}).get(record.family, Profile()))

    async def _due(self, record: FamilyRecord, practice: Practice) -> str:
        """Why a drill is to be held now; empty when none is."""
        policy, now = await self._policy(record), self._parts.clock.now()
        if policy is None or policy.drill is None:
            return ""
        newest = practice.results[0] if practice.results else None
        if newest is not None and not newest.passed and now - newest.receipt.detected < REST:
            return ""
        wanted = due(policy.drill, practice)
        if now < wanted.since:
            return ""
        return wanted.why if is_time(wanted, self._windows(record, policy.drill), now) else ""

    async def _hold(self, record: FamilyRecord, why: str) -> None:
        family = record.family
        self._rest(family)
        try:
            result = await self._drills.hold(family, Author(AUTO.name, why, f"auto-drill-{family}-r{record.revision}", "drill"))
        except (ChangeRefused, StaleRevision) as error:
            log.warning("drill_refused", family=family, why=str(error))
        else:
            log.info("drill_held", family=family, passed=result.passed, failure=result.failure, seconds=result.verified_seconds)

    async def _policy(self, record: FamilyRecord) -> Policy | None:
        """The family's policy, read anew every minute and after each change; None where its file cannot be used."""
        known, now = self._policies.get(record.family), self._parts.clock.monotonic()
        if known is None or known.revision != record.revision or now >= known.until:
            try:
                policy: Policy | None = (await self._parts.policies.of(record)).policy
            except InvalidPolicy as error:
                log.warning("policy_not_usable", family=record.family, error=str(error))
                policy = None
            known = self._policies[record.family] = _Read(record.revision, now + READ_SECONDS, policy)
        return known.policy
