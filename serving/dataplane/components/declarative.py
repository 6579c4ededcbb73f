"""Declarative components: a closed set of steps over named tensors, carried out with numpy.

Steps work in the datatype they find (float32 stays float32), along the last axis, never across rows. A step whose tensor is an
optional input that the caller left out is passed over.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Union

import msgspec
import numpy as np

from registry_client.decoding import from_plain
from registry_client.manifest import Datatype
from serving.dataplane.components.transform import Names, Tensors
from serving.dataplane.datatypes import ELEMENTS, Tensor
from serving.dataplane.faults import LoadFailed
from serving.dataplane.tensors import of_objects

Numbers = float | list[float]
NonEmpty = msgspec.Meta(min_length=1)


class Unfit(ValueError):
    """A tensor that a step cannot work on."""


class _Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="op", kw_only=True):
    tensor: str

    def trace(self, names: Names) -> Names:
        """The names after the step."""
        return names | {getattr(self, "to", None) or self.tensor}

    def apply(self, tensors: Tensors) -> None:
        """Carry the step out in place."""
        tensors[getattr(self, "to", None) or self.tensor] = self.of(tensors[self.tensor])

    def of(self, tensor: Tensor) -> Tensor:
        """The step's value."""
        raise NotImplementedError


class Scale(_Step, frozen=True, tag="scale"):
    """`tensor * multiply + add`."""

    multiply: Numbers = 1.0
    add: Numbers = 0.0

    def of(self, tensor: Tensor) -> Tensor:  # noqa: D102 - `_Step.of`
        scaled: Tensor = _floats(tensor) * np.asarray(self.multiply, tensor.dtype) + np.asarray(self.add, tensor.dtype)
        return scaled


class Standardize(_Step, frozen=True, tag="standardize"):
    """`(tensor - mean) / std`."""

    mean: Numbers
    std: Numbers

    def __post_init__(self) -> None:
        """Refuse a deviation of zero."""
        if not np.all(np.asarray(self.std) > 0):
            msg = "std must be above zero"
            raise ValueError(msg)

    def of(self, tensor: Tensor) -> Tensor:  # noqa: D102 - `_Step.of`
        standard: Tensor = (_floats(tensor) - np.asarray(self.mean, tensor.dtype)) / np.asarray(self.std, tensor.dtype)
        return standard


class Clip(_Step, frozen=True, tag="clip"):
    """Every number into [min, max]."""

    min: int | float | None = None
    max: int | float | None = None

    def __post_init__(self) -> None:
        """Refuse a clip without a bound, or with crossed ones."""
        if self.min is None and self.max is None:
            msg = "clip needs min or max"
            raise ValueError(msg)
        if self.min is not None and self.max is not None and self.min > self.max:
            msg = "min must not be above max"
            raise ValueError(msg)

    def of(self, tensor: Tensor) -> Tensor:  # noqa: D102 - `_Step.of`
        low, high = (None if bound is None else tensor.dtype.type(bound) for bound in (self.min, self.max))
        return np.clip(tensor, low, high)


class Cast(_Step, frozen=True, tag="cast"):
    """Another datatype; numbers to and from BYTES as their text."""

    to: Datatype

    def trace(self, names: Names) -> Names:  # noqa: D102 - `_Step.trace`
        return names

    def apply(self, tensors: Tensors) -> None:  # noqa: D102 - `_Step.apply`
        tensors[self.tensor] = self.of(tensors[self.tensor])

    def of(self, tensor: Tensor) -> Tensor:  # noqa: D102 - `_Step.of`
        if self.to is not Datatype.BYTES:
            return tensor.astype(ELEMENTS[self.to].dtype)
        return of_objects([str(value) for value in tensor.ravel().tolist()]).reshape(tensor.shape)


class Rename(_Step, frozen=True, tag="rename"):
    """Another name."""

    to: str

    def trace(self, names: Names) -> Names:  # noqa: D102 - `_Step.trace`
        return (names - {self.tensor}) | {self.to}

    def apply(self, tensors: Tensors) -> None:  # noqa: D102 - `_Step.apply`
        tensors[self.to] = tensors.pop(self.tensor)


class Copy(_Step, frozen=True, tag="copy"):
    """A second name for the same values."""

    to: str

    def of(self, tensor: Tensor) -> Tensor:  # noqa: D102 - `_Step.of`
        return tensor.copy()


class Drop(_Step, frozen=True, tag="drop"):
    """Gone."""

    def trace(self, names: Names) -> Names:  # noqa: D102 - `_Step.trace`
        return names - {self.tensor}

    def apply(self, tensors: Tensors) -> None:  # noqa: D102 - `_Step.apply`
        del tensors[self.tensor]


class Reshape(_Step, frozen=True, tag="reshape"):
    """The same elements in another shape; the first dimension stays the batch."""

    shape: Annotated[list[int], NonEmpty]

    def __post_init__(self) -> None:
        """Refuse a shape that is not one batch of fixed rows."""
        if self.shape[0] != -1 or any(size < 1 for size in self.shape[1:]):
            msg = "shape must be -1 (the batch) and then sizes above zero"
            raise ValueError(msg)

    def of(self, tensor: Tensor) -> Tensor:  # noqa: D102 - `_Step.of`
        return tensor.reshape(len(tensor), *self.shape[1:])


class Lowercase(_Step, frozen=True, tag="lowercase"):
    """Text in lower case."""

    def of(self, tensor: Tensor) -> Tensor:  # noqa: D102 - `_Step.of`
        return of_objects([value.lower() for value in _texts(tensor)]).reshape(tensor.shape)


class Strip(_Step, frozen=True, tag="strip"):
    """Text without white space around it."""

    def of(self, tensor: Tensor) -> Tensor:  # noqa: D102 - `_Step.of`
        return of_objects([value.strip() for value in _texts(tensor)]).reshape(tensor.shape)


class OneHot(_Step, frozen=True, tag="one_hot"):
    """A new last axis of FP32: 1 where the value is that category; all 0 for a value that is none of them."""

    categories: Annotated[list[str | int], NonEmpty]
    to: str | None = None

    def of(self, tensor: Tensor) -> Tensor:  # noqa: D102 - `_Step.of`
        categories = of_objects(self.categories) if tensor.dtype == object else np.asarray(self.categories)
        hits: Tensor = tensor[..., np.newaxis] == categories
        return hits.astype(np.float32)


class Softmax(_Step, frozen=True, tag="softmax"):
    """Scores to shares that add up to one."""

    to: str | None = None

    def of(self, tensor: Tensor) -> Tensor:  # noqa: D102 - `_Step.of`
        raised = np.exp(_floats(tensor) - tensor.max(axis=-1, keepdims=True))
        shares: Tensor = raised / raised.sum(axis=-1, keepdims=True)
        return shares


class Argmax(_Step, frozen=True, tag="argmax"):
    """The index of the greatest, INT64; the last axis goes."""

    to: str | None = None

    def of(self, tensor: Tensor) -> Tensor:  # noqa: D102 - `_Step.of`
        greatest: Tensor = np.asarray(tensor.argmax(axis=-1), np.int64)
        return greatest


class LabelMap(_Step, frozen=True, tag="label_map"):
    """Indexes to labels, BYTES."""

    labels: Annotated[list[str], NonEmpty]
    to: str | None = None

    def of(self, tensor: Tensor) -> Tensor:  # noqa: D102 - `_Step.of`
        if tensor.dtype.kind not in "iu":
            msg = f"label_map needs integers, not {tensor.dtype}"
            raise Unfit(msg)
        if tensor.size and not 0 <= int(tensor.min()) <= int(tensor.max()) < len(self.labels):
            msg = f"label_map has {len(self.labels)} labels, the indexes go from {tensor.min()} to {tensor.max()}"
            raise Unfit(msg)
        return of_objects(self.labels)[tensor]


class Reorder(_Step, frozen=True, tag="reorder"):
    """The elements of the last axis, taken in this order."""

    order: Annotated[list[Annotated[int, msgspec.Meta(ge=0)]], NonEmpty]

    def of(self, tensor: Tensor) -> Tensor:  # noqa: D102 - `_Step.of`
        return np.take(tensor, self.order, axis=-1)


Step = Union[  # noqa: UP007 - msgspec reads a tagged union of structs either way, mypy this one
    Scale, Standardize, Clip, Cast, Rename, Copy, Drop, Reshape, Lowercase, Strip, OneHot, Softmax, Argmax, LabelMap, Reorder
]


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `config` of a declarative component."""

    steps: Annotated[list[Step], NonEmpty]


class DeclarativeTransform:
    """The steps, one after the other."""

    def __init__(self, steps: Sequence[Step], *, label: str) -> None:
        self._steps = tuple(steps)
        self._label = label

    def __call__(self, tensors: Tensors) -> Tensors:
        """Carry the steps out."""
        for step in self._steps:
            if step.tensor in tensors:
                step.apply(tensors)
        return tensors

    def trace(self, names: Names) -> Names:
        """The names after all steps. Raises `LoadFailed` with the step that misses its tensor."""
        for index, step in enumerate(self._steps):
            if step.tensor not in names:
                reason = f"{self._label}: steps[{index}] works on tensor {step.tensor!r}, but there is only {', '.join(sorted(names))}"
                raise LoadFailed(reason)
            names = step.trace(names)
        return names


def load_declarative(config: dict[str, Any], *, label: str) -> DeclarativeTransform:
    """Read the steps. Raises `LoadFailed`, naming the step's index and field."""
    try:
        recipe = from_plain(config, Recipe)
    except msgspec.ValidationError as error:
        reason = f"{label}: its config does not describe steps: {error}"
        raise LoadFailed(reason) from error
    return DeclarativeTransform(recipe.steps, label=label)


def _floats(tensor: Tensor) -> Tensor:
    if tensor.dtype.kind != "f":
        msg = f"needs floats, not {tensor.dtype}: cast it first"
        raise Unfit(msg)
    return tensor


def _texts(tensor: Tensor) -> list[str]:
    values: list[Any] = tensor.ravel().tolist()
    if not all(type(value) is str for value in values):
        msg = "needs text"
        raise Unfit(msg)
    return values
