"""Other people's implementations say the same: `ville` live, `savvi` and `gbstats` by vectors of tests/golden/statistics_oracles.py."""

import json
from math import log
from pathlib import Path
from random import Random
from typing import Any

import pytest
import ville

from serving.core.statistics import Assignment, AsymptoticSequence, BernsteinSequence, Sums
from serving.core.statistics.classes import log_radius

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "statistics.json").read_text(encoding="utf-8"))


def dice(seed: int) -> Random:
    return Random(seed)


@pytest.mark.parametrize("alpha", [0.05, 0.001])
def test_the_bernstein_sequence_is_that_of_ville(alpha: float) -> None:
    rolls = dice(5)
    scores = [rolls.betavariate(2, 6) for _ in range(300)]
    other = ville.EmpiricalBernsteinCS(alpha=alpha, intersect=False).fit(scores)

    mine, path = BernsteinSequence(alpha), []
    for score in scores:
        mine = mine.after(Sums(1, score, score * score))
        path.append(mine.interval)

    assert [interval.low for interval in path] == pytest.approx(list(other.lower_), abs=1e-9)
    assert [interval.high for interval in path] == pytest.approx(list(other.upper_), abs=1e-9)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.5])
def test_the_sample_ratio_test_is_villes_beta_binomial_test(share: float) -> None:
    rolls = dice(6)
    arms = [int(rolls.random() < 1.5 * share) for _ in range(400)]
    other = ville.BernoulliTest(share, prior=(100 * share, 100 * (1 - share))).fit(arms)

    mine, path = Assignment(), []
    for arm in arms:
        mine = mine.after(arm, 1 - arm, share=share)
        path.append(mine.log_e)

    assert path == pytest.approx(list(other.log_e_values_), abs=1e-8)


@pytest.mark.parametrize("case", GOLDEN["assignment"], ids=lambda case: str(case["share"]))
def test_the_sample_ratio_test_has_savvis_odds(case: dict[str, Any]) -> None:
    mine, path = Assignment(), []
    for canary, production in case["ticks"]:
        mine = mine.after(canary, production, share=case["share"])
        path.append(mine.log_e)

    assert path == pytest.approx(case["log_e"], abs=1e-9)


@pytest.mark.parametrize("case", GOLDEN["asymptotic"], ids=lambda case: str(case["count"]))
def test_the_asymptotic_sequence_has_the_width_of_gbstats(case: dict[str, Any]) -> None:
    count = case["count"]
    scores = Sums(count, 0.0, float(count - 1))  # a variance of 1

    interval = AsymptoticSequence(case["alpha"], scores, case["narrowest_at"]).interval

    assert interval.high == pytest.approx(case["half_width"], rel=1e-9)
    assert interval.low == pytest.approx(-case["half_width"], rel=1e-9)


def test_the_radius_of_two_classes_gives_villes_interval_for_a_proportion() -> None:
    failures, trials, alpha = 7, 120, 0.01
    other = ville.BernoulliCS(alpha=alpha, prior=(0.5, 0.5), intersect=False).fit([1] * failures + [0] * (trials - failures))

    radius = log_radius((failures, trials - failures), alpha)

    seen = failures / trials
    for end in (other.lower_[-1], other.upper_[-1]):
        divergence = seen * log(seen / end) + (1 - seen) * log((1 - seen) / (1 - end))
        assert trials * divergence == pytest.approx(radius, rel=1e-6)
