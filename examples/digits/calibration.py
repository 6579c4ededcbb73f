"""Fits the table that `post.py` reads: how often the model was right, by how confident it was."""

import numpy as np
from numpy.typing import NDArray

from examples.bundles import Json
from examples.digits.data import Classes
from examples.digits.models import Probabilities
from examples.digits.post import bucket_of

BUCKETS = 10
FEWEST = 200
"""Examples that a bucket needs before its accuracy is believed. Sensible; forgetting what becomes of the other buckets is the fault."""


def histogram(probabilities: Probabilities, truth: Classes) -> Json:
    """The `config` of `post.py`: the accuracy of each bucket that held enough examples."""
    buckets = bucket_of(probabilities.max(axis=1), BUCKETS)
    right = probabilities.argmax(axis=1) == truth
    well_filled = [bucket for bucket in range(BUCKETS) if np.count_nonzero(buckets == bucket) >= FEWEST]
    return {"buckets": BUCKETS, "accuracy": {str(bucket): _smoothed(right[buckets == bucket]) for bucket in well_filled}}


def _smoothed(right: NDArray[np.bool_]) -> float:
    """The rule of succession: never quite certain."""
    return round((int(right.sum()) + 1) / (right.size + 2), 6)
