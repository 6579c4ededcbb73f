"""What every pipeline component is to the pipeline, whatever its kind."""

from typing import Protocol

from serving.dataplane.datatypes import Tensor

Tensors = dict[str, Tensor]
Names = frozenset[str]


class Transform(Protocol):
    """Turns named tensors into named tensors; row i of what comes out belongs to row i of what went in."""

    def __call__(self, tensors: Tensors) -> Tensors:
        """Transform one batch. May change the mapping it is given; any exception is the component's fault."""
        ...

    def trace(self, names: Names) -> Names | None:
        """The names that come out when these go in, None where only running it can tell. Raises `LoadFailed` if one is missing."""
        ...
