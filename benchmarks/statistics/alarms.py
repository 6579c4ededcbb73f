"""How often equal versions are called different, looked at after every single request; and what callers who stick to an arm do to that."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, log

import numpy as np
from numpy.typing import NDArray

from benchmarks.statistics.detection import CLASSES, EDGES, SIGMA, Dice
from serving.core.statistics import (
    Assignment,
    Direction,
    ErrorRatio,
    LatelyArms,
    LatelyClasses,
    Outcomes,
    Proof,
    RatioOnset,
    Signs,
    SlowerOnset,
    log_e_above,
    log_mean_exp,
    part_of,
)

LEVELS = (0.05, 0.001)
REQUESTS = 2000
"""Of both arms together in one run."""

SHARE = 0.05
RATE = 0.02
INCIDENT = 500
"""Requests of peace, then as many with five times the errors, and so on: an incident that both arms share."""

ALLOWED, FAIR, RARE = 0.02, 0.5, 0.001

ANY = Proof(inf, -inf)
"""However little apart the classes are, and nothing ends the turns of the spans early: more alarms than any guard would give."""


@dataclass(frozen=True, slots=True)
class Peace:
    """A world without a regression, and one run in it: the largest evidence of one that was ever seen."""

    name: str
    run: Callable[[Dice], float]


def _is_quiet(at: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.equal(at // INCIDENT % 2, 0)


def error_ratio(dice: Dice) -> float:
    """A2 from whenever on, over an incident that both arms share."""
    evidence, worst = RatioOnset(), 0.0
    rates = np.where(_is_quiet(np.arange(REQUESTS)), RATE, 5 * RATE)
    for is_canary in dice.random(int((dice.random(REQUESTS) < rates).sum())) < SHARE:
        evidence = evidence.after(int(is_canary), int(not is_canary), share=SHARE)
        worst = max(worst, evidence.log_e)
    return worst


def two_arms(dice: Dice) -> float:
    """A1 over all and of late, over the same incident."""
    evidence, worst = LatelyArms.of(Direction.WORSE), 0.0
    for at in range(REQUESTS):
        rate = RATE if at // INCIDENT % 2 == 0 else 5 * RATE
        seen = Outcomes(int(dice.random() < rate), 1)
        arms = (seen, Outcomes()) if dice.random() < SHARE else (Outcomes(), seen)
        evidence = evidence.after(*arms, share=SHARE)
        worst = max(worst, evidence.log_e)
    return worst


def latency(dice: Dice) -> float:
    """A2 over the three edges."""
    evidence, worst = [ErrorRatio() for _ in EDGES], 0.0
    exceeded = np.searchsorted(EDGES, SIGMA * dice.standard_normal(REQUESTS // 2))
    for count in exceeded[exceeded > 0]:
        is_canary = dice.random() < SHARE
        for index in range(int(count)):
            evidence[index] = evidence[index].after(int(is_canary), int(not is_canary), share=SHARE)
        worst = max(worst, log_mean_exp([one.log_e for one in evidence]))
    return worst


def classes(dice: Dice) -> float:
    """A1 with K classes, over all and of late."""
    evidence, worst, none = LatelyClasses.of(len(CLASSES)), 0.0, (0,) * len(CLASSES)
    for answer in dice.choice(len(CLASSES), p=CLASSES, size=REQUESTS // 2):
        seen = tuple(int(answer == index) for index in range(len(CLASSES)))
        arms = (seen, none) if dice.random() < SHARE else (none, seen)
        evidence = evidence.after(*arms, share=SHARE, proof=ANY)
        worst = max(worst, evidence.strongest(ANY)[0])
    return worst


def pairs(dice: Dice) -> float:
    """A3 at exactly the allowed rate."""
    seen, worst = Outcomes(), 0.0
    for disagreed in dice.random(REQUESTS // 4) < ALLOWED:
        seen += Outcomes(int(disagreed), 1)
        worst = max(worst, log_e_above(seen, ALLOWED))
    return worst


def signs(dice: Dice) -> float:
    """The sign test of pairs that take equally long, as a guard looks at it: from whenever on, and a third of them tied."""
    evidence, worst = SlowerOnset(FAIR), 0.0
    for sign in (3 * dice.random(REQUESTS // 4)).astype(int):
        evidence = evidence.after(Signs(*(int(sign == index) for index in range(3))))
        worst = max(worst, evidence.log_e)
    return worst


def router(dice: Dice) -> float:
    """The sample-ratio test of an honest router."""
    evidence, worst = Assignment(), 0.0
    for is_canary in dice.random(REQUESTS) < SHARE:
        evidence = evidence.after(int(is_canary), int(not is_canary), share=SHARE)
        worst = max(worst, evidence.log_e)
    return worst


PEACE = (
    Peace("errors (A2), shared incident", error_ratio),
    Peace("errors (A1), shared incident", two_arms),
    Peace("latency, three edges (A2)", latency),
    Peace("output classes (A1, K classes)", classes),
    Peace("shadow disagreement (A3)", pairs),
    Peace("paired latency (sign test)", signs),
    Peace("sample ratio", router),
)

UNITS, BROKEN, VISITS = 2000, 0.005, 27
"""Callers, the share of them that fails always (a client that sends rubbish, say), and how often each comes back."""


def sticky(dice: Dice, windows: int = 3) -> dict[str, float]:
    """One rollout of an identical version to callers who stick to their arm: the largest evidence, by request and by unit window."""
    canary = dice.random(UNITS) < SHARE
    broken = dice.random(UNITS) < BROKEN
    by_request, by_unit, worst = RatioOnset(), RatioOnset(), {"request": 0.0, "unit window": 0.0}
    for window in range(1, windows + 1):
        visits = dice.permutation(np.repeat(np.arange(UNITS), max(VISITS // windows, 1)))
        failed = broken[visits] | (dice.random(len(visits)) < RARE)
        by_unit = RatioOnset()
        for unit in visits[failed]:
            mine = bool(canary[unit])
            by_request = by_request.after(int(mine), int(not mine), share=SHARE)
            worst["request"] = max(worst["request"], by_request.log_e)
        for unit, fails in _first_visits(visits, failed):
            if fails:
                mine = bool(canary[unit])
                by_unit = by_unit.after(int(mine), int(not mine), share=SHARE)
                worst["unit window"] = max(worst["unit window"], by_unit.log_e + log(part_of(window)))
    return worst


def _first_visits(visits: NDArray[np.int64], failed: NDArray[np.bool_]) -> list[tuple[int, bool]]:
    _, first = np.unique(visits, return_index=True)
    first.sort()
    return [(int(visits[at]), bool(failed[at])) for at in first]


def share_of(worst: list[float], level: float) -> float:
    """The share of runs in which an alarm at a level was raised at any time."""
    return sum(one >= -log(level) for one in worst) / len(worst)
