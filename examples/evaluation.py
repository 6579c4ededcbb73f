"""Measures a classifier on held-out examples and states it as the manifest's evaluation entry."""

from math import sqrt

import numpy as np
from numpy.typing import ArrayLike

from examples.bundles import Json

Z95 = 1.959964
"""The normal quantile of a two-sided 95 % interval."""


def accuracy(dataset: str, answers: ArrayLike, truth: ArrayLike, *, part: str | None = None) -> Json:
    """The share of right answers with its 95 % interval; `part` names the slice of the dataset, if it is one."""
    right = np.asarray(answers) == np.asarray(truth)
    low, high = wilson(int(right.sum()), right.size)
    entry: Json = {"dataset": dataset, "metric": "accuracy", "value": round(float(right.mean()), 4)}
    if part is not None:
        entry["slice"] = part
    return {**entry, "n": right.size, "ci": [round(low, 4), round(high, 4)]}


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The Wilson score interval: unlike the plain normal one it stays inside 0 to 1."""
    share = successes / trials
    centre = share + Z95**2 / (2 * trials)
    spread = Z95 * sqrt(share * (1 - share) / trials + Z95**2 / (4 * trials**2))
    scale = 1 + Z95**2 / trials
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
