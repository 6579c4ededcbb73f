"""How large a graph becomes when the functions that it defines are written out, which onnxruntime does before it runs anything. Pure.

A function that calls another twice, which calls a third twice, and so on, is a large graph in a small file: forty lines are 2^40 nodes.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Final

Calls = Mapping[str, int]
"""How often each operator is called, by `domain:name`."""

MAIN: Final = ""
"""The scope that is no function."""

CEILING: Final = 10**9
"""Sizes end here: beyond, it does not matter how large, and the numbers would be as long as the file."""


def nodes_written_out(scopes: Mapping[str, Calls]) -> int | None:
    """How many nodes `MAIN` has when every function is written out; None where functions call each other in a circle.

    `scopes`: the calls of `MAIN` and of every function, by `domain:name`.
    """
    functions = {name: calls for name, calls in scopes.items() if name != MAIN}
    waiting = {name: functions.keys() & calls.keys() for name, calls in functions.items()}
    callers: dict[str, list[str]] = defaultdict(list)
    for name, called in waiting.items():
        for each in called:
            callers[each].append(name)
    ready, sizes = [name for name, called in waiting.items() if not called], dict[str, int]()
    while ready:  # no recursion: how deep it goes is the file's to choose
        name = ready.pop()
        sizes[name] = _size(functions[name], sizes)
        for caller in callers[name]:
            waiting[caller].discard(name)
            if not waiting[caller]:
                ready.append(caller)
    return None if len(sizes) < len(functions) else _size(scopes.get(MAIN, Counter()), sizes)


def _size(calls: Calls, sizes: Mapping[str, int]) -> int:
    return min(CEILING, sum(count * sizes.get(operator, 1) for operator, count in calls.items()))
