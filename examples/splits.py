"""Splits a data set into training and held-out rows: the same rows every time, each class in proportion."""

from collections.abc import Sequence

from sklearn.model_selection import train_test_split

_SEED = 0


def split(labels: Sequence[object], *, held_out_share: float) -> tuple[list[int], list[int]]:
    """The row numbers of the training part and of the held-out part."""
    train, held_out = train_test_split(range(len(labels)), test_size=held_out_share, random_state=_SEED, stratify=labels)
    return [int(row) for row in train], [int(row) for row in held_out]
