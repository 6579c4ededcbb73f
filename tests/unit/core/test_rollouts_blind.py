"""Missing, stale, repeated and nonsensical metrics: whatever goes wrong with them, no rollout is promoted by it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import msgspec
import numpy as np
import pytest

from serving.core.effects import Promote
from serving.core.standing import State
from serving.core.totals import Report, Totals
from tests.fakes.rollout_world import Behaviour, World, track

MINUTE = timedelta(minutes=1)
Spoil = Callable[[World, tuple[Report, ...], np.random.Generator], tuple[Report, ...]]


def missing(world: World, reports: tuple[Report, ...], dice: np.random.Generator) -> tuple[Report, ...]:
    """One gateway, the one that the failures are on, is never heard."""
    del world, dice
    return reports[:1]


def gone(world: World, reports: tuple[Report, ...], dice: np.random.Generator) -> tuple[Report, ...]:
    """After the first stage nothing comes any more."""
    del dice
    return reports if world.rollout.stage == 0 else ()


def stale(world: World, reports: tuple[Report, ...], dice: np.random.Generator) -> tuple[Report, ...]:
    """The good first report of each gateway comes again and again."""
    del dice
    first: tuple[Report, ...] = world.__dict__.setdefault("first", reports)
    return first


def aged(world: World, reports: tuple[Report, ...], dice: np.random.Generator) -> tuple[Report, ...]:
    """Reports come in any order, each up to an hour late."""
    past: list[Report] = world.__dict__.setdefault("past", [])
    past += reports
    return tuple(past[int(index)] for index in dice.integers(0, len(past), 2)) if world.rollout.stage == 0 else ()


def repeated(world: World, reports: tuple[Report, ...], dice: np.random.Generator) -> tuple[Report, ...]:
    """A handful of good answers, told five times under new numbers: cumulative counters do not add up twice."""
    del dice
    first: tuple[Report, ...] = world.__dict__.setdefault("first", reports)
    return tuple(replace(report, sequence=world.sequence + number) for number in range(5) for report in first)


def nonsense(world: World, reports: tuple[Report, ...], dice: np.random.Generator) -> tuple[Report, ...]:
    """NaN, infinities, negative and impossible counters where the numbers should be."""
    del world
    readable = []
    for report in reports:
        document = msgspec.to_builtins(report)
        arm = document["totals"]["canary"]
        field, value = [("trials", float("nan")), ("failures", -5), ("trials", 1), ("slow", [10**9] * 4), ("odd", float("inf"))][
            int(dice.integers(5))
        ]
        arm[field] = value
        text = repr(document).replace("'", '"').replace("(", "[").replace(")", "]").replace("nan", "NaN").replace("inf", "Infinity")
        try:
            readable.append(msgspec.json.decode(text, type=Report))
        except msgspec.MsgspecError:
            continue
    return tuple(readable)


def one_sided(world: World, reports: tuple[Report, ...], dice: np.random.Generator) -> tuple[Report, ...]:
    """Production is counted, the candidate is not."""
    del world, dice
    return tuple(replace(report, totals=Totals(production=report.totals.production)) for report in reports)


@pytest.mark.parametrize("spoil", [missing, gone, stale, aged, repeated, nonsense, one_sided], ids=lambda spoil: spoil.__name__)
def test_no_rollout_is_promoted_by_metrics_that_cannot_be_trusted(spoil: Spoil) -> None:
    pinned = track("fast", **{"per_stage: 6h": "per_stage: 1h"})
    promoted = blamed = 0

    for seed in range(150):  # seven kinds: more than a thousand
        dice = np.random.default_rng(seed)
        candidate = Behaviour(errors=float(dice.choice([0.0, 0.001, 0.05])))
        world = World(pinned, candidate=candidate, trials=int(dice.integers(100, 3000)), seed=seed)
        world.start()
        for _ in range(16):
            if world.state not in {State.SHADOWING, State.RAMPING, State.SOAKING, State.HELD}:
                break
            world.pass_time(MINUTE * int(dice.integers(1, 12)))
            world.look(spoil(world, world.reports(), dice))
        promoted += world.state is State.LIVE or any(isinstance(effect, Promote) for effect in world.effects)
        blamed += world.state is State.ROLLING_BACK and candidate.errors < 0.01

    assert promoted == 0
    assert blamed <= 1
