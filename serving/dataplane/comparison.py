"""Compares a shadow's answer with the primary's. Pure: bytes in, one outcome out; the gravest difference names it.

A list of two or more different labels is a ranking, whose order is compared by its average overlap: the mean, over all lengths, of the
share that the first so many of both have in common (Fagin, Kumar, Sivakumar, "Comparing top k lists", 2003). 1 is the same order; what
stands first weighs most.
"""

import math
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, TypeGuard

import msgspec
import numpy as np

from registry_client.manifest import Datatype
from serving.dataplane.datatypes import ELEMENTS, Element, Tensor
from serving.dataplane.tensors import as_text_where_possible, from_wire, of_objects
from serving.ports import NO_JSON_PART, CallKind, Leeway, Primary, Reply


class Outcome(StrEnum):
    """What came of a mirrored call; a metric label."""

    AGREE = "agree"
    LABEL = "label"
    """A whole number, a truth value or a text differs."""
    NUMBER = "number"
    """A float differs beyond the tolerance."""
    RANK = "rank"
    """Less of a list's order is the same than must be."""
    SHAPE = "shape"
    """Names, shapes or datatypes differ."""
    ERROR = "error"
    """The shadow answered with an error."""


_GRAVITY = [Outcome.AGREE, Outcome.NUMBER, Outcome.RANK, Outcome.LABEL, Outcome.SHAPE]

LONGEST_RANKING = 1000
"""Of longer lists the beginnings are compared."""


class _Output(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: Datatype
    parameters: dict[str, Any] = {}
    data: list[Any] | None = None


class _Answer(msgspec.Struct):
    outputs: list[_Output]


_V2 = msgspec.json.Decoder(_Answer)
_PLAIN = msgspec.json.Decoder()


def compare(kind: CallKind, primary: Primary, own: Primary | Reply) -> Outcome:
    """How the shadow's good answer stands to the primary's, within its leeway. Model name, version and id do not matter."""
    leeway = primary.leeway
    try:
        if kind is CallKind.INFER:
            return _compare_tensors(_tensors(primary), _tensors(own), leeway)
        return _gravest(_differences(_PLAIN.decode(primary.body), _PLAIN.decode(own.body), leeway))
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError):  # an answer of another make
        return Outcome.SHAPE


def _gravest(found: Iterator[Outcome]) -> Outcome:
    return max(found, key=_GRAVITY.index, default=Outcome.AGREE)


# --- v2 ---


def _tensors(message: Primary | Reply) -> dict[str, tuple[Element, Tensor]]:
    end = len(message.body) if message.json_length == NO_JSON_PART else message.json_length
    at = end
    tensors: dict[str, tuple[Element, Tensor]] = {}
    for output in _V2.decode(message.body[:end]).outputs:
        element = ELEMENTS[output.datatype]
        if output.data is None:
            size = int(output.parameters.get("binary_data_size", 0))
            tensor = from_wire(element, memoryview(message.body)[at : at + size], output.shape)
            at += size
        else:
            tensor = _of_json(element, output.data).reshape(output.shape)
        tensors[output.name] = (element, as_text_where_possible(tensor) if element.width is None else tensor)
    return tensors


def _of_json(element: Element, data: list[Any]) -> Tensor:
    if element.is_float:
        return np.array([math.nan if value is None else value for value in data], np.float64)
    return of_objects(data) if element.width is None else np.array(data, element.dtype)


def _compare_tensors(primary: dict[str, tuple[Element, Tensor]], own: dict[str, tuple[Element, Tensor]], leeway: Leeway) -> Outcome:
    if primary.keys() != own.keys():
        return Outcome.SHAPE
    return _gravest(_compare_tensor(*primary[name], *own[name], leeway) for name in primary)


def _compare_tensor(element: Element, expected: Tensor, own_element: Element, actual: Tensor, leeway: Leeway) -> Outcome:
    if element is not own_element or expected.shape != actual.shape:
        return Outcome.SHAPE
    if element.is_float:
        wide, own = expected.astype(np.float64), actual.astype(np.float64)
        return Outcome.AGREE if _are_close(own, wide, leeway.atol, leeway.rtol) else Outcome.NUMBER
    if bool((expected == actual).all()):
        return Outcome.AGREE
    if expected.ndim < 2:  # noqa: PLR2004 - a label for each row, and no list
        return _unlike_labels(leeway)
    rows, others = (tensor.reshape(-1, tensor.shape[-1]).tolist() for tensor in (expected, actual))
    return _gravest(_compare_lists(row, other, leeway) for row, other in zip(rows, others, strict=True))


def _unlike_labels(leeway: Leeway) -> Outcome:
    return Outcome.LABEL if leeway.is_label_exact else Outcome.AGREE


def _compare_lists(expected: list[Any], actual: list[Any], leeway: Leeway) -> Outcome:
    """Two lists of labels, equally long."""
    if expected == actual:
        return Outcome.AGREE
    if not (_is_ranking(expected) and _is_ranking(actual)):
        return _unlike_labels(leeway)
    return Outcome.AGREE if average_overlap(expected, actual) >= leeway.rank else Outcome.RANK


def _is_ranking(labels: list[Any]) -> bool:
    return len(labels) > 1 and len(set(labels)) == len(labels)


def average_overlap(one: list[Any], other: list[Any]) -> float:
    """How much of two rankings' order is the same, 0 to 1: the mean share that the first 1, 2, 3... of both have in common.

    Shapes: each ranking names everything once, and both are equally long.
    """
    depth = min(len(one), LONGEST_RANKING)
    mine, others = set[Any](), set[Any]()
    common, total = 0, 0.0
    for place in range(depth):
        first, second = one[place], other[place]
        mine.add(first)
        others.add(second)
        common += 1 if first == second else (first in others) + (second in mine)
        total += common / (place + 1)
    return total / depth


def _are_close(own: Tensor, wide: Tensor, atol: float, rtol: float) -> bool:
    """As `np.allclose` has it, at a fifth of its price for small tensors that are finite."""
    if np.isfinite(own).all() and np.isfinite(wide).all():
        return bool((np.abs(own - wide) <= atol + rtol * np.abs(wide)).all())
    return bool(np.allclose(own, wide, rtol=rtol, atol=atol, equal_nan=True))


# --- plain JSON ---


def _differences(expected: object, actual: object, leeway: Leeway) -> Iterator[Outcome]:
    if isinstance(expected, dict) and isinstance(actual, dict):
        if expected.keys() != actual.keys():
            yield Outcome.SHAPE
            return
        for key, value in expected.items():
            yield from _differences(value, actual[key], leeway)
    elif isinstance(expected, list) and isinstance(actual, list):
        if len(expected) != len(actual):
            yield Outcome.SHAPE
        elif _are_labels(expected) and _are_labels(actual):
            yield _compare_lists(expected, actual, leeway)
        else:
            for one, other in zip(expected, actual, strict=True):
                yield from _differences(one, other, leeway)
    else:
        yield _compare_values(expected, actual, leeway)


def _are_labels(values: list[Any]) -> bool:
    """Whether all are texts, or all whole numbers."""
    kinds = {type(value) for value in values}
    return kinds in ({str}, {int})


def _compare_values(expected: object, actual: object, leeway: Leeway) -> Outcome:
    if _is_number(expected) and _is_number(actual) and float in {type(expected), type(actual)}:
        within = leeway.atol + leeway.rtol * abs(expected)
        return Outcome.AGREE if math.isclose(actual, expected, rel_tol=0, abs_tol=within) else Outcome.NUMBER
    if type(expected) is not type(actual):
        # a float that is finite on one side only is null on the other
        return Outcome.NUMBER if {type(expected), type(actual)} == {float, type(None)} else Outcome.SHAPE
    return Outcome.AGREE if expected == actual else _unlike_labels(leeway)


def _is_number(value: object) -> TypeGuard[int | float]:
    return type(value) in {int, float}
