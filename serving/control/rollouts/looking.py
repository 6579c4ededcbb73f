"""What there is to know of rollouts: how they stand, what they wait for, what the guards see, and what is left of those that are over."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from registry_client.versions import ModelVersion
from serving.control.policies.home import PolicyHome, Wanted
from serving.control.policies.parsing import parse_pinned
from serving.control.policies.showing import PolicyView, policy_view
from serving.control.publications import published
from serving.control.rollouts.archiving import seen_last
from serving.control.rollouts.blindness import blindness
from serving.control.rollouts.desk import NoRollout
from serving.core.assessing import Assessment
from serving.core.decisions import Opened, UnreadableLine, entry_of, stands_in
from serving.core.errors import PointsmanError, UnknownFamilyRecord
from serving.core.judging import missing
from serving.core.lifecycle import FamilyRecord
from serving.core.planning import Plan, Traffic, conduct_of, plan
from serving.core.policy import Pinned, Policy, Stage
from serving.core.rollout import weight
from serving.core.standing import Receipt, Rollout, State
from serving.core.traffic import WHOLE
from serving.core.underway import Underway
from serving.core.waiting import Sight, Wait, wait_of
from serving.ports import Clock, DecisionLog, Progress, Registry, RolloutBoard, StateStore

_ID = re.compile(r"(?P<family>[a-z0-9-]+)-(?P<version>\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)-(?P<revision>\d+)")


class UnknownRollout(PointsmanError):
    """There is no decision log of that rollout."""

    hint = "pointsman rollouts FAMILY lists them"

    def __init__(self, rollout: str) -> None:
        super().__init__(f"there is no rollout {rollout[:80]!r}")


class NoReceipt(PointsmanError):
    """A rollout that was never rolled back."""

    hint = "only a rollback leaves a receipt; pointsman status FAMILY shows how the rollout stands"

    def __init__(self, rollout: str) -> None:
        super().__init__(f"rollout {rollout} was not rolled back: there is no receipt")


@dataclass(frozen=True, slots=True)
class RolloutView:
    """A family's rollout now. `lacks`: what its stage still needs; `sentence`: all of it in one."""

    underway: Underway
    revision: int
    stages: tuple[Stage, ...]
    weight: int
    """Of the callers, in basis points, as the rollout has it."""
    progress: Progress | None
    lacks: tuple[str, ...]
    sentence: str
    blind: str = ""
    """Why nothing is known of it now; empty where it is."""
    ends: datetime | None = None
    """The deadline of its stage, while that runs."""
    waits: Wait | None = None
    """What it waits for, since when, and what can be done; None while it goes on by itself at the next look."""

    @property
    def stage(self) -> Stage:
        """The stage that it is in, or was in last."""
        return self.stages[self.underway.rollout.stage]


@dataclass(frozen=True, slots=True)
class Regression:
    """What somebody fears of a candidate: chances of one request, and how many times as slow it is."""

    errors: float = 0.05
    slower: float = 2.0
    odd: float = 0.05
    disagreeing: float = 0.1


@dataclass(frozen=True, slots=True)
class PastRollout:
    """A rollout by its log: what it was of, and how it stood at the end of it."""

    id: str
    opened: datetime
    rollout: Rollout


@dataclass(frozen=True, slots=True)
class Logged:
    """A decision log, and the policy's document that it goes by."""

    id: str
    policy: str
    lines: tuple[str, ...]


class RolloutViews:
    """Answers from the store, the board and the logs. Raises `StoreUnavailable` where they cannot."""

    def __init__(
        self, store: StateStore, board: RolloutBoard, log: DecisionLog, policies: PolicyHome, registry: Registry, clock: Clock
    ) -> None:
        self._store = store
        self._board = board
        self._log = log
        self._policies = policies
        self._registry = registry
        self._clock = clock
        self._ended: Mapping[str, Progress | None] = {}

    async def status(self, family: str) -> RolloutView:
        """How the family's rollout stands. Raises `NoRollout`."""
        record = await self._record(family)
        underway = record.rollout
        if underway is None:
            raise NoRollout(family)
        progress = (await self._board.progress()).get(family)
        if progress is None or progress.rollout != underway.id:
            # The controller has laid it aside, or has yet to look: what was said last is in the log.
            progress = await self._logged(underway)
        pinned, at = parse_pinned(underway.policy.encode()), self._clock.now()
        is_waiting = underway.is_afoot and underway.rollout.state is not State.ROLLING_BACK
        is_followed = underway.is_watched or underway.rollout.state is State.ROLLING_BACK
        blind = blindness(underway, progress, at, pinned.policy) if is_followed else ""
        assessment = Assessment() if progress is None or blind else progress.assessment
        lacks = tuple(missing(pinned.policy, underway.rollout, assessment)) if is_waiting else ()
        share = weight(pinned.policy, underway.rollout)
        sentence = explained(pinned, underway.rollout, share, lacks) + (f"; {blind}" if blind else "")
        ends = _ends(pinned.policy, underway.rollout) if is_waiting else None
        stages = tuple(replace(stage, weight=pinned.policy.weight(stage)) for stage in pinned.policy.stages)
        waits = wait_of(pinned.policy, underway, _sight(record, assessment, progress, blind))
        return RolloutView(underway, record.revision, stages, share, progress, lacks, sentence, blind, ends, waits)

    async def log(self, family: str, rollout: str = "") -> Logged:
        """A decision log, by default of the family's newest rollout. Raises `NoRollout` or `UnknownRollout`."""
        name = rollout or await self._newest(family)
        lines = await self._log.read(name)
        if not lines or not _is_of(name, family):
            raise UnknownRollout(name)
        return Logged(name, _opened(lines).policy, tuple(line.decode() for line in lines))

    async def receipt(self, family: str, rollout: str = "") -> tuple[str, Receipt]:
        """The receipt of a rollback, by default of the family's newest rollout. Raises `NoRollout`, `UnknownRollout` or `NoReceipt`."""
        underway = (await self._record(family)).rollout
        if underway is None and not rollout:
            raise NoRollout(family)
        if underway is not None and rollout in {"", underway.id}:
            name, found = underway.id, underway.rollout.receipt
        else:
            past = next((one for one in await self.past(family) if one.id == rollout), None)
            if past is None:
                raise UnknownRollout(rollout)
            name, found = past.id, past.rollout.receipt
        if found is None:
            raise NoReceipt(name)
        return name, found

    async def past(self, family: str) -> Sequence[PastRollout]:
        """All rollouts of the family that there are logs of, the newest first."""
        await self._record(family)
        names = [name for name in await self._log.rollouts() if _is_of(name, family)]
        found = [_past(name, await self._log.ends(name)) for name in names]
        return sorted((one for one in found if one is not None), key=lambda one: one.opened, reverse=True)

    async def plan(self, family: str, version: ModelVersion, wanted: Wanted, feared: Regression, pace: float | None) -> Plan:
        """What to expect of a rollout, from the traffic there is. `pace`: requests a second, where it is not to be looked at.

        Raises what `published` and `PolicyHome.choose` do, and `NoTraffic`.
        """
        record = await self._record(family)
        if version not in record.digests:
            await published(self._registry, family, version)
        pinned = await self._policies.choose(family, version, record.production, wanted)
        seen = (await self._board.progress()).get(family)
        per_second = pace if pace is not None else 0.0 if seen is None else seen.per_second
        if per_second <= 0:
            raise NoTraffic(family)
        production = conduct_of(pinned.policy, errors=0.0 if seen is None else seen.failing)
        regression = conduct_of(pinned.policy, errors=feared.errors, slower=feared.slower, odd=feared.odd, disagreeing=feared.disagreeing)
        traffic = Traffic(per_second, production)
        return await asyncio.to_thread(plan, pinned.policy, traffic, regression, rollouts_a_year=ROLLOUTS_A_YEAR)

    async def _logged(self, underway: Underway) -> Progress | None:
        if underway.id not in self._ended:
            progress = await self._log.finished(underway.id)
            if progress is None:
                progress = await asyncio.to_thread(seen_last, underway.id, await self._log.read(underway.id))
            if not underway.is_over or underway.asked:
                return progress
            # Nothing is added to the log of what is over. One is kept: what is asked of is the family's newest.
            self._ended = {underway.id: progress}
        return self._ended[underway.id]

    async def policy(self, family: str, version: ModelVersion | None = None) -> PolicyView:
        """Which policy the family's next rollout would be under, and which the one that is afoot is. Raises `InvalidPolicy`."""
        return await policy_view(self._policies, await self._record(family), version)

    async def _newest(self, family: str) -> str:
        record = await self._record(family)
        if record.rollout is None:
            raise NoRollout(family)
        return record.rollout.id

    async def _record(self, family: str) -> FamilyRecord:
        record = (await self._store.snapshot()).families.get(family)
        if record is None:
            raise UnknownFamilyRecord(family)
        return record


ROLLOUTS_A_YEAR = 52.0
"""What false rollbacks a year are told for: one rollout a week."""


class NoTraffic(PointsmanError):
    """Nothing is known of the family's traffic, so nothing can be said of how long anything takes."""

    hint = "wait until it has been answering for some seconds, or say --per-second"

    def __init__(self, family: str) -> None:
        super().__init__(f"no traffic of {family!r} was seen lately")


def _sight(record: FamilyRecord, assessment: Assessment, progress: Progress | None, blind: str) -> Sight:
    if progress is None:
        return Sight(blind=blind, keys=record.key_headers)
    return Sight(assessment, progress.totals, blind, progress.trouble, progress.troubled, record.key_headers)


def _ends(policy: Policy, rollout: Rollout) -> datetime | None:
    return None if rollout.entered is None else rollout.entered + policy.deadline.per_stage + policy.stages[rollout.stage].soak


def explained(pinned: Pinned, rollout: Rollout, share: int, lacks: Sequence[str]) -> str:
    """One plain sentence on how a rollout stands and what it waits for."""
    needs = f"; it waits for: {'; '.join(lacks)}" if lacks else ""
    return f"{rollout.family}@{rollout.version} {_standing(pinned, rollout, share)}{needs}"


def _standing(pinned: Pinned, rollout: Rollout, share: int) -> str:
    stage, callers = pinned.policy.stages[rollout.stage].name, f"with {share / 100:g} % of the callers"
    match rollout.state:
        case State.DRAFT | State.SUPERSEDED:
            ended = "ended without blame: another took its place, or somebody took it out"
            return "has not begun" if rollout.state is State.DRAFT else ended
        case State.SHADOWING:
            return f"is in stage {stage} and answers nobody"
        case State.RAMPING | State.SOAKING:
            return f"is in stage {stage} {callers}"
        case State.HELD:
            return f"is held in stage {stage} {callers}" + ("" if rollout.held is None else f": {rollout.held.why}")
        case State.LIVE:
            warm, rest = rollout.warm_until, WHOLE - share
            held = f" with {rest / 100:g} % of the callers" if rest else ""
            return "is live" + ("" if warm is None else f"; the version before stays warm{held} until {warm:%Y-%m-%d %H:%M} UTC")
        case State.ROLLING_BACK | State.ROLLED_BACK:
            return _gone_back(rollout)


def _gone_back(rollout: Rollout) -> str:
    receipt = rollout.receipt
    why = "" if receipt is None else f": {receipt.reason}"
    if rollout.state is State.ROLLED_BACK:
        return f"was rolled back, and that is verified{why}"
    return f"is out of traffic, which is not verified yet{why}"


def _is_of(rollout: str, family: str) -> bool:
    matched = _ID.fullmatch(rollout)
    return matched is not None and matched["family"] == family


def _opened(lines: Sequence[bytes]) -> Opened:
    entry = entry_of(lines[0])
    if not isinstance(entry, Opened):
        msg = "the log does not begin with its opening line"
        raise UnreadableLine(msg)
    return entry


def _past(name: str, lines: Sequence[bytes]) -> PastRollout | None:
    try:
        opened = _opened(lines)
        stands = stands_in(lines[-1]) or opened.rollout
    except (UnreadableLine, IndexError):
        return None
    return PastRollout(name, opened.at, stands)
