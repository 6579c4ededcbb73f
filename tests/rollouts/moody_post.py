"""Postprocessing of a digits version whose mood is in a file: what share of the inputs it fails, slows down, or answers wrongly.

Which inputs those are follows from the pixels, so that a request that is asked again gets the same answer.
"""

import json
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tensors = dict[str, NDArray[Any]]
LABELS = 10
CONSTANT = 3
PARTS = 1000


def build(config: dict[str, Any]) -> Callable[[Tensors], Tensors]:
    """Answer as the file `mood` says: which shares of the inputs it `fails`, answers `wrong` or `constant`, or `slow` by `seconds`."""
    mood = _Mood(Path(config["mood"]))

    def answer(tensors: Tensors) -> Tensors:
        shares = tensors["probabilities"]
        now = mood.read()
        # What is hard to read and what is easy fall where they may: the mood does not care.
        parts = [zlib.crc32(row.tobytes()) % PARTS / PARTS for row in shares]
        if any(part < now.get("fails", 0.0) for part in parts):
            msg = "in a bad mood"
            raise ValueError(msg)
        if any(part < now.get("slow", 0.0) for part in parts):
            time.sleep(now.get("seconds", 0.0))
        answers = np.array([_answer(row, part, now) for row, part in zip(shares, parts, strict=True)], dtype=np.float32)
        return {"label": answers.argmax(axis=1).astype(np.int64), "probabilities": answers}

    return answer


def _answer(row: NDArray[Any], part: float, mood: dict[str, float]) -> NDArray[Any]:
    """The shares of the labels: the next label's, or always the same one's, where the mood wants it."""
    if part < mood.get("constant", 0.0):
        return np.array([float(label == CONSTANT) for label in range(LABELS)])
    return np.roll(row, 1) if part < mood.get("wrong", 0.0) else row


class _Mood:
    """The file, read again whenever it changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = -1
        self._mood: dict[str, float] = {}

    def read(self) -> dict[str, float]:
        try:
            stamp = self._path.stat().st_mtime_ns
            if stamp != self._stamp:
                self._mood, self._stamp = json.loads(self._path.read_text(encoding="utf-8")), stamp
        except FileNotFoundError:
            self._mood, self._stamp = {}, -1
        return self._mood
