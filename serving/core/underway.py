"""A rollout as a family's record carries it: how it stands, what it goes by, and what people asked that the decision log has yet to hear.

A step of a rollout and what it does to the family are one change of the record (`moving`), so that no stage is skipped or repeated.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from serving.core.assessing import edges, floors
from serving.core.happenings import Event
from serving.core.policy import DEFAULT_LEASE, MirrorLimits, Policy, Unit
from serving.core.rollout import AFOOT, OVER
from serving.core.rules import Bins, CollapseRule, DisagreementRule, OutputRule, RewardRule
from serving.core.standing import Rollout, State

MOST_ASKED = 32
"""Events that wait for the decision log; while nobody writes them down, only a rollback is still heard."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What gateways count by: the parts of the policy that they need, and of its stages the current one's limits."""

    unit: Unit = Unit()  # noqa: RUF009 - frozen
    warm_up: int = 0
    limits: MirrorLimits = MirrorLimits()  # noqa: RUF009 - frozen
    quantiles: tuple[tuple[float, float], ...] = ()
    """For each latency guard production's quantile, and what it is multiplied with for the second edge."""
    floors: tuple[float, ...] = ()
    """For each of them how many seconds the second edge is above the quantile at least; none: 0."""
    bins: Bins | None = None
    """What answers are sorted into, where a guard asks."""
    checks_answers: bool = False
    """Whether a guard asks for answers that are invalid, or the same whatever is asked."""
    atol: float = 1e-3
    is_label_exact: bool = True
    rank: float = 1.0
    bounds: tuple[float, float] = (0.0, 1.0)
    """Of a score that feedback may give."""
    delay: timedelta = timedelta()
    """How late feedback may come."""
    keep_pairs: int = 0
    redact: tuple[str, ...] = ()
    is_rewarded: bool = False
    """Whether a guard looks at feedback."""
    lease: timedelta = DEFAULT_LEASE
    """How long the candidate keeps its callers without the controller's word."""
    holdback: int = 0
    """Basis points of the callers who stay with the old production while it is kept warm."""

    @classmethod
    def of(cls, policy: Policy, stage: int) -> "Terms":
        """The terms of a policy in one of its stages."""
        rules = [guard.rule for guard in policy.guards]
        pairs = next((rule for rule in rules if isinstance(rule, DisagreementRule)), DisagreementRule(rate=0.5))
        outputs = next((rule for rule in rules if isinstance(rule, OutputRule)), None)
        rewards = next((rule for rule in rules if isinstance(rule, RewardRule)), RewardRule(drop=1.0))
        return cls(
            unit=policy.unit,
            warm_up=policy.warm_up,
            limits=policy.stages[stage].limits,
            quantiles=tuple(edges(policy).values()),
            floors=floors(policy),
            bins=None if outputs is None else outputs.bins,
            checks_answers=any(isinstance(rule, CollapseRule) for rule in rules),
            atol=pairs.atol,
            is_label_exact=pairs.is_label_exact,
            rank=pairs.rank,
            bounds=(rewards.low, rewards.high),
            delay=rewards.delay,
            keep_pairs=policy.keep_pairs,
            redact=policy.redact,
            is_rewarded=any(isinstance(rule, RewardRule) for rule in rules),
            lease=policy.lease,
            holdback=policy.rollback.holdback,
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """A person's event that the rollout has taken, and the family's revision that it made."""

    step: int
    revision: int
    event: Event


@dataclass(frozen=True, slots=True)
class Underway:
    """The family's rollout: the one afoot, or the last one, until the next begins. `id` names its decision log."""

    id: str
    rollout: Rollout
    policy: str
    """The policy's canonical document, whose digest the rollout is held to."""
    opened: datetime
    terms: Terms = Terms()
    edges: tuple[float, ...] = ()
    """Seconds, two for each latency guard in the order of `Terms.quantiles`; none until production was seen enough."""
    classes: tuple[str, ...] = ()
    """What answers are sorted into: labels, or the bounds of the bins as text; none until seen, or where nobody asks."""
    steps: int = 0
    """Changes of this rollout so far."""
    asked: tuple[Asked, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a rollout that contradicts itself."""
        if self.edges and len(self.edges) != 2 * len(self.terms.quantiles):
            msg = f"{len(self.edges)} edges for {len(self.terms.quantiles)} latency guards"
            raise ValueError(msg)
        if len(self.asked) > MOST_ASKED:
            msg = f"more than {MOST_ASKED} events wait for the decision log"
            raise ValueError(msg)

    @property
    def is_afoot(self) -> bool:
        """Whether it decides who gets the family's traffic: nobody else may put a version beside it."""
        rollout = self.rollout
        is_going_back = rollout.state is State.ROLLING_BACK and (rollout.receipt is None or rollout.receipt.flipped is None)
        return rollout.state in AFOOT or rollout.state is State.HELD or is_going_back

    @property
    def is_over(self) -> bool:
        """Whether nothing can happen to it any more."""
        return self.rollout.state in OVER

    @property
    def is_watched(self) -> bool:
        """Whether gateways count for it: until it is over, or live and no longer kept warm."""
        return self.is_afoot or (self.rollout.state is State.LIVE and self.rollout.warm_until is not None)

    def stepped(self, rollout: Rollout, *, revision: int, event: Event | None = None) -> "Underway":
        """One step on; a person's `event` waits for the decision log. The oldest is forgotten where too many wait."""
        steps = self.steps + 1
        asked = self.asked if event is None else (*self.asked, Asked(steps, revision, event))[-MOST_ASKED:]
        return replace(self, rollout=rollout, steps=steps, asked=asked)

    def heard(self, steps: int) -> "Underway":
        """With the events up to a step written to the decision log."""
        return replace(self, asked=tuple(one for one in self.asked if one.step > steps))
