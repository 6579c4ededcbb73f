"""What an answer comes to, for the guards that look at outputs: its label, its score, whether it is invalid or the same whatever is asked.

Only calls that ask for it pay for it. Of an answer with several rows the first one speaks, so that an answer counts once.
"""

from collections.abc import Callable, Mapping

import numpy as np

from registry_client.manifest import Datatype
from serving.dataplane.contract import DYNAMIC, Contract, TensorContract
from serving.dataplane.datatypes import Tensor
from serving.ports import Said, Sorting

RUN = 32
"""So many different requests in a row with one and the same answer, to the last bit, and it is the same whatever is asked.

Only answers with floats can be: two classes are often enough the same. A tree whose largest leaf takes half of all requests comes to such a
row once in four billion answers.
"""

Outputs = Mapping[str, Tensor]

_SILENT: Callable[[Outputs], str | None] = lambda _: None  # noqa: E731 - what has no label says none


class Sorter:
    """Of one version. Which output says what follows from its interface."""

    def __init__(self, contract: Contract) -> None:
        self._floats = tuple(name for name, tensor in contract.outputs.items() if tensor.element.is_float)
        self._scored = self._floats[0] if self._floats else None
        self._label = _label_source(contract)
        self._closed = _closed_labels(contract)
        self._last: tuple[bytes, ...] = ()
        self._alike: set[int] = set()
        """The different requests that got the last answer, one after the other."""

    def said(self, outputs: Outputs, sorting: Sorting, asked: int) -> Said:
        """What a good answer comes to. `asked` tells the requests apart."""
        label = self._label(outputs) if sorting is Sorting.LABEL else None
        score = self._score(outputs) if sorting is Sorting.SCORE else None
        is_odd = self._is_constant(outputs, asked) or self._is_invalid(outputs, label)
        return Said(label, score, is_odd)

    def _score(self, outputs: Outputs) -> float | None:
        first = None if self._scored is None else _first_row(outputs, self._scored)
        if first is None:
            return None
        score = float(first.max())
        return score if np.isfinite(score) else None

    def _is_invalid(self, outputs: Outputs, label: str | None) -> bool:
        if label is not None and self._closed is not None and label not in self._closed:
            return True
        return any(name in outputs and not np.isfinite(outputs[name]).all() for name in self._floats)

    def _is_constant(self, outputs: Outputs, asked: int) -> bool:
        rows = tuple(_first_row(outputs, name) for name in self._floats)
        if not rows or any(row is None for row in rows):  # not all was asked for: two such answers may be alike and not the whole ones
            return False
        answer = tuple(row.tobytes() for row in rows if row is not None)
        if answer != self._last:
            self._last, self._alike = answer, set()
        if len(self._alike) < RUN:
            self._alike.add(asked)
        return len(self._alike) >= RUN


def _first_row(outputs: Outputs, name: str) -> Tensor | None:
    tensor = outputs.get(name)
    return None if tensor is None or not tensor.size else tensor[:1]


def _label_source(contract: Contract) -> Callable[[Outputs], str | None]:
    """The output that names a class: scores by label, else the first one that is no float, else the largest of several floats."""
    labels = contract.interface.labels
    tensors = contract.outputs.values()
    names = () if labels is None else labels.names
    by_label = next((tensor for tensor in tensors if tensor.spec.by_label), None)
    if by_label is not None:
        return _largest_of(by_label.name, names)
    discrete = next((tensor for tensor in tensors if not tensor.element.is_float), None)
    if discrete is not None:
        return _first_of(discrete)
    several = next((tensor for tensor in tensors if tensor.rank > 1 and tensor.spec.shape[-1] not in {1, DYNAMIC}), None)
    return _SILENT if several is None else _largest_of(several.name, names)


def _largest_of(output: str, names: tuple[str, ...]) -> Callable[[Outputs], str | None]:
    def label(outputs: Outputs) -> str | None:
        row = _first_row(outputs, output)
        if row is None:
            return None
        index = int(row.argmax()) % row.shape[-1]
        return names[index] if row.shape[-1] == len(names) else str(index)

    return label


def _first_of(tensor: TensorContract) -> Callable[[Outputs], str | None]:
    def label(outputs: Outputs) -> str | None:
        row = _first_row(outputs, tensor.name)
        if row is None:
            return None
        value = row.ravel()[0]
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

    return label


def _closed_labels(contract: Contract) -> frozenset[str] | None:
    """The labels that there are, where a text names the class and the interface promises no others."""
    labels = contract.interface.labels
    if labels is None or labels.policy != "closed" or any(tensor.spec.by_label for tensor in contract.outputs.values()):
        return None
    discrete = next((tensor for tensor in contract.outputs.values() if not tensor.element.is_float), None)
    is_text = discrete is not None and discrete.spec.datatype is Datatype.BYTES
    return frozenset(labels.names) if is_text else None
