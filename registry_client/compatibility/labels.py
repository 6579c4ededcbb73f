"""How labels differ: which there are, what they are called, and whether a caller can see their order."""

from collections.abc import Iterator

from registry_client.compatibility import rules
from registry_client.compatibility.datatypes import is_whole
from registry_client.compatibility.rules import Change
from registry_client.compatibility.tensors import DYNAMIC
from registry_client.manifest import Datatype, Interface, Labels, TensorSpec, Wire


def label_changes(old: Interface, new: Interface) -> Iterator[Change]:
    """What callers know of the labels and no longer may rely on, or may from now on."""
    before, after = old.labels, new.labels
    if before is None or after is None:
        if before is not None:
            yield Change(rules.LABELS_DROPPED, "the label names are gone")
        if after is not None:
            yield Change(rules.LABELS_DECLARED, "label names are declared")
        return
    yield from _names(before, after)
    if _places(before, after) != _places(after, before):
        seen = [tensor.name for tensor in old.outputs if _shows_index(tensor, len(before.names), old.promised)]
        if seen:
            yield Change(rules.LABELS_REORDERED, f"the labels are in another order, and {', '.join(seen)} shows their index")
    if before.policy != after.policy:
        rule = rules.LABELS_OPENED if after.policy == "extensible" else rules.LABELS_CLOSED
        yield Change(rule, f"the labels were {before.policy} and are {after.policy}")


def _names(old: Labels, new: Labels) -> Iterator[Change]:
    gone = [name for name in old.names if name not in new.names]
    added = [name for name in new.names if name not in old.names]
    if gone:
        yield Change(rules.LABEL_REMOVED, f"labels removed or renamed: {', '.join(gone)}")
    if added:
        rule = rules.LABEL_ADDED_EXTENSIBLE if old.policy == "extensible" else rules.LABEL_ADDED_CLOSED
        yield Change(rule, f"labels added to {old.policy} ones: {', '.join(added)}")


def _places(labels: Labels, other: Labels) -> list[tuple[int, str]]:
    return [(at, name) for at, name in enumerate(labels.names) if name in other.names]


def _shows_index(tensor: TensorSpec, count: int, wires: frozenset[Wire]) -> bool:
    """Whether a caller can see a label's place in this output: as a whole number, or as an axis with a place for each label."""
    if is_whole(tensor.datatype):
        return True
    axis = len(tensor.shape) > 1 and (tensor.shape[-1] == count or (tensor.shape[-1] == DYNAMIC and tensor.datatype is not Datatype.BYTES))
    # An axis that plain JSON keys by label shows its places on the tensor wire only.
    return (axis or tensor.by_label) and (Wire.TENSOR in wires or not tensor.by_label)
