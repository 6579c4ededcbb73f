"""Practised rollbacks: a drill that is under way, what the past ones came to, and when the next is due. Pure.

A drill rolls production back for real, verifies it, and restores it; nothing is quarantined, and its receipt has the moments of a rollback.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from registry_client.versions import Bump, ModelVersion
from serving.core.injections import Injection
from serving.core.policy import Drill, StaleDrill
from serving.core.quiet import Window
from serving.core.standing import Receipt

MOST_DRILLS = 20
"""That a family's record remembers."""


@dataclass(frozen=True, slots=True)
class Drilling:
    """A drill under way. `until`: whoever leads restores production then, if whoever drills has not."""

    id: str
    version: ModelVersion
    """In production before, and again afterwards."""
    to: ModelVersion
    """In production meanwhile."""
    receipt: Receipt
    until: datetime


@dataclass(frozen=True, slots=True)
class DrillResult:
    """What a drill came to. It passed when `failure` is empty."""

    id: str
    version: ModelVersion
    to: ModelVersion
    receipt: Receipt
    restored: datetime | None = None
    failure: str = ""
    injected: str = ""
    """What was made bad of a made-up version, where that was rehearsed and not the way back."""
    began: datetime | None = None
    """When the first bad answer of it was given."""

    @property
    def passed(self) -> bool:
        """Whether it showed that there is a way back, and the way there again."""
        return not self.failure

    @property
    def flip_seconds(self) -> float | None:
        """From the decision to the write."""
        return _between(self.receipt.decided, self.receipt.flipped)

    @property
    def caught_seconds(self) -> float | None:
        """From the first bad answer to the guards' seeing it."""
        return None if self.began is None or self.failure else _between(self.began, self.receipt.detected)

    @property
    def verified_seconds(self) -> float | None:
        """From the decision to the proof."""
        return _between(self.receipt.decided, self.receipt.verified)


def _between(begin: datetime, end: datetime | None) -> float | None:
    return None if end is None else (end - begin).total_seconds()


@dataclass(frozen=True, slots=True)
class Trend:
    """What drills of one kind come to: how many passed, and the seconds that they are told by."""

    drills: int
    passed: int
    median: float | None
    worst: float | None
    newest: float | None


def practised(results: Sequence[DrillResult]) -> tuple[DrillResult, ...]:
    """Those in which the way back was gone, and not only seen that the guards would have it gone."""
    return tuple(one for one in results if not one.injected)


def trend_of(results: Sequence[DrillResult]) -> Trend:
    """The trend of rollbacks that were practised, the newest first."""
    return _trend(practised(results), lambda one: one.verified_seconds)


def caught_trend_of(results: Sequence[DrillResult]) -> Trend:
    """The trend of made-up bad versions: how long from the first bad answer until the guards saw it."""
    return _trend([one for one in results if one.injected], lambda one: one.caught_seconds)


def _trend(results: Sequence[DrillResult], seconds_of: Callable[[DrillResult], float | None]) -> Trend:
    seconds = [took for one in results if one.passed and (took := seconds_of(one)) is not None]
    return Trend(
        drills=len(results),
        passed=sum(one.passed for one in results),
        median=median(seconds) if seconds else None,
        worst=max(seconds, default=None),
        newest=seconds[0] if seconds else None,
    )


@dataclass(frozen=True, slots=True)
class Practice:
    """What the schedule of a family's drills goes by."""

    production: ModelVersion
    since: datetime
    """When it became production."""
    before: ModelVersion
    """Where a rollback would lead."""
    results: tuple[DrillResult, ...] = ()
    """The newest first."""

    @property
    def newest_passed(self) -> datetime | None:
        """When a drill last passed."""
        return next((one.receipt.detected for one in self.results if one.passed), None)

    @property
    def is_drilled(self) -> bool:
        """Whether a drill passed since production is what it is."""
        newest = self.newest_passed
        return newest is not None and newest >= self.since


@dataclass(frozen=True, slots=True)
class Due:
    """From when on, and until when, a drill is to be held, and why."""

    since: datetime
    by: datetime
    why: str


def due(policy: Drill, practice: Practice) -> Due:
    """When the next drill is due: soon after a bump that is large enough, otherwise in time before the last one is too old."""
    newest = practice.newest_passed
    bump = practice.production.bump_from(practice.before) if practice.before < practice.production else Bump.NONE
    if not practice.is_drilled and bump >= policy.after:
        return Due(practice.since, practice.since + policy.within, f"{practice.production} is a {bump.name} step from {practice.before}")
    if newest is None:
        return Due(practice.since, practice.since + policy.every, "no drill has ever passed")
    return Due(newest + policy.every, newest + policy.max_age, f"the last one was on {newest:%Y-%m-%d}")


def rehearsals_due(policy: Drill, results: Sequence[DrillResult], at: datetime) -> tuple[Injection, ...]:
    """The made-up bad versions that the guards are to catch now: those that they never have, or not for so long as the policy says."""
    return tuple(kind for kind in policy.inject if not _is_caught(kind, results, at - policy.every))


def _is_caught(kind: Injection, results: Sequence[DrillResult], since: datetime) -> bool:
    return any(one.injected == kind and one.passed and one.receipt.detected > since for one in results)


def rehearsal_complaints(policy: Drill, results: Sequence[DrillResult]) -> tuple[str, ...]:
    """Which of them the guards did not catch when they last had to: each a sentence."""
    newest = ((kind, next((one for one in results if one.injected == kind), None)) for kind in policy.inject)
    return tuple(
        f"the last rehearsal of {kind.value} answers failed on {one.receipt.detected:%Y-%m-%d}: {one.failure}"
        for kind, one in newest
        if one is not None and not one.passed
    )


def is_time(wanted: Due, windows: Sequence[Window], at: datetime) -> bool:
    """Whether to drill now: when it is due, and there is the least traffic. Without a window nobody knows yet when that is."""
    return at >= wanted.since and any(window.contains(at) for window in windows)


def complaints(policy: Drill, practice: Practice, at: datetime) -> tuple[str, ...]:
    """What is wrong with how rollback is practised: each a sentence. None: all is well."""
    return tuple(_complaints(policy, practice, at))


def _complaints(policy: Drill, practice: Practice, at: datetime) -> Iterator[str]:
    results, newest = practice.results, practice.newest_passed
    if results and not results[0].passed:
        yield f"the last drill failed on {results[0].receipt.detected:%Y-%m-%d}: {results[0].failure}"
    wanted = due(policy, practice)
    if newest is not None and at - newest > policy.max_age:
        yield f"the last drill that passed was on {newest:%Y-%m-%d}, more than {_days(policy.max_age)} ago"
    elif at > wanted.by:
        yield f"a drill was due by {wanted.by:%Y-%m-%d %H:%M} UTC: {wanted.why}"


def obstacles(policy: Drill, practice: Practice, at: datetime) -> tuple[str, ...]:
    """The complaints, where the policy has them stand in the way of the next rollout."""
    if policy.stale is StaleDrill.WARN:
        return ()
    return tuple(f"{complaint}; hold one with `pointsman drill`" for complaint in complaints(policy, practice, at))


def _days(span: timedelta) -> str:
    days = span / timedelta(days=1)
    return f"{days:g} days"
