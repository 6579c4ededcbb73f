"""A call that has been understood: its tensors, what it shares with others that may run with it, and how its answer is written."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Protocol

from serving.dataplane.datatypes import Tensor
from serving.ports import Reply, Sorting


class AnswerForm(Protocol):
    """How a caller wants its answer written."""

    def encode(self, tensors: Mapping[str, Tensor]) -> Reply:
        """Write the answer. `tensors` are verified against the interface."""
        ...


@dataclass(slots=True)
class Work:
    """One decoded call. `tensors` are admissible; `rows` is None where the interface fixes the batch."""

    tensors: dict[str, Tensor]
    rows: int | None
    outputs: tuple[str, ...]
    form: AnswerForm
    parameters: Hashable = ()
    """What the caller said beside the tensors, other than how to write the answer."""
    index: int = 0
    """Its place among the calls that arrived together."""
    sorting: Sorting = Sorting.NOTHING
    """What is to be said of its answer."""
    asked: int = 0
    """Tells its body apart from others, where something is to be said of its answer."""

    @property
    def signature(self) -> Hashable:
        """Calls of equal signature may run together along the first dimension; datatypes are the interface's anyway."""
        # Names in the order they came: callers who give theirs in another one run apart, which costs them a run and the others no sorting.
        return (*self.tensors, *[tensor.shape[1:] for tensor in self.tensors.values()], self.outputs, self.parameters)

    @property
    def size(self) -> int:
        """Bytes of the inputs, strings counted by their pointers."""
        size = 0
        for tensor in self.tensors.values():
            size += tensor.nbytes
        return size
