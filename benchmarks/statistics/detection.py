"""How many canary requests it takes until harm is shown, looked at after every single request."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import log, sqrt

import numpy as np

from serving.core.statistics import (
    BernsteinSequence,
    Detector,
    ErrorRatio,
    LatelyClasses,
    Outcomes,
    Proof,
    RatioOnset,
    Signs,
    SlowerOnset,
    Sums,
    log_e_above,
    log_mean_exp,
)
from serving.core.totals import MARGIN

Dice = np.random.Generator
ALPHA = 0.001
BAR = -log(ALPHA)

SIGMA = 0.5
"""Of the lognormal latencies of the simulated versions: p99 is 3.2 times the median."""

_Z99 = 2.3263478740408408
EDGES = np.array([0.0, SIGMA * _Z99, SIGMA * _Z99 + log(1.5)])
"""Logarithms of production's p50, p99 and 1.5 * p99, with the median as the unit."""

TAIL_SHARE, TAIL_FACTOR = 0.038, 10.0
BAD, GOOD = 0.05, 0.001
ALLOWED, DISAGREEING = 0.02, 0.1
CLASSES = np.array([0.5, 0.3, 0.2])
PROOF = Proof(BAR, 0.1)
"""Of drift: as `worse: {js: 0.1}` has it."""

RIGHT, DROP = 0.97, 0.1
MORE_THAN_HALF, SLOWER, SHARED = 0.6, 2.0, 0.5


@dataclass(frozen=True, slots=True)
class Reference:
    """The figures to reach: the range of medians and of 90th percentiles over the shares simulated."""

    median: tuple[float, float]
    p90: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A regression, the canary's share while it is looked for, and one run: the canary requests until it is found."""

    name: str
    share: float
    reference: Reference
    run: Callable[[Dice, float], int]


def errors(dice: Dice, share: float) -> int:
    """A2 over failures, from whenever on, as a guard looks at it."""
    evidence, requests = RatioOnset(), 0
    while evidence.log_e < BAR:
        is_canary = dice.random() < share
        requests += is_canary
        if dice.random() < (BAD if is_canary else GOOD):
            evidence = evidence.after(int(is_canary), int(not is_canary), share=share)
    return requests


def slowed(dice: Dice, share: float, slow: Callable[[Dice], float]) -> int:
    """A2 over exceedances of the three edges, mixed with equal weight."""
    evidence, requests = [ErrorRatio() for _ in EDGES], 0
    while log_mean_exp([one.log_e for one in evidence]) < BAR:
        is_canary = dice.random() < share
        requests += is_canary
        latency = SIGMA * dice.standard_normal() + (slow(dice) if is_canary else 0.0)
        exceeded = int(np.searchsorted(EDGES, latency))
        for index in range(exceeded):
            evidence[index] = evidence[index].after(int(is_canary), int(not is_canary), share=share)
    return requests


def doubled(dice: Dice, share: float) -> int:
    """Every answer takes twice as long."""
    return slowed(dice, share, lambda _: log(2.0))


def tailed(dice: Dice, share: float) -> int:
    """A few answers take very long, the others as long as ever."""
    return slowed(dice, share, lambda dice: log(TAIL_FACTOR) if dice.random() < TAIL_SHARE else 0.0)


def collapsed(dice: Dice, share: float) -> int:
    """Every answer is the class that was the most frequent one anyway: A1 with K classes, over all and of late, as a guard looks at it."""
    evidence, requests, none = LatelyClasses.of(len(CLASSES)), 0, (0,) * len(CLASSES)
    while not PROOF.is_given_by(*evidence.strongest(PROOF)):
        is_canary = dice.random() < share
        requests += is_canary
        answer = 0 if is_canary else int(dice.choice(len(CLASSES), p=CLASSES))
        seen = tuple(int(answer == index) for index in range(len(CLASSES)))
        arms = (seen, none) if is_canary else (none, seen)
        evidence = evidence.after(*arms, share=share, proof=PROOF)
    return requests


def disagreeing(dice: Dice, share: float) -> int:
    """Shadow pairs disagree in 10 % where 2 % are allowed: A3. Every request has a pair, whatever the share."""
    del share
    seen = Outcomes()
    while log_e_above(seen, ALLOWED) < BAR:
        seen += Outcomes(int(dice.random() < DISAGREEING), 1)
    return seen.trials


def rated(dice: Dice, share: float) -> int:
    """Callers rate answers 1 or 0, and half of the candidate's right answers are wrong: intervals more than the drop apart."""
    mine = others = BernsteinSequence(ALPHA / 2)
    requests = 0
    while mine.interval.high >= others.interval.low - DROP:
        is_canary = dice.random() < share
        requests += is_canary
        score = float(dice.random() < (RIGHT / 2 if is_canary else RIGHT))
        if is_canary:
            mine = mine.after(Sums(1, score, score))
        else:
            others = others.after(Sums(1, score, score))
    return requests


def slower_pairs(dice: Dice, share: float) -> int:
    """Every copy takes twice as long as it would; of the latency the half belongs to the request, which a pair shares: the sign test."""
    del share
    evidence, pairs = SlowerOnset(MORE_THAN_HALF), 0
    own = SIGMA * sqrt(1 - SHARED)
    while evidence.log_e < BAR:
        pairs += 1
        apart = own * (dice.standard_normal() - dice.standard_normal()) + log(SLOWER)
        sign = Signs(slower=1) if apart > log(MARGIN) else Signs(faster=1) if apart < -log(MARGIN) else Signs(tied=1)
        evidence = evidence.after(sign)
    return pairs


PAST = 2500
"""Canary requests before the late jump."""


def late(dice: Dice, share: float, *, detector: bool) -> int:
    """From 0.1 to 5 % errors after a long good past: by the e-detector, or by the cumulative evidence alone."""
    return _by_detector(dice, share) if detector else _by_evidence(dice, share, ErrorRatio())


def _past(dice: Dice, share: float) -> Iterator[bool]:
    failures = dice.binomial(round(PAST / share), GOOD)
    yield from (bool(mine) for mine in dice.random(failures) < share)


def _jumped(dice: Dice, share: float) -> Iterator[tuple[int, bool | None]]:
    """Canary requests since the jump, and whose failure came, if one did."""
    requests = 0
    while True:
        is_canary = bool(dice.random() < share)
        requests += is_canary
        failed = dice.random() < (BAD if is_canary else GOOD)
        yield requests, is_canary if failed else None


def _by_evidence(dice: Dice, share: float, evidence: ErrorRatio | RatioOnset) -> int:
    for past in _past(dice, share):
        evidence = evidence.after(int(past), int(not past), share=share)
    for requests, mine in _jumped(dice, share):
        if mine is not None:
            evidence = evidence.after(int(mine), int(not mine), share=share)
        if evidence.log_e >= BAR:
            return requests
    raise AssertionError


def _by_detector(dice: Dice, share: float) -> int:
    none, detector = ErrorRatio(), Detector()
    gains = {mine: none.after(int(mine), int(not mine), share=share).gains(none) for mine in (True, False)}
    for past in _past(dice, share):
        detector = detector.after(gains[past])
    for requests, mine in _jumped(dice, share):
        if mine is not None:
            detector = detector.after(gains[mine])
        if detector.log_m >= BAR:
            return requests
    raise AssertionError


ERRORS = Reference((60, 68), (127, 154))
SLOW = Reference((27, 31), (54, 63))
TAIL = Reference((106, 116), (223, 245))
COLLAPSE = Reference((15, 15), (17, 17))
NO_REFERENCE = Reference((0, 0), (0, 0))
PAIRS = Reference((88, 88), (189, 189))

SCENARIOS = (
    *(Scenario("errors 0.1 -> 5 %", share, ERRORS, errors) for share in (0.01, 0.05)),
    *(Scenario("all latency x2", share, SLOW, doubled) for share in (0.01, 0.05)),
    *(Scenario("tail only", share, TAIL, tailed) for share in (0.01, 0.05)),
    *(Scenario("collapse to one class", share, COLLAPSE, collapsed) for share in (0.01, 0.05)),
    Scenario("shadow disagreement 2 -> 10 %", 1.0, PAIRS, disagreeing),
    Scenario("late jump, e-detector", 0.05, Reference((55, 55), (0, 0)), lambda dice, share: late(dice, share, detector=True)),
    Scenario("late jump, from whenever on", 0.05, NO_REFERENCE, lambda dice, share: _by_evidence(dice, share, RatioOnset())),
    Scenario("late jump, cumulative", 0.05, Reference((212, 212), (0, 0)), lambda dice, share: late(dice, share, detector=False)),
    Scenario("feedback 97 -> 48 %", 0.05, NO_REFERENCE, rated),
    Scenario("all latency x2, paired (sign test)", 1.0, NO_REFERENCE, slower_pairs),
)
