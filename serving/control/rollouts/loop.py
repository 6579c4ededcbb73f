"""The controller's work on rollouts: one follower for each that is afoot, warm or going back; none waits for another's trouble."""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from serving.control.records import Records
from serving.control.rollouts.archiving import Archive
from serving.control.rollouts.following import Follower, Heard, Tools
from serving.control.rollouts.hearing import Pace, Paces, measures_of, reports_of, unreadable_of
from serving.core.effects import Page
from serving.core.errors import NotLeader, PointsmanError, StoreUnavailable
from serving.core.lifecycle import FamilyRecord
from serving.core.policy import Tell as Wishes
from serving.core.standing import State
from serving.core.underway import Underway
from serving.ports import Acks, Observations, Progress, RolloutBoard

POST_S = 1.0
"""Between two posts of what was seen, while a rollout is followed."""

IDLE_POST_S = 10.0
"""The same, while there is only traffic to tell of."""

LISTEN_S = 1.0
"""Between two looks at which gateways live."""

LASTING_S = 60.0
"""After so long a rollout that cannot be followed is somebody's trouble: its candidate has lost its callers, and nothing else says so."""

log = structlog.get_logger()


@dataclass(slots=True)
class Trouble:
    """What keeps a rollout from being followed. `begun`: monotonic seconds."""

    why: str
    since: datetime
    begun: float
    is_told: bool = False


class Rollouts:
    """One step: hear the gateways, take a step of every rollout, and post what was seen."""

    def __init__(self, records: Records, observations: Observations, acks: Acks, board: RolloutBoard, tools: Tools) -> None:
        self._records = records
        self._observations = observations
        self._acks = acks
        self._board = board
        self._tools = tools
        self._archive = Archive(tools.log, tools.term)
        self._followers: dict[str, Follower] = {}
        self._troubles: dict[str, Trouble] = {}
        self._paces = Paces()
        self._expected: tuple[str, ...] = ()
        self._listened = float("-inf")
        self._posted = float("-inf")

    @property
    def unfit(self) -> frozenset[str]:
        """The families whose candidate shall get no more traffic: it does harm, or nobody can see whether it does."""
        fit = {follower.id for follower in self._followers.values() if not follower.is_harmful}
        rollouts = {record.family: record.rollout for record in self._records.snapshot.families.values()}
        return frozenset(
            family for family, underway in rollouts.items() if underway is not None and underway.is_afoot and underway.id not in fit
        )

    async def step(self) -> None:
        """Take one. Raises `StoreUnavailable` or `NotLeader`."""
        snapshot = await self._records.refresh()
        records = [record for record in snapshot.families.values() if record.rollout is not None and not _is_settled(record.rollout)]
        await self._listen()
        ids = {record.rollout.id for record in records if record.rollout is not None}
        self._followers = {name: follower for name, follower in self._followers.items() if name in ids}
        for record in records:
            await self._step(record)
        await self._post(records)
        if not snapshot.invalid:
            # Of a family that cannot be read nobody knows what goes on.
            await self._archive.step(snapshot.families.values())

    async def _step(self, record: FamilyRecord) -> None:
        underway = record.rollout
        if underway is None:
            return
        try:
            follower = self._followers.get(underway.id)
            if follower is None:
                # A policy is read and a log replayed: neither may hold up the loop that others wait for.
                follower = await asyncio.to_thread(Follower, underway, self._tools)
                self._followers[underway.id] = follower
            await follower.step(record, self._heard(underway))
        except (StoreUnavailable, NotLeader):
            raise
        except PointsmanError as error:
            known = self._troubles.get(underway.id)
            if known is None or known.why != str(error):
                log.exception("rollout_not_followed", rollout=underway.id, why=str(error))
            await self._suffer(underway, str(error))
        else:
            self._troubles.pop(underway.id, None)

    async def _suffer(self, underway: Underway, why: str) -> None:
        """Remember what keeps it from being followed, and page somebody once that has lasted."""
        clock = self._tools.clock
        trouble = self._troubles.setdefault(underway.id, Trouble(why, clock.now(), clock.monotonic()))
        trouble.why = why
        if not trouble.is_told and clock.monotonic() - trouble.begun >= LASTING_S:
            trouble.is_told = True
            rollout = underway.rollout
            page = Page(f"{rollout.family}@{rollout.version} cannot be followed, and gets no callers meanwhile: {why}")
            key = f"{underway.id}-{underway.steps}-unfollowed"
            await self._tools.herald.tell(key, clock.now(), rollout, page, Wishes())

    def _heard(self, underway: Underway) -> Heard:
        latest = self._observations.latest()
        measure = measures_of(latest, underway, self._tools.clock.now())
        return Heard(reports_of(latest, underway.id), self._expected, measure, unreadable_of(latest, underway.id))

    async def _listen(self) -> None:
        now = self._tools.clock.monotonic()
        if now - self._listened >= LISTEN_S:
            self._expected = tuple(sorted(ack.gateway for ack in await self._acks.acks()))
            self._listened = now

    async def _post(self, records: list[FamilyRecord]) -> None:
        now = self._tools.clock.monotonic()
        if now - self._posted < (POST_S if records else IDLE_POST_S):
            return
        self._posted = now
        paces = self._paces.step(self._observations.latest(), now)
        progress = {record.family: self._progress(record.rollout, paces.get(record.family)) for record in records if record.rollout}
        at = self._tools.clock.now()
        idle = {family: Progress("", at, per_second=pace.per_second, failing=pace.failing) for family, pace in paces.items()}
        await self._board.post_progress({**idle, **progress})

    def _progress(self, underway: Underway, pace: Pace | None) -> Progress:
        follower, pace = self._followers.get(underway.id), pace or Pace()
        seen = None if follower is None else follower.progress
        seen, trouble = seen or Progress(underway.id, self._tools.clock.now()), self._troubles.get(underway.id)
        if trouble is not None:
            seen = replace(seen, trouble=trouble.why, troubled=trouble.since)
        return replace(seen, per_second=pace.per_second, failing=pace.failing)


def _is_settled(underway: Underway) -> bool:
    is_done = underway.is_over or (underway.rollout.state is State.LIVE and not underway.is_watched)
    return is_done and not underway.asked
