"""What gateways report of a rollout: cumulative counters, and the book that makes ticks of them, whatever is lost, late or wrong.

Cumulative, so that a lost report costs nothing; numbered, so that a late or repeated one counts for nothing. A report that contradicts
itself or goes back is refused whole. Nothing that a source did before it was first heard of counts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from math import isfinite

from serving.core.statistics import Classes, Outcomes, Signs, Sums

Counts = tuple[int, ...]

MOST = 10**12
"""Of anything that one gateway may say it has counted: all gateways' sums stay exact in the decision log's JSON (2**53, RFC 8785)."""

MARGIN = 1.1
"""How many times as long the slower of two answers must have taken for the pair to have a winner; less is the machine's noise."""

_ROUNDING = 1e-6
"""What differences of long sums of rewards may be off."""


@dataclass(frozen=True, slots=True)
class ArmTotals:
    """One arm on one gateway. A trial is what the policy counts: a request, or the first answer to a unit in a window.

    Only what could have been either arm's is a trial: a request without a key that always goes to production is none.
    Failures are the version's own, a schema mismatch after post among them; what callers did wrong (4xx) is in `mistakes` and in no
    trial. `slow`: trials over each pinned edge, two edges for each latency guard: production's quantile, and `ratio` times it; a trial
    that timed out is over all of them. `classes`: trials by class or bin. `odd`: answers that are constant or invalid. `rewards` are
    scaled to 0..1. `again`: answers to units that were counted already in their window, no trials, but signs of life. `keyless`:
    answers to whoever has no routing key, where such callers are in no arm: they are all production's, and no trials.
    """

    trials: int = 0
    failures: int = 0
    mistakes: int = 0
    odd: int = 0
    slow: Counts = ()
    classes: Classes = ()
    rewards: Sums = Sums()  # noqa: RUF009 - frozen
    again: int = 0
    keyless: int = 0

    def __post_init__(self) -> None:
        """Refuse counters that contradict each other."""
        parts = (self.failures, self.odd, *self.slow)
        is_possible = all(0 <= part <= self.trials for part in parts) and min((self.mistakes, self.again, self.keyless, *self.classes)) >= 0
        is_scaled = -_ROUNDING <= self.rewards.squares <= self.rewards.total + _ROUNDING <= self.rewards.count + 2 * _ROUNDING
        if not is_possible or not is_scaled or sum(self.classes) > self.trials:
            msg = f"counters contradict each other: {self}"
            raise ValueError(msg)

    @property
    def is_heard(self) -> bool:
        """Whether it answered anybody whom it can be judged by, though it be somebody who was counted already."""
        return self.trials + self.again > 0

    @property
    def outcomes(self) -> Outcomes:
        """The trials and how many failed."""
        return Outcomes(self.failures, self.trials)

    def over(self, edge: int) -> Outcomes:
        """The trials and how many were slower than an edge."""
        return Outcomes(self.slow[edge] if edge < len(self.slow) else 0, self.trials)


@dataclass(frozen=True, slots=True)
class PairTotals:
    """Mirrored requests: every one offered was compared, shed, too large, timed out or failed. `slower`: of those with a clear winner."""

    offered: int = 0
    compared: int = 0
    disagreed: int = 0
    slower: int = 0
    faster: int = 0
    shed: int = 0
    oversize: int = 0
    timed_out: int = 0
    failed: int = 0

    def __post_init__(self) -> None:
        """Refuse counters that do not add up."""
        ended = self.compared + self.shed + self.oversize + self.timed_out + self.failed
        parts = (self.offered, self.disagreed, self.slower, self.faster, self.shed, self.oversize, self.timed_out, self.failed)
        if min(parts) < 0 or ended > self.offered or max(self.disagreed, self.slower + self.faster) > self.compared:
            msg = f"pairs do not add up: {self}"
            raise ValueError(msg)

    @property
    def signs(self) -> Signs:
        """Who took longer, in all that were compared."""
        return Signs(self.slower, self.faster, self.compared - self.slower - self.faster)


@dataclass(frozen=True, slots=True)
class Totals:
    """Both arms and the pairs."""

    canary: ArmTotals = ArmTotals()
    production: ArmTotals = ArmTotals()
    pairs: PairTotals = PairTotals()

    def __add__(self, other: "Totals") -> "Totals":
        return _combined(self, other, 1)

    def since(self, before: "Totals") -> "Totals":
        """What is new. Raises `ValueError` when a counter went back."""
        return _combined(self, before, -1)


@dataclass(frozen=True, slots=True)
class Report:
    """The counters of one source (a gateway) since it started. `life` tells two starts apart, `sequence` rises by every report.

    `row`: failures of the candidate in a row, up to now.
    """

    source: str
    life: float
    sequence: int
    totals: Totals
    row: int = 0

    def __post_init__(self) -> None:
        """Refuse numbers that nobody can have counted to."""
        totals = self.totals
        counted = [self.sequence, self.row, totals.pairs.offered]
        for arm in (totals.canary, totals.production):
            counted += [arm.trials, arm.mistakes, arm.again, arm.keyless, arm.rewards.count]
        if not isfinite(self.life) or min(self.sequence, self.row) < 0 or max(counted) > MOST:
            msg = f"nobody counts like that: {self}"
            raise ValueError(msg)


class Fault(StrEnum):
    """Why a report does not count; a metric label."""

    LATE = "late"
    WENT_BACK = "went_back"
    OTHER_SHAPE = "other_shape"
    NONSENSE = "nonsense"
    """It could not even be read: it has NaN, or contradicts itself."""


@dataclass(frozen=True, slots=True)
class RefusedReport:
    """A source's report that does not count: nothing of it does, and while it goes on the source cannot be heard."""

    source: str
    fault: Fault
    why: str


@dataclass(frozen=True, slots=True)
class Tick:
    """What happened since the last look. `rows`: the current row of failures by source; `refused`: reports that did not count."""

    totals: Totals = Totals()
    rows: Mapping[str, int] = field(default_factory=dict[str, int])
    refused: tuple[RefusedReport, ...] = ()
    silent: tuple[str, ...] = ()
    """Sources that should be heard and have not been for too long: the tick sees only a part."""
    missed: tuple[str, ...] = ()
    """Sources that should be heard and have not been just now: nothing may be concluded from all being well."""


class _Refusal(ValueError):
    """A report that does not fit what its source said before."""

    def __init__(self, fault: Fault, why: str) -> None:
        self.fault = fault
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class _Account:
    report: Report
    heard: datetime
    warm_up: int
    """Candidate's trials still to be left out."""
    row_before: int
    """How much of the row was there when the source was first heard of: a row left over from an earlier try is not this one's."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Who should be heard of, and for how long one may be silent."""

    expected: frozenset[str] = frozenset()
    patience: timedelta = timedelta(minutes=2)
    lately: timedelta = timedelta(seconds=5)
    """How long one may be unheard before it is missed. Each reports every second at least."""


@dataclass(frozen=True, slots=True)
class Book:
    """The last believable report of every source. `slow` and `classes`: how many edges and classes were pinned before the rollout."""

    warm_up: int = 0
    slow: int = 0
    classes: int = 0
    accounts: Mapping[str, _Account] = field(default_factory=dict[str, _Account])
    opened: datetime | None = None

    def after(self, reports: Iterable[Report], *, at: datetime, listening: Listening | None = None) -> tuple["Book", Tick]:
        """The book with these reports, and what is new in them. One that was entered already says nothing new, and is no sign of life."""
        # A clock that was put back makes nothing heard later than now.
        accounts = {source: replace(account, heard=min(account.heard, at)) for source, account in self.accounts.items()}
        totals, rows = Totals(), dict[str, int]()
        refused: list[RefusedReport] = []
        for report in reports:
            account = accounts.get(report.source)
            if account is not None and account.report == report:
                continue
            try:
                entered, new = self._entered(account, report, at)
                totals += new
                accounts[report.source] = entered
            except ValueError as error:
                fault = error.fault if isinstance(error, _Refusal) else Fault.NONSENSE
                refused.append(RefusedReport(report.source, fault, str(error)))
            else:
                rows[report.source] = report.row - entered.row_before
        book, listening = replace(self, accounts=accounts, opened=self.opened or at), listening or Listening()
        return book, Tick(totals, rows, tuple(refused), book.silent(listening, at=at), book.missed(listening, at=at))

    def silent(self, listening: Listening, *, at: datetime) -> tuple[str, ...]:
        """The sources that should be heard of and have not been for too long, or never since the book was opened."""
        return self._unheard(listening, at - listening.patience, never=self.opened or at)

    def missed(self, listening: Listening, *, at: datetime) -> tuple[str, ...]:
        """The sources that should be heard of and have not been just now, or never."""
        since = at - listening.lately
        return self._unheard(listening, since, never=since - timedelta.resolution)

    def _unheard(self, listening: Listening, since: datetime, *, never: datetime) -> tuple[str, ...]:
        heard = {source: account.heard for source, account in self.accounts.items()}
        return tuple(source for source in sorted(listening.expected) if heard.get(source, never) < since)

    def _entered(self, account: _Account | None, report: Report, at: datetime) -> tuple[_Account, Totals]:
        self._refuse_other_shapes(report.totals)
        if account is None:
            # Its counters may reach back to before the rollout: they are where counting begins.
            return _Account(report, at, self.warm_up, report.row), Totals()
        before, warm_up = account.report, account.warm_up
        is_reborn = _is_reborn(before, report)
        new = report.totals if is_reborn else _new(before, report)
        warm_up = self.warm_up if is_reborn else warm_up
        left = max(warm_up - new.canary.trials, 0)
        if warm_up:
            # Counters cannot be cut in two: the tick in which warming up ends is left out whole.
            new = replace(new, canary=ArmTotals(), production=ArmTotals())
        row_before = 0 if is_reborn or report.row < account.row_before else account.row_before
        return _Account(report, at, left, row_before), new

    def _refuse_other_shapes(self, totals: Totals) -> None:
        for arm in (totals.canary, totals.production):
            if len(arm.slow) not in {0, self.slow} or len(arm.classes) not in {0, self.classes}:
                msg = f"{len(arm.slow)} edges and {len(arm.classes)} classes where {self.slow} and {self.classes} were pinned"
                raise _Refusal(Fault.OTHER_SHAPE, msg)


def _is_reborn(before: Report, report: Report) -> bool:
    """Whether its source has started anew."""
    if report.life < before.life:
        # Now and then a straggler; for good where the clock was set back before the source started again.
        msg = f"it is of a start {before.life - report.life:,.0f} s earlier than the latest that was heard of"
        raise _Refusal(Fault.LATE, msg)
    if report.life == before.life and report.sequence <= before.sequence:
        msg = f"late or repeated: report {report.sequence} after {before.sequence}"
        raise _Refusal(Fault.LATE, msg)
    return report.life > before.life


def _new(before: Report, report: Report) -> Totals:
    try:
        return report.totals.since(before.totals)
    except ValueError as error:
        msg = f"its counters went back, or contradict each other, between reports {before.sequence} and {report.sequence}"
        raise _Refusal(Fault.WENT_BACK, msg) from error


def _combined(one: Totals, other: Totals, sign: int) -> Totals:
    return Totals(
        _arms(one.canary, other.canary, sign),
        _arms(one.production, other.production, sign),
        _pairs({name: getattr(one.pairs, name) + sign * getattr(other.pairs, name) for name in PairTotals.__slots__}),
    )


def _pairs(parts: Mapping[str, int]) -> PairTotals:
    """Of a difference: copies that were under way before it, and ended in it, count as offered in it."""
    ended = sum(parts[name] for name in ("compared", "shed", "oversize", "timed_out", "failed"))
    return PairTotals(**{**parts, "offered": max(parts["offered"], ended) if parts["offered"] >= 0 else -1})


def _arms(one: ArmTotals, other: ArmTotals, sign: int) -> ArmTotals:
    rewards = Sums(
        one.rewards.count + sign * other.rewards.count,
        one.rewards.total + sign * other.rewards.total,
        one.rewards.squares + sign * other.rewards.squares,
    )
    return ArmTotals(
        trials=one.trials + sign * other.trials,
        failures=one.failures + sign * other.failures,
        mistakes=one.mistakes + sign * other.mistakes,
        odd=one.odd + sign * other.odd,
        slow=_vectors(one.slow, other.slow, sign),
        classes=_vectors(one.classes, other.classes, sign),
        rewards=rewards,
        again=one.again + sign * other.again,
        keyless=one.keyless + sign * other.keyless,
    )


def _vectors(one: Counts, other: Counts, sign: int) -> Counts:
    if not one or not other:
        return one or (other if sign > 0 else ())
    if len(one) != len(other):
        msg = f"{len(one)} counters where there were {len(other)}"
        raise ValueError(msg)
    return tuple(mine + sign * theirs for mine, theirs in zip(one, other, strict=True))
