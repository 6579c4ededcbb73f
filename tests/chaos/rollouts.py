"""P15: rollouts by the thousand through the real engine, whose metrics cannot be trusted. What is real in them is in `tests/simulated`."""

from collections import Counter
from collections.abc import Sequence

from benchmarks.chaos import Figure
from serving.core.standing import State
from tests.chaos.scenario import Full, Scenario, Stage
from tests.simulated.blind import Blind, play
from tests.simulated.spoiling import WAYS

SOUND = "sound"
"""No way at all: so that a promotion is seen where there should be one."""

QUICK = len(WAYS)


def _blind(stage: Stage) -> Sequence[Figure]:
    number = stage.size(Full.BLIND_ROLLOUTS, QUICK)
    blind = play([*WAYS], number, stage.seed)
    # Enough that at least one of them has a good candidate and callers enough.
    sound = [one for one in play([SOUND], max(number // 20, 8), stage.seed) if one.is_promotable]
    stage.notes.extend(str(one) for one in (*blind, *sound) if one.is_promoted == (one.way != SOUND) or not one.is_replayed)
    return [*_figures(blind), *_sound(sound)]


def _figures(blind: Sequence[Blind]) -> Sequence[Figure]:
    ended = Counter(one.state for one in blind)
    return [
        Figure("promoted", sum(one.is_promoted for one in blind), at_most=0),
        Figure("rollouts", len(blind)),
        Figure("ways to spoil their metrics", len({one.way for one in blind})),
        Figure("held at the end", ended[State.HELD]),
        Figure("taken back", ended[State.ROLLED_BACK]),
        Figure("looks of the guards", sum(one.looks for one in blind)),
        Figure("logs that replay to other bytes", sum(not one.is_replayed for one in blind), at_most=0),
    ]


def _sound(sound: Sequence[Blind]) -> Sequence[Figure]:
    return [
        Figure("good ones with sound metrics", len(sound), at_least=1),
        Figure("of them not promoted", sum(not one.is_promoted for one in sound), at_most=0),
    ]


ROLLOUTS = (Scenario("P15", "rollouts that cannot see", _blind),)
