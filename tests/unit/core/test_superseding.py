"""Who may have a rollout give way, and when: what is in production is not taken out by a word that blames nobody."""

from dataclasses import replace

import pytest

from serving.core.effects import TakeOff
from serving.core.happenings import Actor, Supersede
from serving.core.rollout import EventRefused, step
from serving.core.standing import Rollout, State
from tests.fakes.rollout_world import BEGIN, OWNER, track

PINNED = track("fast")
CANARY = Rollout("digits", "1.1.0", "c" * 64, PINNED.digest, "ada", State.RAMPING, entered=BEGIN)
LIVE = replace(CANARY, state=State.LIVE, stage=len(PINNED.policy.stages) - 1)


@pytest.mark.parametrize("role", ["owner", "oncall"])
def test_whoever_may_advance_or_roll_back_may_have_it_give_way(role: str) -> None:
    after, effects = step(PINNED, CANARY, Supersede(BEGIN, Actor("eve", (role,)), "1.2.0"))

    assert (after.state, effects[0]) == (State.SUPERSEDED, TakeOff())


def test_whoever_may_neither_advance_nor_roll_back_is_refused() -> None:
    with pytest.raises(EventRefused, match="eve has none of the roles"):
        step(PINNED, CANARY, Supersede(BEGIN, Actor("eve", ("intern",)), "1.2.0"))


def test_what_is_live_is_taken_out_by_a_rollback_only() -> None:
    with pytest.raises(EventRefused, match="only a rollback takes it out") as caught:
        step(PINNED, LIVE, Supersede(BEGIN, OWNER, "1.2.0"))

    assert "pointsman rollback digits" in caught.value.hint


def test_what_took_its_place_already_is_only_heard_of() -> None:
    after, effects = step(PINNED, LIVE, Supersede(BEGIN, Actor("eve"), "1.2.0", is_done=True))

    assert (after.state, effects) == (State.SUPERSEDED, ())
