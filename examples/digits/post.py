"""Postprocessing of digits 1.3.0: replaces the model's confidence by how often it was right when it was that confident.

Faulty on purpose: buckets that held too few examples to calibrate have no entry, and nothing stands in for them, so every request
of which the model is unsure fails. All golden examples are clear ones and pass; only traffic shows it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tensors = dict[str, NDArray[Any]]
_TINY = np.finfo(np.float64).tiny


def build(config: dict[str, Any]) -> Callable[[Tensors], Tensors]:
    """Make the calibration from `buckets` (how many between 0 and 1) and `accuracy` (by bucket)."""
    buckets = int(config["buckets"])
    accuracy = {int(bucket): float(value) for bucket, value in config["accuracy"].items()}

    def calibrate(tensors: Tensors) -> Tensors:
        shares = tensors["probabilities"].astype(np.float64)
        label = shares.argmax(axis=1).astype(np.int64)
        confidence = np.array([accuracy[bucket] for bucket in bucket_of(shares.max(axis=1), buckets).tolist()])
        is_label = np.arange(shares.shape[1]) == label[:, np.newaxis]
        others = np.where(is_label, 0.0, shares)
        others *= ((1 - confidence) / np.maximum(others.sum(axis=1), _TINY))[:, np.newaxis]
        return {"label": label, "probabilities": np.where(is_label, confidence[:, np.newaxis], others).astype(np.float32)}

    return calibrate


def bucket_of(top: NDArray[np.float64], buckets: int) -> NDArray[np.int64]:
    """The bucket of each confidence; 1.0 belongs to the last."""
    return np.minimum((top * buckets).astype(np.int64), buckets - 1)
