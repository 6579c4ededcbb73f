"""Calls that arrived together run together: which may share a run, how their rows are joined, and how the answer is cut apart."""

from collections.abc import Hashable, Iterator, Sequence

import numpy as np

from serving.dataplane.components.transform import Tensors
from serving.dataplane.work import Work


def grouped(works: Sequence[Work], *, max_rows: int, max_bytes: int) -> Iterator[list[Work]]:
    """Works of equal signature, in their order, as many together as the bounds allow; one beyond a bound stays alone."""
    alike: dict[Hashable, list[Work]] = {}
    for work in works:
        alike.setdefault(work.signature, []).append(work)
    for family in alike.values():
        yield from _bounded(family, max_rows, max_bytes)


def _bounded(works: Sequence[Work], max_rows: int, max_bytes: int) -> Iterator[list[Work]]:
    group: list[Work] = []
    rows = size = 0
    for work in works:
        own_rows, own_size = work.rows or 0, work.size
        if group and (rows + own_rows > max_rows or size + own_size > max_bytes):
            yield group
            group, rows, size = [], 0, 0
        group.append(work)
        rows, size = rows + own_rows, size + own_size
    if group:
        yield group


def joined(works: Sequence[Work]) -> Tensors:
    """Their inputs, one after the other along the first dimension."""
    return {name: np.concatenate([work.tensors[name] for work in works]) for name in works[0].tensors}


def parted(outputs: Tensors, works: Sequence[Work]) -> Iterator[Tensors]:
    """Each work's rows of the outputs."""
    start = 0
    for work in works:
        stop = start + (work.rows or 0)
        yield {name: tensor[start:stop] for name, tensor in outputs.items()}
        start = stop


def slices(tensors: Tensors, rows: int, *, max_rows: int) -> Iterator[tuple[Tensors, int]]:
    """The inputs in runs of at most `max_rows`, each with its number of rows."""
    for start in range(0, rows, max_rows):
        stop = min(start + max_rows, rows)
        yield {name: tensor[start:stop] for name, tensor in tensors.items()}, stop - start
