"""The short form of P15's scenario: whole rollouts whose metrics cannot be trusted, and some whose can."""

import pytest

from tests.simulated.blind import play
from tests.simulated.spoiling import WAYS


@pytest.mark.parametrize("way", WAYS)
def test_no_rollout_is_promoted_by_metrics_that_cannot_be_trusted(way: str) -> None:
    played = play([way], 2, seed=11)

    assert not [one for one in played if one.is_promoted]
    assert all(one.is_replayed for one in played)
    assert all(one.looks > 5 for one in played)


def test_a_good_candidate_whose_metrics_are_sound_is_promoted() -> None:
    """Else nothing could be promoted in this world, and the test above could not fail."""
    played = [one for one in play(["sound"], 4, seed=11) if one.is_promotable]

    assert played
    assert all(one.is_promoted and one.is_replayed for one in played)
