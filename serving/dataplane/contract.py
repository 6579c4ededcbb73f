"""The interface, compiled for checking: what a caller may send and what the pipeline must answer, each with its sentence."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from registry_client.manifest import Datatype, Interface, TensorSpec
from serving.dataplane.datatypes import ELEMENTS, Element, Tensor
from serving.dataplane.faults import BadInput, BadOutput
from serving.dataplane.tensors import as_text, as_text_where_possible

DYNAMIC = -1
BATCH = "the batch"
MOST_EMPTY = 1 << 20
"""Elements that an empty tensor's other dimensions may multiply to: a graph may reduce the zero away and allocate the rest."""
_CLIP = 80

Axis = tuple[str, int]
"""A dimension of an input: the input's name and the dimension's index."""


class TensorContract:
    """One tensor of the interface, ready to be checked against."""

    def __init__(self, spec: TensorSpec) -> None:
        self.spec = spec
        self.name = spec.name
        self.element: Element = ELEMENTS[spec.datatype]
        self.rank = len(spec.shape)
        self.fixed = tuple((axis, size) for axis, size in enumerate(spec.shape) if size != DYNAMIC)
        self.is_batched = spec.shape[0] == DYNAMIC
        self.has_json_form = self.element.has_json_form

    def fits(self, shape: Sequence[int]) -> bool:
        """Whether a shape has the rank and the fixed dimensions of the interface."""
        if len(shape) != self.rank:
            return False
        for axis, size in self.fixed:  # noqa: SIM110 - on the request path a loop costs half of what all() does
            if shape[axis] != size:
                return False
        return True

    def admit(self, shape: Sequence[int]) -> None:
        """Raise `BadInput` unless a caller may send this shape."""
        if not self.fits(shape):
            msg = f"input {self.name!r} has shape {clip(list(shape))}, the interface takes {list(self.spec.shape)} (-1 is any size)"
            raise BadInput(msg)
        if 0 in shape and math.prod(size or 1 for size in shape) > MOST_EMPTY:
            msg = f"input {self.name!r} is empty, and its other dimensions are too large: shape {clip(list(shape))}"
            raise BadInput(msg)

    def verify(self, tensor: object, rows: int | None) -> None:
        """Raise `BadOutput` unless the pipeline made what the interface promises. `rows`: what went in, None where it may differ."""
        if not isinstance(tensor, np.ndarray):
            raise BadOutput(self.name, f"is a {type(tensor).__name__}, not an array")
        if tensor.dtype != self.element.dtype and not (self.element.width is None and tensor.dtype.kind == "U"):
            raise BadOutput(self.name, f"is {tensor.dtype}, the interface says {self.spec.datatype}")
        if not self.fits(tensor.shape):
            raise BadOutput(self.name, f"has shape {tensor.shape}, the interface says {list(self.spec.shape)}")
        if rows is not None and self.is_batched and tensor.shape[0] != rows:
            raise BadOutput(self.name, f"has {tensor.shape[0]} rows for {rows} that went in")


@dataclass(frozen=True, slots=True)
class Tie:
    """Dimensions that one symbol of the graph (or the batch) says are equal."""

    symbol: str
    axes: tuple[Axis, ...]

    def refuse_difference(self, tensors: Mapping[str, Tensor]) -> None:
        """Raise `BadInput` where the given tensors differ in a tied dimension."""
        sizes = {tensors[name].shape[axis] for name, axis in self.axes if name in tensors}
        if len(sizes) > 1:
            named = ", ".join(f"{name!r} dimension {axis}: {tensors[name].shape[axis]}" for name, axis in self.axes if name in tensors)
            msg = f"the inputs differ in a dimension that must be equal ({clip(self.symbol)}): {named}"
            raise BadInput(msg)


class Contract:
    """The whole interface. `symbols` names the graph's own dimensions of inputs that reach it unchanged."""

    def __init__(self, interface: Interface, *, symbols: Mapping[Axis, str] | None = None, keeps_bytes: bool = False) -> None:
        self.interface = interface
        self.inputs = {spec.name: TensorContract(spec) for spec in interface.inputs}
        self.outputs = {spec.name: TensorContract(spec) for spec in interface.outputs}
        self.output_names = tuple(self.outputs)
        self.required = frozenset(spec.name for spec in interface.inputs if not spec.optional)
        self.ignores_unknown = interface.unknown_inputs == "ignore"
        self.keeps_bytes = keeps_bytes
        self.is_batched = all(tensor.is_batched for tensor in self.inputs.values())
        self.texts = frozenset(name for name, tensor in self.inputs.items() if tensor.spec.datatype is Datatype.BYTES)
        self.ties = _ties(interface, symbols or {})

    def rows(self, tensors: Mapping[str, Tensor]) -> int | None:
        """How many rows a call carries, None where the interface fixes the batch dimension."""
        return next(iter(tensors.values())).shape[0] if self.is_batched and tensors else None

    def settle(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """The last checks on inputs that are each admissible: none missing, tied dimensions equal, BYTES as text."""
        if len(tensors) != len(self.inputs):
            self._refuse_missing(tensors)
        for tie in self.ties:
            tie.refuse_difference(tensors)
        for name in self.texts:
            if name in tensors:
                tensors[name] = self._text(name, tensors[name])
        return tensors

    def _refuse_missing(self, given: Collection[str]) -> None:
        missing = [name for name in self.inputs if name in self.required and name not in given]
        if missing or not given:
            msg = f"input {quoted(missing or self.inputs)} is missing: the interface needs {quoted(sorted(self.required) or self.inputs)}"
            raise BadInput(msg)

    def _text(self, name: str, tensor: Tensor) -> Tensor:
        if self.keeps_bytes:
            return as_text_where_possible(tensor)
        try:
            return as_text(tensor)
        except ValueError as error:
            msg = f"input {name!r} {error}"
            raise BadInput(msg) from None


def _ties(interface: Interface, symbols: Mapping[Axis, str]) -> tuple[Tie, ...]:
    found: dict[str, list[Axis]] = {}
    for spec in interface.inputs:
        for axis, size in enumerate(spec.shape):
            symbol = BATCH if axis == 0 else symbols.get((spec.name, axis))
            if size == DYNAMIC and symbol is not None:
                found.setdefault(symbol, []).append((spec.name, axis))
    return tuple(Tie(symbol, tuple(axes)) for symbol, axes in found.items() if len(axes) > 1)


def quoted(names: Collection[str]) -> str:
    """Names for a sentence, clipped: they may be the caller's."""
    return ", ".join(repr(clip(name)) for name in list(names)[:16])


def clip(value: object, longest: int = _CLIP) -> str:
    """A caller's value for a sentence, never longer than what helps."""
    text = str(value)
    return text if len(text) <= longest else text[:longest] + "…"
