"""Prints golden vectors of savvi and gbstats, which want older numpy than this project: run it in an environment of their own.

python -m venv oracles && oracles/bin/pip install savvi==0.2.0 matplotlib gbstats==0.8.0
oracles/bin/python tests/golden/statistics_oracles.py
"""

import json
import sys
from collections.abc import Iterator

import numpy as np
from gbstats.frequentist.tests import SequentialConfig, SequentialTwoSidedTTest
from gbstats.models.statistics import SampleMeanStatistic
from savvi.multinomial import Multinomial

SPLITS = [(0.01, [(0, 100), (3, 97), (9, 200)]), (0.05, [(5, 95), (50, 950), (150, 1850)]), (0.25, [(10, 10), (40, 60)])]
SEQUENCES = [(0.05, 5000, 150, 250), (0.05, 500, 100, 100), (0.001, 5000, 4000, 6000)]


def assignment() -> Iterator[dict[str, object]]:
    """Sample-ratio tests: after each tick of (canary, production) trials the logarithm of savvi's odds."""
    for share, ticks in SPLITS:
        test, path = Multinomial(0.05, np.array([share, 1 - share])), []
        for tick in ticks:
            test.update(np.array(tick))
            path.append(float(np.log(test.odds)))
        yield {"share": share, "ticks": ticks, "log_e": path}


def asymptotic() -> Iterator[dict[str, object]]:
    """Half-widths of gbstats' sequential interval for a difference of means, in units of the root of N times its variance."""
    for alpha, narrowest_at, n_a, n_b in SEQUENCES:
        a, b = (SampleMeanStatistic(n=n, sum=n * 0.5, sum_squares=n * 0.5) for n in (n_a, n_b))
        config = SequentialConfig(alpha=alpha, difference_type="absolute", sequential_tuning_parameter=narrowest_at)
        test = SequentialTwoSidedTTest(a, b, config)
        low, high = test.confidence_interval
        count = n_a + n_b
        unit = (test.variance * count) ** 0.5
        yield {"alpha": alpha, "narrowest_at": narrowest_at, "count": count, "half_width": float((high - low) / 2 / unit)}


json.dump({"assignment": list(assignment()), "asymptotic": list(asymptotic())}, sys.stdout, indent=1)
