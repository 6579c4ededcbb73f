"""A made-up bad version is caught by the family's own guards, and nobody who calls the family ever hears of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from serving.control import rehearsing
from serving.control.drill_news import sentence_of
from serving.control.operations import Author
from serving.core.injections import Injection
from serving.core.refusals import CannotDrill
from serving.ports import Commit, Transition
from tests.fakes.rehearsal_stage import FAMILY, V1, V2, Stage

ERRORS_ONLY = """
policy: 1
stages: [{name: canary, weight: 0.2, need: {safe: [errors]}}, {name: full, weight: 1.0}]
guards: [{id: errors, metric: error, on: {harm: rollback}}]
"""
ADA = Author("ada", "practice", "op-1")


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    with capture_logs():
        stage = Stage(tmp_path)
        await stage.set_up()
        tasks = [asyncio.create_task(work) for work in (stage.lead(), stage.call())]
        yield stage
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    structlog.reset_defaults()


async def test_the_guards_catch_a_version_that_fails_and_callers_are_answered_as_ever(stage: Stage) -> None:
    before = await stage.record()

    result = await stage.rehearsing.hold(FAMILY, Injection.ERRORS, ADA)

    assert result.passed, result.failure
    assert (result.injected, result.version, result.receipt.actor) == ("errors", V2, "auto")
    assert result.receipt.signal in {"errors", "tripwire"}
    receipt, began = result.receipt, result.began
    assert began is not None
    assert receipt.flipped is not None
    assert receipt.verified is not None
    assert began <= receipt.detected <= receipt.decided <= receipt.flipped <= receipt.verified
    after = await stage.record()
    assert (after.production, after.previous, after.quarantined, after.canaries) == (V2, (V1,), {}, ())
    assert (after.production_decided, after.rehearsal, after.drills) == (before.production_decided, None, (result,))
    assert stage.heard == [result]
    assert "saw it" in sentence_of(FAMILY, result)


@pytest.mark.parametrize(("injection", "signals"), [(Injection.SLOW, {"p99"}), (Injection.CONSTANT, {"collapse"})])
async def test_the_guards_catch_a_version_that_is_slow_or_always_says_the_same(
    stage: Stage, injection: Injection, signals: set[str]
) -> None:
    result = await stage.rehearsing.hold(FAMILY, injection, ADA)

    assert result.passed, result.failure
    assert (result.injected, result.receipt.signal in signals) == (injection.value, True), result.receipt
    assert result.began is not None
    assert result.began <= result.receipt.detected
    assert {answer.status for answer in stage.callers} == {200}
    after = await stage.record()
    assert (after.production, after.rehearsal, after.quarantined) == (V2, None, {})


@pytest.mark.parametrize("injection", [Injection.SLOW, Injection.CONSTANT])
async def test_what_no_guard_of_the_policy_can_see_is_refused_with_what_it_lacks(stage: Stage, injection: Injection) -> None:
    stage.policy(ERRORS_ONLY)

    with pytest.raises(CannotDrill, match=f"its policy has no guard that could see {injection.value} answers in stage canary"):
        await stage.rehearsing.hold(FAMILY, injection, ADA)

    assert (await stage.record()).rehearsal is None


async def test_no_caller_is_given_a_made_up_answer_and_no_version_is_blamed_for_one(stage: Stage) -> None:
    await stage.rehearsing.hold(FAMILY, Injection.ERRORS, ADA)

    assert len(stage.callers) > 20
    assert {answer.status for answer in stage.callers} == {200}
    assert not any(b"rehearsal" in answer.route_headers for answer in stage.callers)
    for bench in stage.gateways.values():
        assert {failure for _, _, failure in bench.recorder.answers} <= {None}
        assert not any(tally.counts().failures for tally in bench.gateway.tallies)


async def test_one_that_nobody_catches_has_failed_and_its_route_is_gone(stage: Stage) -> None:
    stage.leads = False

    result = await stage.rehearsing.hold(FAMILY, Injection.ERRORS, ADA, seconds=0.3)

    assert "no guard had it taken out within 0.3 s" in result.failure
    assert "failed: no guard" in sentence_of(FAMILY, result)
    assert (await stage.record()).rehearsal is None
    answer = await stage.predict(FAMILY, {"x": 1}, 1.0, f"rehearsal:{stage.keys[0]}")
    assert answer.status == 400


async def test_one_whose_route_does_not_go_away_has_failed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsing, "SETTLE_SECONDS", 0.2)

    async def deaf(transition: Transition) -> Commit:
        stage.world.store.follows = transition.action != "rehearsal caught"  # type: ignore[attr-defined]  # a FollowedStore
        return await whole(transition)

    whole, stage.world.store.commit = stage.world.store.commit, deaf  # type: ignore[method-assign]  # one gateway falls behind
    result = await stage.rehearsing.hold(FAMILY, Injection.ERRORS, ADA)

    assert "gateway-1 did not take it out" in result.failure
    assert result.receipt.verified is None


async def test_what_is_left_behind_is_ended_by_whoever_leads(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsing, "PATIENCE", timedelta(seconds=0.2))
    monkeypatch.setattr(Stage, "predict", nobody_answers)

    result = await stage.rehearsing.hold(FAMILY, Injection.ERRORS, ADA)

    assert "ended by whoever leads" in result.failure
    assert (await stage.record()).rehearsal is None


async def nobody_answers(*_: object) -> object:
    """A public side that never comes back."""
    return await asyncio.Event().wait()


async def test_the_same_operation_again_gives_the_first_result(stage: Stage) -> None:
    first = await stage.rehearsing.hold(FAMILY, Injection.ERRORS, ADA)

    again = await stage.rehearsing.hold(FAMILY, Injection.ERRORS, ADA)

    assert again == first
    assert len((await stage.record()).drills) == 1


async def test_a_family_with_nothing_in_production_cannot_be_rehearsed(stage: Stage) -> None:
    with pytest.raises(CannotDrill, match="nothing is in production"):
        await stage.rehearsing.hold("customer-intent", Injection.ERRORS, ADA)
