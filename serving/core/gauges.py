"""One gauge for each kind of rule: what it keeps of the ticks, and what it says of harm and of safety.

A gauge belongs to one window; alpha and beta are that window's part of the guard's part of the risks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import log, sqrt

from serving.core.rules import (
    AssignmentRule,
    CollapseRule,
    DisagreementRule,
    ErrorRule,
    LatencyRule,
    OutputRule,
    PairedLatencyRule,
    RewardRule,
    Rule,
)
from serving.core.statistics import (
    Assignment,
    BernsteinSequence,
    Direction,
    Divergence,
    LatelyArms,
    LatelyClasses,
    Onset,
    Outcomes,
    Proof,
    RatioOnset,
    Signs,
    SlowerOnset,
    TwoArms,
    log_e_below,
    log_e_not_slower,
)
from serving.core.totals import Totals

_ENOUGH = 100
"""Of production's trials, before its rate is allowed to the candidate that has all callers."""

_MOST_ALLOWED = 0.5
"""Of the requests that may fail with nobody to compare with, whatever production did."""


@dataclass(frozen=True, slots=True)
class Chances:
    """How often a gauge may be wrong: `alpha` with harm, `beta` with safe."""

    alpha: float
    beta: float


@dataclass(frozen=True, slots=True)
class Reading:
    """What a gauge says now. `trials`: how much it has seen of the candidate; without any it says nothing."""

    is_harm: bool
    is_safe: bool
    trials: int
    compared: str
    numbers: Mapping[str, float]
    """Evidence in natural logarithms, and from where on it is enough: `harm_at`, `safe_at`."""
    is_doubtful: bool = False
    """Whether what is seen here speaks against safe, though it proves nothing yet."""


@dataclass(frozen=True, slots=True)
class ErrorGauge:
    """Failures, from whenever on, against production's (A2) and against a floor (A3); both must show harm. Safe by a budget (A3).

    With all callers there is no production to compare with. Then harm is a rate above what the policy allows and production had.
    """

    rule: ErrorRule
    chances: Chances
    ratio: RatioOnset
    floor: Onset
    canary: Outcomes = field(default_factory=Outcomes)
    production: Outcomes = field(default_factory=Outcomes)
    known: Outcomes = field(default_factory=Outcomes)
    """Production's in the windows before this one."""
    alone: Onset | None = None
    """Since the candidate has all callers."""

    def after(self, new: Totals, *, share: float) -> "ErrorGauge":
        """With one more tick."""
        mine, others = new.canary.outcomes, new.production.outcomes
        seen = replace(self, canary=self.canary + mine, production=self.production + others)
        if share < 1:
            return replace(seen, ratio=self.ratio.after(mine.failures, others.failures, share=share), floor=self.floor.after(mine))
        return replace(seen, alone=(self.alone or Onset(self._allowed())).after(mine))

    def renewed(self, chances: Chances) -> "ErrorGauge":
        """For the next window: nothing is shown yet, and what production does is known."""
        fresh = ErrorGauge(self.rule, chances, RatioOnset(self.rule.ratio), Onset(self.rule.floor))
        return replace(fresh, known=self.known + self.production)

    def read(self) -> Reading:
        """Harmful means above the ratio AND above the floor: the smaller of two e-values is one for the union of their nulls.

        Once alone, what was shown before stands, and what is shown now multiplies it: a product of e-values of one time after another.
        """
        worse = min(self.ratio.log_e, self.floor.log_e)
        beside = f"production {_of(self.production)}"
        if self.alone is not None:
            worse += self.alone.log_e
            allowed, beside = f"{self.alone.budget:.2%}", "with production no longer beside it"
            # Of all that it ever answered few may have failed: what is shown then is what has become of it.
            is_shown = worse >= -log(self.chances.alpha)
            beside = f"of late more than the {allowed} that are allowed {beside}" if is_shown else f"{beside} up to {allowed} are allowed"
        safe = log_e_below(self.canary, self.rule.ok_below)
        compared = f"failed {_of(self.canary)}, {beside}"
        return _read(self.chances, worse, safe, self.canary, compared, production=self.production)

    def _allowed(self) -> float:
        """What may fail with nobody beside: what the policy calls safe, its floor, or what production may have failed, times the ratio."""
        usual = self.known + self.production
        # Two standard deviations above the count: about the upper end of a 95 % interval.
        most = (usual.failures + 2 * sqrt(usual.failures)) / usual.trials if usual.trials >= _ENOUGH else 0.0
        return min(max(self.rule.floor, self.rule.ok_below, self.rule.ratio * most), _MOST_ALLOWED)


@dataclass(frozen=True, slots=True)
class LatencyGauge:
    """The candidate over `ratio` times production's quantile against production over the quantile itself (A1), both ways round.

    The first edge is at least `floor` above the second: a version that is asked seldom is cold, and some tenths of a millisecond slower.
    """

    rule: LatencyRule
    chances: Chances
    edge: int
    """The first of the guard's two pinned edges."""
    worse: LatelyArms = LatelyArms.of(Direction.WORSE)  # noqa: RUF009 - frozen
    better: TwoArms = TwoArms(direction=Direction.BETTER)  # noqa: RUF009 - frozen

    def after(self, new: Totals, *, share: float) -> "LatencyGauge":
        """With one more tick. A report without these edges has nothing to say here, and neither has one without production."""
        if share >= 1 or min(len(new.canary.slow), len(new.production.slow)) <= self.edge + 1:
            return self
        mine, others = new.canary.over(self.edge + 1), new.production.over(self.edge)
        return replace(self, worse=self.worse.after(mine, others, share=share), better=self.better.after(mine, others, share=share))

    def read(self) -> Reading:
        """Harm and safe, by the same comparison."""
        rule, whole = self.rule, self.worse.whole
        reading = _read(self.chances, self.worse.log_e, self.better.log_e, whole.canary, "", production=whole.production)
        shown = self.worse.strongest if reading.is_harm else whole
        quantile = f"production's {rule.quantile:g} quantile"
        above = f" and {rule.floor.total_seconds() * 1000:g} ms above it" if rule.floor else ""
        how_many = f"{_of(shown.canary)}, production over it in {_of(shown.production)}"
        compared = f"took over {rule.ratio:g} times {quantile}{above} {'' if shown == whole else 'of late '}in {how_many}"
        return replace(reading, compared=compared)


@dataclass(frozen=True, slots=True)
class OutputGauge:
    """Harm: proof that the classes differ (A1, K classes) and an estimate above the limit. Safe: the divergence's bound is below it."""

    rule: OutputRule
    chances: Chances
    arms: LatelyClasses | None = None

    def after(self, new: Totals, *, share: float) -> "OutputGauge":
        """With one more tick; how many classes there are shows in the first. Without production there is nothing to compare with."""
        mine, others = new.canary.classes, new.production.classes
        if share >= 1 or (not mine and not others):
            return self
        classes = len(mine or others)
        none = (0,) * classes
        arms = self.arms or LatelyClasses.of(classes)
        return replace(self, arms=arms.after(mine or none, others or none, share=share, proof=self._proof))

    def read(self) -> Reading:
        """As above."""
        arms, proof = self.arms or LatelyClasses.of(1), self._proof
        harm, strongest = arms.strongest(proof)
        is_harm = proof.is_given_by(harm, strongest)
        shown = strongest if is_harm else arms.whole
        apart, trials = Divergence(shown.canary, shown.production), sum(arms.whole.canary)
        bound = Divergence(arms.whole.canary, arms.whole.production).js_at_most(self.chances.beta)
        sure = f", surely below {bound:.3f}" if shown == arms.whole else " of late"
        how_far = f"JS {apart.js:.3f}{sure}; PSI {apart.psi:.3f}"
        compared = f"answered {sum(shown.canary):,} times with classes apart from production's by {how_far}"
        numbers = {"log_e_harm": harm, "harm_at": proof.log_e, "js": apart.js, "psi": apart.psi, "js_at_most": bound, "trials": trials}
        is_safe = bool(trials) and bound < self.rule.js
        return Reading(is_harm, is_safe, trials, compared, numbers, is_doubtful=apart.js >= self.rule.js)

    @property
    def _proof(self) -> Proof:
        return Proof(-log(self.chances.alpha), self.rule.js)


@dataclass(frozen=True, slots=True)
class BudgetGauge:
    """A rate against what is allowed (A3): collapsed answers, or disagreeing pairs."""

    rule: CollapseRule | DisagreementRule
    chances: Chances
    above: Onset
    seen: Outcomes = field(default_factory=Outcomes)

    def after(self, new: Totals, *, share: float) -> "BudgetGauge":
        """With one more tick."""
        del share
        more: Outcomes
        match self.rule:
            case CollapseRule():
                more = Outcomes(new.canary.odd, new.canary.trials)
            case DisagreementRule():
                more = Outcomes(new.pairs.disagreed, new.pairs.compared)
        return replace(self, above=self.above.after(more), seen=self.seen + more)

    def read(self) -> Reading:
        """Above or below what is allowed."""
        what = "gave a constant or invalid answer in" if isinstance(self.rule, CollapseRule) else "disagreed with production in"
        harm, safe = self.above.log_e, log_e_below(self.seen, self.rule.rate)
        return _read(self.chances, harm, safe, self.seen, f"{what} {_of(self.seen)}")


@dataclass(frozen=True, slots=True)
class PairedLatencyGauge:
    """Who took longer of two that answered the same request: a sign test against the share that is allowed, both ways round."""

    rule: PairedLatencyRule
    chances: Chances
    above: SlowerOnset
    seen: Signs = field(default_factory=Signs)

    def after(self, new: Totals, *, share: float) -> "PairedLatencyGauge":
        """With one more tick."""
        del share
        more = new.pairs.signs
        return replace(self, above=self.above.after(more), seen=self.seen + more)

    def read(self) -> Reading:
        """Above or below what is allowed."""
        seen, harm, safe = self.seen, self.above.log_e, log_e_not_slower(self.seen, self.rule.share)
        compared = (
            f"took longer for the same request in {seen.slower:,} of {seen.pairs:,} pairs and less long in {seen.faster:,}, "
            f"which is {seen.share:.2%} with ties as halves"
        )
        numbers = {"log_e_harm": harm, "log_e_safe": safe, "trials": seen.pairs, "slower": seen.slower, "faster": seen.faster}
        is_harm, is_safe = harm >= -log(self.chances.alpha), safe >= -log(self.chances.beta)
        return Reading(is_harm, is_safe, seen.pairs, compared, numbers, is_doubtful=safe < 0)


@dataclass(frozen=True, slots=True)
class RewardGauge:
    """Mean rewards by empirical Bernstein sequences: harm when the intervals are more than `drop` apart, safe when surely less."""

    rule: RewardRule
    chances: Chances
    canary: tuple[BernsteinSequence, BernsteinSequence]
    """One for harm, one for safe: they may be wrong with different chances."""
    production: tuple[BernsteinSequence, BernsteinSequence]

    @classmethod
    def of(cls, rule: RewardRule, chances: Chances) -> "RewardGauge":
        """Without rewards yet. Each arm gets half of a chance."""
        both = BernsteinSequence(chances.alpha / 2), BernsteinSequence(chances.beta / 2)
        return cls(rule, chances, both, both)

    def after(self, new: Totals, *, share: float) -> "RewardGauge":
        """With one more tick."""
        del share
        canary = self.canary[0].after(new.canary.rewards), self.canary[1].after(new.canary.rewards)
        production = self.production[0].after(new.production.rewards), self.production[1].after(new.production.rewards)
        return replace(self, canary=canary, production=production)

    def read(self) -> Reading:
        """By where the two means can be."""
        width = self.rule.high - self.rule.low
        drop = self.rule.drop / width
        mine, others = self.canary[0].seen, self.production[0].seen
        is_harm = self.canary[0].interval.high < self.production[0].interval.low - drop
        is_safe = self.canary[1].interval.low > self.production[1].interval.high - drop
        means = [self.rule.low + width * seen.mean for seen in (mine, others)]
        compared = f"was rewarded {means[0]:.4g} on average of {mine.count:,}, production {means[1]:.4g} of {others.count:,}"
        numbers = {"canary_mean": means[0], "production_mean": means[1], "trials": mine.count}
        return Reading(is_harm, is_safe, mine.count, compared, numbers)


@dataclass(frozen=True, slots=True)
class AssignmentGauge:
    """The sample-ratio test of the stage's split."""

    rule: AssignmentRule
    chances: Chances
    seen: Assignment = Assignment()  # noqa: RUF009 - frozen

    def after(self, new: Totals, *, share: float) -> "AssignmentGauge":
        """With one more tick."""
        return replace(self, seen=self.seen.after(new.canary.trials, new.production.trials, share=share))

    def read(self) -> Reading:
        """Harm when the split is not as planned, safe when it is close enough for sure."""
        seen = self.seen
        total = seen.canary + seen.production
        compared = f"got {seen.canary:,} of {total:,} trials where {seen.share:.2%} were planned"
        numbers = {"log_e_harm": seen.log_e, "harm_at": -log(self.chances.alpha), "canary": seen.canary, "trials": total}
        is_safe = seen.is_within(self.rule.within, self.chances.beta)
        return Reading(seen.log_e >= -log(self.chances.alpha), is_safe, seen.canary, compared, numbers)


Gauge = ErrorGauge | LatencyGauge | OutputGauge | BudgetGauge | PairedLatencyGauge | RewardGauge | AssignmentGauge


def gauge(rule: Rule, chances: Chances, *, edge: int) -> Gauge:
    """A gauge that has seen nothing. `edge`: where a latency guard's two edges begin among the pinned ones."""
    made: Gauge
    match rule:
        case ErrorRule():
            made = ErrorGauge(rule, chances, RatioOnset(rule.ratio), Onset(rule.floor))
        case LatencyRule():
            made = LatencyGauge(rule, chances, edge)
        case OutputRule():
            made = OutputGauge(rule, chances)
        case CollapseRule() | DisagreementRule():
            made = BudgetGauge(rule, chances, Onset(rule.rate))
        case PairedLatencyRule():
            made = PairedLatencyGauge(rule, chances, SlowerOnset(rule.share))
        case RewardRule():
            made = RewardGauge.of(rule, chances)
        case AssignmentRule():
            made = AssignmentGauge(rule, chances)
    return made


def _read(chances: Chances, harm: float, safe: float, seen: Outcomes, compared: str, production: Outcomes | None = None) -> Reading:
    harm_at, safe_at = -log(chances.alpha), -log(chances.beta)
    numbers: dict[str, float] = {"log_e_harm": harm, "harm_at": harm_at, "log_e_safe": safe, "safe_at": safe_at}
    numbers |= {"trials": seen.trials, "bad": seen.failures}
    if production is not None:
        numbers |= {"production_trials": production.trials, "production_bad": production.failures}
    return Reading(harm >= harm_at, safe >= safe_at, seen.trials, compared, numbers, is_doubtful=safe < 0)


def _of(seen: Outcomes) -> str:
    return f"{seen.failures:,} of {seen.trials:,} ({seen.rate:.2%})"
