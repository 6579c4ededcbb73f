"""A rollout on its way back: who may send it there, and when it is over."""

from datetime import timedelta

import pytest

from serving.core.effects import FlipBack, Page, Tell, Verify
from serving.core.happenings import (
    Flipped,
    Observed,
    Retry,
    RollBack,
)
from serving.core.rollout import EventRefused
from serving.core.standing import State
from serving.core.verdicts import Finding
from tests.fakes.rollout_steps import DAY, NOBODY, PINNED, after, at_stage, good, later, rolling_back, verdicts
from tests.fakes.rollout_world import BEGIN, OWNER, step


def test_anybody_entitled_rolls_back_from_anywhere_without_an_assessment() -> None:
    for stage in ("shadow", "canary1", "full"):
        assert after(at_stage(stage), RollBack(BEGIN, OWNER, "INC-1")).state is State.ROLLING_BACK
    with pytest.raises(EventRefused, match="none of the roles"):
        step(PINNED, at_stage("full"), RollBack(BEGIN, NOBODY, "INC-1"))


def test_a_rollback_is_over_only_when_it_is_verified() -> None:
    flipped = after(rolling_back(), Flipped(BEGIN + timedelta(seconds=1), 77))

    for unfinished in (good(5), good(60, is_acked=False), good(60, strays=1), good(60, is_probed=False), good(60, is_recovered=False)):
        assert after(flipped, unfinished).state is State.ROLLING_BACK
    over, effects = step(PINNED, flipped, good(12, last_stray=BEGIN + timedelta(seconds=1.5)))

    assert over.state is State.ROLLED_BACK
    assert effects == (Tell("verified", "digits@1.1.0: the rollback is verified"),)
    receipt = over.receipt
    assert receipt is not None
    assert None not in {receipt.detected, receipt.decided, receipt.flipped, receipt.last_stray, receipt.verified}
    assert (receipt.epoch, receipt.actor, receipt.reason) == (77, "ada", "INC-1")


def test_an_unconfirmed_flip_is_asked_for_again() -> None:
    rollout, effects = step(PINNED, rolling_back(), good(5))

    assert (rollout.state, effects) == (State.ROLLING_BACK, (FlipBack("c" * 64, "INC-1", ""),))


def test_who_is_told_of_a_rollback_is_told_after_the_flip() -> None:
    _, effects = step(PINNED, rolling_back(), Flipped(BEGIN, 77))

    assert [type(effect) for effect in effects] == [Verify, Tell]
    assert step(PINNED, after(rolling_back(), Flipped(BEGIN, 77)), Flipped(BEGIN + DAY, 78))[1] == ()


def test_what_is_not_verified_in_time_is_escalated_once_and_can_still_be_verified() -> None:
    flipped = after(rolling_back(), Flipped(BEGIN, 77))

    late, effects = step(PINNED, flipped, good(400, is_recovered=False, strays=3))
    again, quiet = step(PINNED, late, good(500, is_recovered=False))

    assert effects == (Page("digits@1.1.0: the rollback is not verified: 3 stray answers, errors have not recovered"),)
    assert (quiet, again.state) == ((), State.ROLLING_BACK)
    over = after(again, good(600))
    assert over.receipt is not None
    assert (over.state, over.receipt.is_escalated) == (State.ROLLED_BACK, True)


def test_a_retry_flips_and_verifies_once_more() -> None:
    _, effects = step(PINNED, rolling_back(), Retry(BEGIN + DAY, OWNER))

    assert [type(effect) for effect in effects] == [FlipBack, Verify]


def test_a_second_rollback_and_what_is_observed_meanwhile_change_nothing() -> None:
    rollout = rolling_back()

    assert step(PINNED, rollout, RollBack(BEGIN + DAY, OWNER, "INC-2")) == (rollout, ())
    assert step(PINNED, rollout, Observed(BEGIN + DAY, verdicts("canary5"))) == (rollout, ())


def test_what_is_live_is_rolled_back_while_the_old_production_is_warm() -> None:
    soaking = at_stage("full")
    live = after(soaking, later(soaking, DAY))

    assert after(live, Observed(BEGIN + 3 * DAY, verdicts("full", errors=Finding.HARM))).state is State.ROLLING_BACK
    assert after(live, Observed(BEGIN + 3 * DAY, verdicts("full", p50=Finding.HARM))).state is State.LIVE
