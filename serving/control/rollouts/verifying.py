"""Looks how far a rollback is: no live gateway routes to the version, golden examples are right, and errors are as before."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from serving.control.rollouts.hearing import answered
from serving.control.verification import Verification
from serving.core.happenings import Checked, Flipped
from serving.core.policy import Pinned, Policy
from serving.core.routing import Target
from serving.core.rules import ErrorRule
from serving.core.standing import State
from serving.core.totals import ArmTotals
from serving.core.underway import Underway
from serving.ports import AuditEntry, Clock, Observations, StateStore

LOOK_BACK = 50
"""Changes of the family among which the one that took the candidate out is looked for; the controller's own few follow it."""


Arms = Mapping[tuple[str, float], ArmTotals]
"""What production had counted, by gateway and its start."""


@dataclass(frozen=True, slots=True)
class _Reading:
    at: datetime
    arms: Arms


class RollbackCheck:
    """Looks at rollbacks; it changes nothing."""

    def __init__(self, verification: Verification, store: StateStore, observations: Observations, clock: Clock) -> None:
        self._verification = verification
        self._store = store
        self._observations = observations
        self._clock = clock
        self._readings: dict[str, list[_Reading]] = {}

    async def flip_of(self, underway: Underway) -> Flipped | None:
        """The change by which the rollout began to roll back, in the audit. Raises `StoreUnavailable`."""
        found: Flipped | None = None
        for entry in await self._store.history(underway.rollout.family, limit=LOOK_BACK):
            after = _standing(entry)
            if after.get("id") != underway.id:
                continue
            if after.get("state") != State.ROLLING_BACK:
                break
            found = Flipped(entry.at, entry.epoch)
        return found

    async def check(self, pinned: Pinned, underway: Underway, at: datetime, since: timedelta) -> Checked:
        """How far it is now, `at`, so long since the flip. Raises what `Verification.verify` does."""
        receipt, wanted = underway.rollout.receipt, pinned.policy.rollback.verify
        if receipt is None or receipt.flipped is None or receipt.epoch is None:
            raise AssertionError
        is_quiet = since >= wanted.quiet
        # Golden examples are asked once the rest has settled: until then they show what the gateways say anyway.
        probes = wanted.probes if is_quiet else 0
        proof = await self._verification.verify(underway.rollout.family, epoch=receipt.epoch, timeout=0, probes=probes)
        live = [gateway for gateway in proof.gateways if not gateway.lapsed]
        last = max((gateway.last_stray for gateway in live if gateway.last_stray is not None), default=None)
        now = self._clock.now()
        return Checked(
            at=at,
            is_acked=bool(live) and all(gateway.is_proven for gateway in live),
            strays=sum(gateway.strays for gateway in live if _is_within(gateway.last_stray, now, wanted.quiet.total_seconds())),
            is_probed=is_quiet and not proof.unread and not any(probe.fault for probe in proof.probes),
            is_recovered=await self._is_recovered(pinned.policy, underway, now),
            last_stray=last,
        )

    async def _is_recovered(self, policy: Policy, underway: Underway, now: datetime) -> bool:
        """Whether production fails lately as rarely as the policy calls safe; where nobody asks, nobody errs."""
        wanted = policy.rollback.verify
        rule = policy.guard(wanted.recovered).rule if wanted.recovered else None
        if not isinstance(rule, ErrorRule):
            return True
        known = self._readings.get(underway.id, [])
        lately = [reading for reading in known if now - reading.at <= wanted.quiet]
        readings = self._readings[underway.id] = [*lately, _Reading(now, await self._production(underway))]
        return _is_safe(readings[0].arms, readings[-1].arms, rule)

    async def _production(self, underway: Underway) -> Arms:
        record = (await self._store.snapshot()).families.get(underway.rollout.family)
        if record is None or record.production is None:
            return {}
        target = Target(record.family, record.production, record.digests[record.production])
        return {(report.gateway, report.started): answered(report, target) for report in self._observations.latest().values()}


def _standing(entry: AuditEntry) -> Mapping[str, object]:
    stands = entry.after.get("rollout")
    return cast("Mapping[str, object]", stands) if isinstance(stands, Mapping) else {}


def _is_safe(before: Arms, now: Arms, rule: ErrorRule) -> bool:
    new = [(arm, before.get(source, ArmTotals())) for source, arm in now.items()]
    trials = sum(arm.trials - was.trials for arm, was in new)
    failures = sum(arm.failures - was.failures for arm, was in new)
    return failures <= rule.ok_below * trials


def _is_within(moment: datetime | None, now: datetime, seconds: float) -> bool:
    return moment is not None and (now - moment).total_seconds() < seconds
