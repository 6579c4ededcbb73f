from dataclasses import replace
from datetime import timedelta

import pytest

from serving.control.policies.parsing import parse_policy
from serving.core.assessing import Assessment
from serving.core.effects import FlipBack, KeepWarm, Promote, ReleaseWarm, SetMirror, SetWeight, TakeOff, Tell, Verify
from serving.core.happenings import (
    Actor,
    Advance,
    Approve,
    Event,
    Flipped,
    Hold,
    Kind,
    Observed,
    Resume,
    Retry,
    RollBack,
    Start,
    Supersede,
)
from serving.core.rollout import TABLE, EventRefused, due, weight
from serving.core.standing import State
from serving.core.traffic import WHOLE
from serving.core.verdicts import Finding
from tests.fakes.rollout_steps import DAY, DRAFT, NOBODY, PINNED, POLICY, after, at_stage, good, later, rolling_back, verdicts
from tests.fakes.rollout_world import BEGIN, OTHER, OWNER, step, track
from tests.unit.control.policies.examples import FULL


def test_a_rollout_starts_with_its_first_stage() -> None:
    rollout, effects = step(PINNED, DRAFT, Start(BEGIN, OWNER))

    assert (rollout.state, rollout.stage, weight(POLICY, rollout)) == (State.SHADOWING, 0, 0)
    assert effects[:2] == (SetMirror(WHOLE), SetWeight(0))


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (Start(BEGIN, OWNER, obstacles=("the drill is stale",)), "drill is stale"),
        (Start(BEGIN, OWNER, quarantined="it failed"), "quarantined: it failed"),
        (Start(BEGIN, NOBODY), "none of the roles owner, release"),
        (Start(BEGIN, Actor("eve", ("owner",)), quarantined="it failed", override="I know"), "none of the roles release"),
    ],
)
def test_what_stands_in_the_way_forbids_the_start(event: Start, why: str) -> None:
    with pytest.raises(EventRefused, match=why) as caught:
        step(PINNED, DRAFT, event)

    assert caught.value.hint
    assert str(caught.value).startswith("start is refused: ")


def test_a_quarantined_digest_starts_by_an_override_with_a_reason() -> None:
    rollout = after(DRAFT, Start(BEGIN, OWNER, quarantined="it failed", override="it was the database"))

    assert rollout.state is State.SHADOWING


def test_another_policy_is_refused() -> None:
    with pytest.raises(EventRefused, match="another policy"):
        step(track("fast"), DRAFT, Start(BEGIN, OWNER))


def test_a_stage_advances_by_one_when_everything_it_needs_is_there() -> None:
    shadow = at_stage("shadow")

    rollout, effects = step(PINNED, shadow, later(shadow, timedelta(minutes=10)))

    assert (rollout.state, weight(POLICY, rollout)) == (State.RAMPING, 100)
    assert effects[:2] == (SetMirror(0), SetWeight(100))


@pytest.mark.parametrize(
    "observed",
    [
        Observed(BEGIN + timedelta(hours=4), verdicts("canary5", p99=Finding.UNDECIDED)),
        Observed(BEGIN + timedelta(hours=4), verdicts("canary5", units=999)),
        Observed(BEGIN + timedelta(hours=4), Assessment(units=10_000)),
        Observed(BEGIN + timedelta(hours=2, minutes=1), verdicts("canary5")),
    ],
    ids=["a guard is undecided", "too few units", "no verdicts", "too early"],
)
def test_a_stage_does_not_advance_while_anything_is_missing(observed: Observed) -> None:
    before = replace(at_stage("canary5"), entered=BEGIN + timedelta(hours=2))

    rollout, effects = step(PINNED, before, observed)

    assert (rollout.state, rollout.stage, effects) == (State.RAMPING, before.stage, ())


def test_a_stage_with_an_approval_waits_for_the_word_of_somebody_else() -> None:
    before = at_stage("quarter")
    waiting = after(before, later(before, timedelta(hours=2)))

    with pytest.raises(EventRefused, match="ada is its author"):
        step(PINNED, waiting, Approve(BEGIN, OWNER))
    with pytest.raises(EventRefused, match="none of the roles"):
        step(PINNED, waiting, Approve(BEGIN, NOBODY))
    approved = after(waiting, Approve(BEGIN, OTHER))

    assert waiting.stage == approved.stage == before.stage
    assert after(approved, later(before, timedelta(hours=2))).state is State.SOAKING


def test_an_approval_holds_for_one_stage_only() -> None:
    assert at_stage("full").approvals == ()


def test_after_the_soak_it_is_live_and_the_old_production_stays_warm_for_a_while() -> None:
    soaking = at_stage("full")

    early = after(soaking, later(soaking, timedelta(hours=23)))
    live, effects = step(PINNED, soaking, later(soaking, DAY))

    assert early.state is State.SOAKING
    assert live.state is State.LIVE
    assert effects[0] == Promote()
    assert isinstance(effects[1], KeepWarm)
    cold, released = step(PINNED, live, later(live, timedelta(hours=73)))
    assert (cold.warm_until, released) == (None, (ReleaseWarm(),))
    assert after(cold, later(live, timedelta(hours=74))) == cold


@pytest.mark.parametrize("stage", ["shadow", "canary1", "canary5", "quarter", "full"])
def test_harm_of_a_guard_that_rolls_back_pre_empts_everything(stage: str) -> None:
    before = at_stage(stage)

    rollout, effects = step(PINNED, before, Observed(BEGIN + DAY, verdicts(stage, p50=Finding.HARM, errors=Finding.HARM)))

    assert (rollout.state, weight(POLICY, rollout)) == (State.ROLLING_BACK, 0)
    assert effects == (FlipBack("c" * 64, "errors says so", "errors"),)
    assert rollout.receipt is not None
    assert rollout.receipt.detected == BEGIN + DAY


def test_harm_of_a_guard_that_holds_keeps_the_weight() -> None:
    before = at_stage("canary5")

    held, effects = step(PINNED, before, Observed(BEGIN + DAY, verdicts("canary5", p50=Finding.HARM)))

    assert (held.state, weight(POLICY, held)) == (State.HELD, 500)
    assert effects == (Tell("harm", "digits@1.1.0 is held: p50 says so"),)
    assert after(held, Observed(BEGIN + 2 * DAY, verdicts("canary5"))).state is State.HELD
    assert after(held, Observed(BEGIN + DAY, verdicts("canary5", errors=Finding.HARM))).state is State.ROLLING_BACK


def test_the_tripwire_rolls_back_from_a_hold_too() -> None:
    held = after(at_stage("canary1"), Hold(BEGIN, OWNER, "lunch"))

    rollout = after(held, Observed(BEGIN + DAY, Assessment(trip="failed 8 times in a row")))

    assert rollout.receipt is not None
    assert rollout.receipt.signal == "tripwire"


def test_no_data_holds_until_data_come_back_or_rolls_back_where_a_guard_says_so() -> None:
    shadow, canary = at_stage("shadow"), at_stage("canary1")

    held = after(shadow, Observed(BEGIN + DAY, verdicts("shadow", Finding.UNDECIDED, has_data=False)))
    back = after(held, Observed(BEGIN + DAY, verdicts("shadow")))

    assert (held.state, back.state, back.stage, back.entered) == (State.HELD, State.SHADOWING, 0, BEGIN + DAY)
    assert after(canary, Observed(BEGIN + DAY, verdicts("canary1", Finding.UNDECIDED, has_data=False))).state is State.ROLLING_BACK


def test_a_guard_that_rolls_back_for_want_of_data_does_so_though_another_holds_already() -> None:
    pinned = parse_policy(FULL.replace("no_data: hold", "no_data: rollback", 1).encode())
    seen = verdicts("canary5", p99=Finding.UNDECIDED)
    of_p99 = replace(seen, verdicts=tuple(replace(one, has_data=one.guard != "p99") for one in seen.verdicts))
    held, _ = step(pinned, replace(at_stage("canary5"), policy_digest=pinned.digest), Observed(BEGIN + DAY, of_p99))
    by_hand, _ = step(pinned, replace(at_stage("canary5"), policy_digest=pinned.digest), Hold(BEGIN + DAY, OWNER, "until monday"))
    blind = Observed(BEGIN + DAY, verdicts("canary5", Finding.UNDECIDED, has_data=False))

    after_all, _ = step(pinned, held, blind)

    assert (held.state, after_all.state) == (State.HELD, State.ROLLING_BACK)
    assert after_all.receipt is not None
    assert after_all.receipt.signal == "no-data"
    assert step(pinned, by_hand, blind)[0] == by_hand  # somebody decided on it


def test_the_deadline_holds_and_never_promotes() -> None:
    before = at_stage("canary5")
    observed = verdicts("canary5", p99=Finding.UNDECIDED)

    held, effects = step(PINNED, before, Observed(BEGIN + 3 * DAY, observed))

    assert held.state is State.HELD
    assert "deadline passed: p99 is undecided" in str(effects[0])


@pytest.mark.parametrize(("old", "new"), [("then: hold", "then: rollback"), ("ok: {below: 0.01}", "ok: {below: 0.01}")])
def test_the_deadline_rolls_back_where_the_policy_or_a_guard_says_so(old: str, new: str) -> None:
    pinned = parse_policy(FULL.replace(old, new).replace("undecided: hold", "undecided: rollback").encode())
    before = replace(at_stage("canary5"), policy_digest=pinned.digest)

    rollout, _ = step(pinned, before, Observed(BEGIN + 3 * DAY, verdicts("canary5", errors=Finding.UNDECIDED)))

    assert rollout.receipt is not None
    assert rollout.receipt.signal == "deadline"


@pytest.mark.parametrize(
    ("then", "state"),
    [("deadline: {per_stage: 24h, then: hold}", State.HELD), ("deadline: {per_stage: 24h, then: rollback}", State.ROLLING_BACK)],
)
def test_a_hold_for_want_of_data_ends_with_the_deadline_of_the_stage(then: str, state: State) -> None:
    pinned = parse_policy(FULL.replace("deadline: {per_stage: 24h, then: hold}", then).encode())
    blind = verdicts("canary5", Finding.UNDECIDED, has_data=False)
    before = replace(at_stage("canary5"), policy_digest=pinned.digest)
    held, _ = step(pinned, before, Observed(BEGIN + timedelta(hours=9), blind))

    later_on, _ = step(pinned, held, Observed(BEGIN + timedelta(hours=20), blind))
    too_late, _ = step(pinned, later_on, Observed(BEGIN + 2 * DAY, blind))

    assert (held.state, later_on) == (State.HELD, held)
    assert too_late.state is state


def test_a_hold_that_somebody_wants_outlasts_every_deadline() -> None:
    pinned = parse_policy(FULL.replace("then: hold", "then: rollback").encode())
    held, _ = step(pinned, replace(at_stage("canary5"), policy_digest=pinned.digest), Hold(BEGIN + DAY, OWNER, "until monday"))

    assert step(pinned, held, Observed(BEGIN + 9 * DAY, verdicts("canary5", Finding.UNDECIDED, has_data=False)))[0] == held


def test_a_guard_that_there_is_not_cannot_be_overridden() -> None:
    with pytest.raises(EventRefused, match="there is no guard p98") as caught:
        step(PINNED, at_stage("canary5"), Advance(BEGIN + DAY, OWNER, ("p98",), "INC-7"))

    assert "p99" in caught.value.hint


def test_who_resumes_or_advances_must_be_entitled_and_say_why_a_guard_is_not_listened_to() -> None:
    held = after(at_stage("canary5"), Observed(BEGIN + DAY, verdicts("canary5", p50=Finding.HARM)))
    harm = verdicts("canary5", p50=Finding.HARM)
    now = BEGIN + 2 * DAY

    with pytest.raises(EventRefused, match="none of the roles"):
        step(PINNED, held, Resume(now, NOBODY))
    with pytest.raises(EventRefused, match="p50 is harm"):
        step(PINNED, held, Advance(now, OWNER, assessment=harm))
    with pytest.raises(EventRefused, match="needs a reason"):
        step(PINNED, held, Advance(now, OWNER, override=("p50",), assessment=harm))
    assert after(held, Resume(now, OWNER)).state is State.RAMPING
    advanced = after(held, Advance(now, OWNER, override=("p50",), reason="it is the new hardware", assessment=harm))
    assert (weight(POLICY, advanced), advanced.overridden) == (2500, ("p50",))
    assert after(advanced, Observed(now, verdicts("quarter", p50=Finding.HARM))).state is State.RAMPING


def test_the_override_of_a_guard_lifts_nothing_else() -> None:
    before = at_stage("canary5")

    with pytest.raises(EventRefused, match="0 s of 15 min in stage canary5"):
        step(PINNED, before, Advance(BEGIN, OWNER, override=("p99",), reason="x", assessment=verdicts("canary5")))


@pytest.mark.parametrize("state", list(State))
def test_events_that_the_table_does_not_know_are_refused_with_what_there_can_be(state: State) -> None:
    rollout = replace(at_stage("canary5"), state=state)
    events: dict[Kind, Event] = {
        Kind.START: Start(BEGIN, OWNER),
        Kind.APPROVE: Approve(BEGIN, OTHER),
        Kind.ADVANCE: Advance(BEGIN, OWNER),
        Kind.HOLD: Hold(BEGIN, OWNER, "x"),
        Kind.RESUME: Resume(BEGIN, OWNER),
        Kind.FLIPPED: Flipped(BEGIN, 1),
        Kind.CHECKED: good(1),
        Kind.RETRY: Retry(BEGIN, OWNER),
        Kind.OBSERVED: Observed(BEGIN, Assessment()),
        Kind.ROLL_BACK: RollBack(BEGIN, OWNER, "x"),
        Kind.SUPERSEDE: Supersede(BEGIN, OWNER, "x"),
    }

    for kind in set(events) - set(TABLE[state]):
        with pytest.raises(EventRefused, match=f"{kind} is refused while the rollout is {state}") as caught:
            step(PINNED, rollout, events[kind])
        assert caught.value.hint
        assert "observed" not in caught.value.hint


def test_what_is_due_says_what_should_be_in_every_state() -> None:
    canary, back = at_stage("canary5"), rolling_back()

    assert due(POLICY, DRAFT) == ()
    assert due(POLICY, canary) == (SetMirror(0), SetWeight(500))
    assert due(POLICY, after(canary, Hold(BEGIN, OWNER, "x"))) == (SetMirror(0), SetWeight(500))
    assert due(POLICY, back) == (FlipBack("c" * 64, "INC-1", ""),)
    assert isinstance(due(POLICY, after(back, Flipped(BEGIN, 1)))[0], Verify)
    assert due(POLICY, after(canary, Supersede(BEGIN, OWNER, "1.2.0"))) == (TakeOff(),)
    soaking = at_stage("full")
    assert due(POLICY, after(soaking, later(soaking, DAY))) == (Promote(),)
