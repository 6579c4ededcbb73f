"""Counting for the rollouts that are afoot: what their guards are told of this gateway's answers. A family without one costs nothing."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from serving.core.policy import Counting
from serving.core.routing import Reason, RouteTable, Target
from serving.core.rules import Bins
from serving.core.sketches import LABELS_MOST, Baseline, Sketch, bucket_of, deciles_of
from serving.core.totals import Report, Totals
from serving.core.watches import Watch
from serving.gateway.counters import UNSORTED, ArmCounter, PairCounter, Sorter
from serving.gateway.pairs import PairSample
from serving.gateway.units import Units, number_of
from serving.ports import ClaimRoom, Claims, Failure, Leeway, Reply, Said, Sorting

TRIPPING_ROW = 3
"""Failures in a row from which on a report goes out at once rather than with the next tick."""

SCORES_MOST = 1000
"""Scores that deciles are taken from, the first ones."""

_RATED, _COPY = "rated", "copy:"

DRAWN = frozenset({Reason.PRODUCTION, Reason.CANARY, Reason.HOLDBACK})
"""Who asked for a version, and who was given production in place of a canary, was not drawn: no trial of either arm."""


@dataclass(frozen=True, slots=True)
class Around:
    """What counting works with: what the node's gateways have counted already, the node's clock, the wall's, and dice in [0, 1)."""

    room: ClaimRoom
    monotonic: Callable[[], float]
    wall: Callable[[], float]
    dice: Callable[[], float]


def _name(rollout: str, what: str) -> str:
    return f"{rollout}.{what}"


class WatchedArm:
    """One arm of a rollout, as a lane of the gateway sees it."""

    __slots__ = ("_counter", "_watching", "is_candidate", "sorting")

    def __init__(self, watching: "Watching", counter: ArmCounter, *, is_candidate: bool) -> None:
        self.is_candidate = is_candidate
        self.sorting = watching.sorting
        """What calls are to be told of their answers."""
        self._watching = watching
        self._counter = counter

    def draws(self, key: str | None) -> bool:
        """Whether a request with this routing key could have been either arm's."""
        return key is not None or self._watching.watch.counts_keyless

    def answered(self, key: str | None, reply: Reply, seconds: float, now: float) -> None:
        """Count an answer to a request with this routing key, given at `now`."""
        failure = reply.failure
        watching = self._watching
        if self.is_candidate:
            watching.note(failure)
        if not self.draws(key):
            self._counter.keyless += 1
            return
        if failure is Failure.CLIENT:
            self._counter.mistakes += 1
            return
        if watching.sketch is not None and not self.is_candidate:
            watching.sketch.answered(seconds, reply.said)
        if watching.is_trial(key, now):
            self._counter.answered(failure, seconds, reply.said)
        else:
            self._counter.again += 1


class BaselineCounter:
    """What production's answers are like until all is pinned that is taken from them."""

    def __init__(self) -> None:
        self._latencies: dict[int, int] = {}
        self._labels: dict[str, int] = {}
        self._scores: list[float] = []

    def answered(self, seconds: float, said: Said | None) -> None:
        """Take one answer in."""
        bucket = bucket_of(seconds)
        self._latencies[bucket] = self._latencies.get(bucket, 0) + 1
        if said is None:
            return
        label = said.label
        if label is not None and (label in self._labels or len(self._labels) < LABELS_MOST):
            self._labels[label] = self._labels.get(label, 0) + 1
        if said.score is not None and len(self._scores) < SCORES_MOST:
            self._scores.append(said.score)

    def baseline(self) -> Baseline:
        """All of it, as it is reported."""
        return Baseline(Sketch(dict(self._latencies)), dict(self._labels), len(self._scores), deciles_of(self._scores))


class Watching:
    """What this gateway has counted of one rollout since it first had it in its routes."""

    def __init__(self, watch: Watch, around: Around, *, epoch: int, now: float) -> None:
        self.watch = watch
        is_kept = watch.keep_pairs > 0
        self.sample = PairSample(watch.keep_pairs, watch.redact, around.dice, around.wall) if is_kept else None
        """Pairs that disagreed, where the policy keeps some."""
        self.epoch = epoch
        """Of the table that it was first in; answers of an earlier one are none of it."""
        self._room = around.room
        self._units: Units | None = None
        self._counted = (-1, False)
        self._rated: Claims | None = None
        self.canary, self.production, self.pairs = ArmCounter(), ArmCounter(), PairCounter()
        self.row = 0
        """Failures of the candidate in a row, up to now."""
        self.sketch: BaselineCounter | None = BaselineCounter()
        """Of production; None once all is pinned."""
        self.leeway = Leeway()
        """What pairs may differ in and still agree."""
        self._sorter = UNSORTED
        self._sequence = 0
        self.adopt(watch, now=now)

    def adopt(self, watch: Watch, *, now: float) -> None:
        """Go on by another stage, or by other pins."""
        self.watch = watch
        self._count_units(now)
        if watch.rewards is not None and self._rated is None:
            self._rated = self._room.open(_name(watch.rollout, _RATED), now)
        self._sorter = Sorter.of(watch, self._sorter)
        tolerance = watch.tolerance
        self.leeway = Leeway(tolerance.atol, 0.0, tolerance.rank, tolerance.is_label_exact)
        for arm in (self.canary, self.production):
            arm.pin(watch.edges, self._sorter)
        if not (watch.wants_edges or watch.wants_classes):
            self.sketch = None

    @property
    def sorting(self) -> Sorting:
        """What calls are to be told of their answers."""
        if self.watch.bins is Bins.DECILES:
            return Sorting.SCORE
        return Sorting.LABEL if self.watch.bins is Bins.CLASSES or self.watch.checks_answers else Sorting.NOTHING

    def arm(self, target: Target, reason: Reason) -> WatchedArm | None:
        """The arm that a target plays for a reason; None where its answers are no trials."""
        if reason not in DRAWN:
            return None
        if target.digest == self.watch.candidate:
            return WatchedArm(self, self.canary, is_candidate=True)
        return WatchedArm(self, self.production, is_candidate=False) if target.digest == self.watch.production else None

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of what it has counted already."""
        return _name(self.watch.rollout, str(self.watch.stage)), _name(self.watch.rollout, _RATED)

    def _count_units(self, now: float) -> None:
        """A stage begins a new window of its own; a shadow's copies count beside the answers that they are copies of."""
        unit = self.watch.unit
        counted = (self.watch.stage, unit.count is Counting.UNIT_WINDOW and bool(unit.window))
        if counted == self._counted:
            return
        if self._units is not None:
            self._units.close()
        claims = self._room.open(self.tables[0], now) if counted[1] else None
        self._units = None if claims is None else Units(claims, unit.window.total_seconds(), self.watch.rollout)
        self._counted = counted

    def is_trial(self, key: str | None, now: float, *, kind: str = "") -> bool:
        """Whether an answer counts: of a unit in a window the first one, where units are counted. Who has no key is a unit of its own."""
        return key is None or self._units is None or self._units.is_first(kind + key, now)

    def rate(self, digest: str, nonce: str, score: float) -> bool | None:
        """Take in feedback on an answer of the version whose digest begins so; None: it is neither arm's, False: it came before."""
        rewards, rated = self.watch.rewards, self._rated
        arm = next((arm for whole, arm in self._arms() if digest and whole.startswith(digest)), None)
        if rewards is None or rated is None or arm is None:
            return None
        if not rated.claim(number_of(nonce, self.watch.rollout), 0):
            return False
        arm.rated(rewards.scaled(score))
        return True

    def _arms(self) -> Iterator[tuple[str, ArmCounter]]:
        yield self.watch.candidate, self.canary
        yield self.watch.production, self.production

    def close(self) -> None:
        """It is no longer in the routes."""
        for held in (self._units, self._rated):
            if held is not None:
                held.close()

    def note(self, failure: Failure | None) -> None:
        """Go on with the row of failures, or end it; the caller's own mistakes do neither."""
        if failure is not Failure.CLIENT:
            self.row = 0 if failure is None else self.row + 1

    def copied(self, key: str | None, failure: Failure | None, seconds: float, said: Said | None, now: float) -> None:
        """Count the candidate's answer to a copy, in a stage in which it answers nobody else."""
        self.note(failure)
        if self.is_trial(key, now, kind=_COPY):
            self.canary.answered(failure, seconds, said)
        else:
            self.canary.again += 1

    @property
    def stamp(self) -> int:
        """Another number when there is something new to report."""
        arms = (self.canary, self.production)
        return self.pairs.ended + sum(arm.trials + arm.mistakes + arm.again + arm.keyless + arm.rewards.count for arm in arms)

    def report(self, source: str, life: float) -> Report:
        """All of it, in the next report."""
        self._sequence += 1
        totals = Totals(self.canary.totals(), self.production.totals(), self.pairs.totals())
        return Report(source, life, self._sequence, totals, self.row)

    def baseline(self) -> Baseline | None:
        """What is to be pinned from; None where all is pinned."""
        return None if self.sketch is None else self.sketch.baseline()


class Watchings:
    """All rollouts that this gateway has in its routes."""

    def __init__(self, around: Around, on_failing: Callable[[], None]) -> None:
        self._around = around
        self.on_failing = on_failing
        """Called when a candidate fails several times in a row on copies, so that the controller hears of it at once."""
        self._afoot: dict[str, Watching] = {}
        self._families: dict[str, Watching] = {}
        self._candidates: dict[str, Watching] = {}

    def swap(self, table: RouteTable) -> bool:
        """Go by a new table; whether a rollout is in it that was not before, of which a report should go out before its first answer."""
        watches = {family: route.watch for family, route in table.families.items() if route.watch is not None}
        rehearsed = [route.rehearsal.watch for route in table.families.values() if route.rehearsal is not None]
        before, afoot, now = self._afoot, dict[str, Watching](), self._around.monotonic()
        for watch in (*watches.values(), *rehearsed):
            watching = before.get(watch.rollout)
            if watching is None:
                watching = Watching(watch, self._around, epoch=table.epoch, now=now)
            else:
                watching.adopt(watch, now=now)
            afoot[watch.rollout] = watching
        if before or afoot:
            self._end(before, afoot)
        self._afoot = afoot
        self._families = {family: afoot[watch.rollout] for family, watch in watches.items()}
        self._candidates = {watching.watch.candidate: watching for watching in self._families.values()}
        return not afoot.keys() <= before.keys()

    def _end(self, before: Mapping[str, Watching], afoot: Mapping[str, Watching]) -> None:
        for rollout in before.keys() - afoot.keys():
            before[rollout].close()
        self._around.room.keep({name for watching in afoot.values() for name in watching.tables})

    def of_rollout(self, rollout: str) -> Watching | None:
        """What is counted under an id: a rollout's, or a rehearsal's."""
        return self._afoot.get(rollout)

    def of_family(self, family: str) -> Watching | None:
        """The rollout of a family, if one is afoot."""
        return self._families.get(family)

    def arm(self, target: Target, reason: Reason) -> WatchedArm | None:
        """The arm of a rollout that a target plays for a reason, if it plays one."""
        watching = self._families.get(target.family)
        return None if watching is None else watching.arm(target, reason)

    def of_candidate(self, digest: str) -> Watching | None:
        """The rollout that a version is the candidate of."""
        return self._candidates.get(digest)

    @property
    def stamp(self) -> int:
        """Another number when there is something new to report."""
        return sum(watching.stamp for watching in self._afoot.values())

    def reports(self, source: str, life: float) -> Mapping[str, Report]:
        """The next report of every rollout, by its id."""
        return {rollout: watching.report(source, life) for rollout, watching in self._afoot.items()}

    def samples(self) -> Mapping[str, PairSample]:
        """The pairs that are kept, by their rollouts' ids."""
        return {rollout: watching.sample for rollout, watching in self._afoot.items() if watching.sample is not None}

    def baselines(self) -> Mapping[str, Baseline]:
        """What is to be pinned from, of the rollouts that have something to pin."""
        return dict(self._baselines())

    def _baselines(self) -> Iterator[tuple[str, Baseline]]:
        for rollout, watching in self._afoot.items():
            baseline = watching.baseline()
            if baseline is not None:
                yield rollout, baseline
