"""Watches every canary and rolls it back when it does harm, by the same path that an operator takes.

Nothing here waits for a version to load or for a metrics store: the gateways' own reports are the evidence.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog

from serving.control.operations import Author
from serving.control.records import Records
from serving.core.errors import NotLeader, PointsmanError, StaleRevision, StoreUnavailable
from serving.core.lifecycle import Canary, FamilyRecord
from serving.core.observations import Count, Increment, Ledger, Sighting
from serving.core.policy import GuardPolicy
from serving.core.routing import Target
from serving.core.traffic import WHOLE
from serving.core.verdicts import Evidence, Finding, Signal, Verdict, judge
from serving.failpoints import Failpoint, reach
from serving.ports import ArmCounts, Clock, ControlRecorder, Failure, GatewayReport, Observations, Snapshot

ACTOR = "auto"
"""Whom the audit trail names for what a guard did."""

PATIENCE = 10.0
"""Seconds before a rollback that was refused is asked for again."""

log = structlog.get_logger()


class RollsBack(Protocol):
    """The one operation that guards need. Raises `StaleRevision`, `StoreUnavailable` or another `PointsmanError`."""

    async def rollback(self, family: str, author: Author, *, expected: int | None = None) -> object:
        """Take the family's candidates out of traffic, or undo its latest promotion."""
        ...


@dataclass(frozen=True, slots=True)
class Levers:
    """What guards act with: the rollback, and the dashboards' counter of rollbacks."""

    operations: RollsBack
    recorder: ControlRecorder


@dataclass(frozen=True, slots=True)
class _Case:
    """A canary in force, the record that it stands in, and its share of its own and production's traffic."""

    record: FamilyRecord
    target: Target
    share: float


class Guards:
    """One step: hear the reports, weigh the evidence of every canary, roll back the harmful ones."""

    def __init__(self, records: Records, observations: Observations, levers: Levers, clock: Clock, policy: GuardPolicy) -> None:
        self._records = records
        self._observations = observations
        self._levers = levers
        self._clock = clock
        self._policy = policy
        self._ledger = Ledger()
        self._evidence: dict[Target, Evidence] = {}
        self._refused: dict[str, float] = {}
        self.verdicts: dict[Target, Verdict] = {}
        """Of every canary in force, as of the last step."""

    async def step(self) -> None:
        """Look, judge and act once. Raises `StoreUnavailable`, having kept the evidence."""
        detected = self._clock.now()
        self._ledger, increments = self._ledger.after(_sightings(self._observations))
        try:
            await self._records.refresh()
        finally:
            cases = tuple(_cases(self._records.snapshot))
            self._weigh(cases, increments)
        for case in cases:
            verdict = self.verdicts[case.target]
            if verdict.signal is not None:
                reach(Failpoint.AUTO_JUDGED)
                await self._roll_back(case, verdict, verdict.signal, detected)

    @property
    def harmful(self) -> frozenset[str]:
        """The families whose canary shall get no more traffic, whether or not the rollback could be written."""
        return frozenset(target.family for target, verdict in self.verdicts.items() if verdict.finding is Finding.HARM)

    def _weigh(self, cases: Sequence[_Case], increments: Sequence[Increment]) -> None:
        # A canary that is gone from the records takes its evidence along: started again, it starts afresh.
        self._evidence = {
            case.target: self._evidence.get(case.target, Evidence.none(case.target, self._policy)).after(increments, planned=case.share)
            for case in cases
        }
        self.verdicts = {target: judge(self._policy, evidence) for target, evidence in self._evidence.items()}

    async def _roll_back(self, case: _Case, verdict: Verdict, signal: Signal, detected: datetime) -> None:
        family, revision = case.record.family, case.record.revision
        # Made of the revision that was judged, so that a repetition after a lost answer is known as the same operation.
        operation_id = f"{ACTOR}-{family}-r{revision}-{signal}"
        if self._clock.monotonic() < self._refused.get(operation_id, 0.0):
            return
        decided = self._clock.now()
        event = log.bind(family=family, version=str(case.target.version), signal=str(signal), reason=verdict.sentence, **verdict.numbers)
        reach(Failpoint.AUTO_DECIDED)
        try:
            await self._levers.operations.rollback(family, Author(ACTOR, verdict.sentence, operation_id, signal), expected=revision)
        except (StaleRevision, NotLeader) as error:
            event.info("rollback_overtaken", why=str(error))
        except StoreUnavailable:
            raise
        except PointsmanError as error:
            # No other family's canary, nor its lease, shall wait for this one.
            self._refused[operation_id] = self._clock.monotonic() + PATIENCE
            event.exception("rollback_refused", why=str(error))
        else:
            reach(Failpoint.AUTO_COMMITTED)
            self._levers.recorder.rolled_back(family, signal)
            del self._evidence[case.target]
            flipped = self._clock.now()
            event.warning("canary_rolled_back", **_times(detected, decided, flipped))
            reach(Failpoint.AUTO_RECORDED)


def _times(detected: datetime, decided: datetime, flipped: datetime) -> dict[str, object]:
    return {
        "detected": detected.isoformat(),
        "decided": decided.isoformat(),
        "flipped": flipped.isoformat(),
        "seconds": (flipped - detected).total_seconds(),
    }


def _cases(snapshot: Snapshot) -> Iterator[_Case]:
    for record in snapshot.families.values():
        if record.rollout is not None and record.rollout.is_afoot:
            continue  # it has guards of its own
        production = WHOLE - sum(canary.slice.weight for canary in record.canaries)
        for canary in record.canaries:
            target = Target(record.family, canary.version, record.digests[canary.version])
            yield _Case(record, target, _share(canary, production))


def _share(canary: Canary, production: int) -> float:
    both = canary.slice.weight + production
    return canary.slice.weight / both if both else 0.0


def _sightings(observations: Observations) -> Iterator[Sighting]:
    for report in observations.latest().values():
        yield _sighting(report)


def _sighting(report: GatewayReport) -> Sighting:
    return Sighting(report.gateway, report.started, tuple(_count(counts) for counts in report.counts))


def _count(counts: ArmCounts) -> Count:
    own = sum(number for failure, number in counts.failures.items() if failure is not Failure.CLIENT)
    return Count(counts.target, counts.arm, counts.requests, own, counts.failures_in_a_row)
