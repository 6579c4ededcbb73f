"""The digits that come with scikit-learn, split once into training and held-out rows."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from examples.bundles import Json
from examples.splits import split

Pixels = NDArray[np.float64]
"""Rows of 64 values from 0 (paper) to 16 (ink)."""
Classes = NDArray[np.int64]

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
HELD_OUT = "digits-held-out"
_HELD_OUT_SHARE = 0.4


@dataclass(frozen=True, slots=True)
class Digits:
    """Training and held-out rows; `sha256` names the exact data."""

    train_pixels: Pixels
    train_classes: Classes
    pixels: Pixels
    classes: Classes
    sha256: str


def load() -> Digits:
    """The split: always the same rows."""
    pixels, classes = load_digits(return_X_y=True)
    digest = hashlib.sha256(pixels.astype("<f8").tobytes() + classes.astype("<i8").tobytes()).hexdigest()
    train, held_out = split(classes.tolist(), held_out_share=_HELD_OUT_SHARE)
    return Digits(pixels[train], classes[train], pixels[held_out], classes[held_out], digest)


def request(row: Pixels) -> Json:
    """The plain application request for one row."""
    return {"pixels": [int(value) for value in row]}


def traffic(data: Digits) -> list[Json]:
    """The held-out rows as requests with their true answers."""
    return [{"request": request(row), "truth": {"label": int(digit)}} for row, digit in zip(data.pixels, data.classes, strict=True)]
