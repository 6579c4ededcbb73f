"""A rollout against a simple model: whatever happens in whatever order, the laws hold after every event."""

from datetime import timedelta
from typing import ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from serving.core.assessing import Assessment, GuardVerdict
from serving.core.effects import FlipBack, Promote, SetWeight
from serving.core.happenings import (
    Advance,
    Approve,
    Checked,
    Event,
    Flipped,
    Hold,
    Observed,
    Resume,
    Retry,
    RollBack,
    Start,
    Supersede,
)
from serving.core.policy import Pinned
from serving.core.rollout import AFOOT, OVER, TABLE, EventRefused, due, weight
from serving.core.standing import Rollout, State
from serving.core.traffic import WHOLE
from serving.core.verdicts import Finding
from tests.fakes.rollout_world import BEGIN, OTHER, OWNER, step, track

CAREFUL = track("careful")
HOLDING_BACK = track("careful", **{"keep_warm: 168h": "keep_warm: 168h, holdback: 0.05"})

PATIENCE = 8
"""Events before somebody may end it, so that some rollouts get far."""

findings = st.sampled_from([Finding.SAFE] * 8 + [Finding.UNDECIDED, Finding.HARM])
spans = st.sampled_from([timedelta(seconds=5), timedelta(minutes=40), timedelta(hours=13), timedelta(hours=30), timedelta(days=3)])
counts = st.sampled_from([0, 999, 5000, 5000])


class Rollouts(RuleBasedStateMachine):
    """The model knows the weight, the stages that were entered, and whether anything ever flipped back."""

    pinned: ClassVar[Pinned] = CAREFUL

    def __init__(self) -> None:
        super().__init__()
        self.policy = self.pinned.policy
        self.declared = [self.policy.weight(stage) for stage in self.policy.stages]
        self.at = BEGIN
        self.rollout = Rollout("digits", "1.1.0", "c" * 64, self.pinned.digest, author="ada")
        self.assessment = Assessment()
        self.weights = [0]
        self.shares = [0]
        self.flips = self.promotions = 0
        self.history = [State.DRAFT]

    def happen(self, event: Event) -> None:
        before = self.rollout
        try:
            self.rollout, effects = step(self.pinned, before, event)
        except EventRefused:
            assert self.rollout == before
            return
        assert self.rollout.state in TABLE[before.state][event.kind]
        self.history.append(self.rollout.state)
        for effect in effects:
            match effect:
                case SetWeight():
                    self.rises(before, effect.weight, event)
                case FlipBack():
                    self.flips += 1
                case Promote():
                    self.promotions += 1
                    assert before.stage == len(self.declared) - 1
                case _:
                    pass

    def rises(self, before: Rollout, new: int, event: Event) -> None:
        """Weight only rises by one declared stage, and only on SAFE, or by somebody's word for what is not."""
        stage = self.policy.stages[before.stage]
        if before.state is not State.DRAFT:
            assert new == self.declared[before.stage + 1] > self.declared[before.stage]
            said = {verdict.guard: verdict for verdict in self.assessment.verdicts}
            overridden = event.override if isinstance(event, Advance) else ()
            for name in set(stage.need.safe) - {*before.overridden, *overridden}:
                assert said[name].finding is Finding.SAFE
                assert said[name].has_data
            assert stage.approve is None or before.approvals
        self.weights.append(new)

    @rule(
        finding=findings,
        other=findings,
        guard=st.sampled_from(CAREFUL.policy.guards),
        has_data=st.sampled_from([True] * 9 + [False]),
        count=counts,
        span=spans,
    )
    def observe(self, *, finding: Finding, other: Finding, guard: object, has_data: bool, count: int, span: timedelta) -> None:
        self.at += span
        stage = self.policy.stages[self.rollout.stage]
        said = tuple(GuardVerdict(one.id, other if one == guard else finding, has_data, one.id) for one in self.policy.watching(stage))
        self.assessment = Assessment(said, count, count)
        self.happen(Observed(self.at, self.assessment))

    @rule(times=st.integers(1, 3))
    def climb(self, times: int) -> None:
        """The best that can be seen, for long enough."""
        for _ in range(times):
            self.at += timedelta(hours=25)
            stage = self.policy.stages[self.rollout.stage]
            said = tuple(GuardVerdict(one.id, Finding.SAFE, has_data=True, sentence="") for one in self.policy.watching(stage))
            self.assessment = Assessment(said, 9000, 9000)
            self.happen(Approve(self.at, OTHER))
            self.happen(Observed(self.at, self.assessment))

    @initialize(quarantined=st.sampled_from(["", "bad"]))
    def start(self, quarantined: str) -> None:
        self.happen(Start(self.at, OWNER, quarantined=quarantined))
        if quarantined:
            assert self.rollout.state is State.DRAFT
            self.happen(Start(self.at, OWNER, quarantined=quarantined, override="why"))

    @rule()
    def start_again(self) -> None:
        self.happen(Start(self.at, OWNER))

    @rule(actor=st.sampled_from([OWNER, OTHER]))
    def approve(self, actor: object) -> None:
        self.happen(Approve(self.at, OTHER if actor is OTHER else OWNER))

    @rule(override=st.sampled_from([(), ("errors",), tuple(guard.id for guard in CAREFUL.policy.guards)]))
    def advance(self, override: tuple[str, ...]) -> None:
        self.happen(Advance(self.at, OWNER, override, "why", self.assessment))

    @rule()
    def hold_and_resume(self) -> None:
        self.happen(Hold(self.at, OWNER, "lunch"))
        self.happen(Resume(self.at, OWNER))

    @rule()
    def hold(self) -> None:
        self.happen(Hold(self.at, OWNER, "lunch"))

    @rule()
    def resume(self) -> None:
        self.happen(Resume(self.at, OWNER))

    @precondition(lambda self: len(self.history) > PATIENCE)
    @rule()
    def roll_back(self) -> None:
        was_possible = self.rollout.state in AFOOT | {State.HELD, State.LIVE}
        self.happen(RollBack(self.at, OWNER, "INC-1"))
        assert not was_possible or self.rollout.state is State.ROLLING_BACK

    @precondition(lambda self: self.rollout.state is State.ROLLING_BACK)
    @rule()
    def flip(self) -> None:
        self.happen(Flipped(self.at, 7))

    @precondition(lambda self: self.rollout.state is State.ROLLING_BACK)
    @rule(acked=st.booleans(), strays=st.integers(0, 1), span=spans)
    def check(self, *, acked: bool, strays: int, span: timedelta) -> None:
        self.at += span
        self.happen(Checked(self.at, acked, strays, is_probed=True, is_recovered=True))

    @precondition(lambda self: self.rollout.state is State.ROLLING_BACK)
    @rule()
    def finish(self) -> None:
        self.happen(Flipped(self.at, 7))
        self.at += timedelta(minutes=1)
        self.happen(Checked(self.at, is_acked=True, strays=0, is_probed=True, is_recovered=True))
        assert self.rollout.state is State.ROLLED_BACK

    @precondition(lambda self: self.rollout.state is State.ROLLING_BACK)
    @rule()
    def retry(self) -> None:
        self.happen(Retry(self.at, OWNER))

    @precondition(lambda self: len(self.history) > 2 * PATIENCE)
    @rule()
    def supersede(self) -> None:
        self.happen(Supersede(self.at, OWNER, "1.2.0"))

    @invariant()
    def the_weight_is_that_of_the_stage_or_none(self) -> None:
        assert weight(self.policy, self.rollout) in {0, self.declared[self.rollout.stage], WHOLE}
        assert self.weights == sorted(self.weights)

    @invariant()
    def only_who_is_live_and_no_longer_kept_warm_has_who_was_held_back(self) -> None:
        share, is_warm = weight(self.policy, self.rollout), self.rollout.warm_until is not None
        held = self.policy.rollback.holdback
        if self.rollout.state is State.LIVE:
            assert share == (WHOLE - held if is_warm else WHOLE)
        assert not held or share < WHOLE or (self.rollout.state is State.LIVE and not is_warm)
        # Whoever has the candidate keeps it until it is taken back.
        self.shares = [0] if share == 0 else [*self.shares, share]
        assert self.shares == sorted(self.shares)

    @invariant()
    def what_is_over_stays_over(self) -> None:
        ended = [state for state in self.history if state in OVER]
        assert not ended or self.history[-1] == ended[0]

    @invariant()
    def rolled_back_means_flipped_and_verified(self) -> None:
        receipt = self.rollout.receipt
        if self.rollout.state is State.ROLLED_BACK:
            assert receipt is not None
            assert receipt.flipped is not None
            assert receipt.verified is not None
            assert receipt.detected <= receipt.decided <= receipt.verified
        assert (receipt is None) == (self.flips == 0)

    @invariant()
    def it_is_promoted_once_at_most(self) -> None:
        assert self.promotions <= 1
        assert self.rollout.state is not State.LIVE or self.promotions == 1

    @invariant()
    def what_is_due_is_never_more_than_the_stage(self) -> None:
        for effect in due(self.policy, self.rollout):
            assert not isinstance(effect, SetWeight) or effect.weight == self.declared[self.rollout.stage]


class HoldingBack(Rollouts):
    """The same with callers who stay with the old production for a while."""

    pinned = HOLDING_BACK


TestRollouts = Rollouts.TestCase
TestHoldingBack = HoldingBack.TestCase
TestRollouts.settings = settings(max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
TestHoldingBack.settings = settings(max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
