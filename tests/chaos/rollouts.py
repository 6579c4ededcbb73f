"""P15: rollouts by the hundred through the real engine: with metrics that cannot be trusted, and of versions that are like production.

What is real in them, and what is made up, stands in `tests/simulated`.
"""

from collections import Counter
from collections.abc import Sequence

from benchmarks.chaos import Figure
from serving.core.policy import Counting
from serving.core.standing import State
from tests.chaos.scenario import Full, Scenario, Stage
from tests.simulated.blind import Blind, play
from tests.simulated.calling import Identical, play_identical
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


PROMISED = 0.01
"""`risk.false_rollback` of the policies, all guards together."""

BLAMED_BY_REQUEST = 0.02
"""At least so many are blamed where every call of a caller counts, or the callers stick to nothing and nothing is shown."""


def _identical(stage: Stage) -> Sequence[Figure]:
    number = stage.size(Full.IDENTICAL_ROLLOUTS, 4)
    seeds = range(stage.seed, stage.seed + number)
    by_unit = play_identical(Counting.UNIT_WINDOW, seeds)
    by_request = play_identical(Counting.REQUEST, seeds[: max(number * 2 // 5, 2)])
    stage.notes.extend(str(one) for one in (*by_unit, *by_request) if one.signal or not one.is_replayed)
    least = int(BLAMED_BY_REQUEST * len(by_request))
    return [
        Figure("rollouts, a caller counted once", number),
        Figure("of them rolled back", _blamed(by_unit), at_most=max(int(PROMISED * number), 1)),
        Figure("of them live", sum(one.state is State.LIVE for one in by_unit)),
        Figure("callers counted", sum(one.trials for one in by_unit)),
        Figure("rollouts, every call counted", len(by_request)),
        Figure("of those rolled back", _blamed(by_request), at_least=least),
        Figure("logs that replay to other bytes", sum(not one.is_replayed for one in (*by_unit, *by_request)), at_most=0),
    ]


def _blamed(rollouts: Sequence[Identical]) -> int:
    return sum(bool(one.signal) for one in rollouts)


ROLLOUTS = (
    Scenario("P15", "rollouts that cannot see", _blind),
    Scenario("P15", "rollouts that change nothing", _identical),
)
