"""What an ONNX graph says about itself, read without an ONNX library: the files it leans on, its operators, its precision.

`behaviour` identifies what it computes: sha256 over the graph without the names, words and provenance that compute nothing.
"""

import hashlib
import mmap
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Final

from registry_client.inlining import MAIN, nodes_written_out
from registry_client.wire_format import BYTES, Field, NotProtobuf, fields, integers

# Field numbers of onnx.proto3: for each message, the fields that hold a message to look into, and which message that is.
_TREE: Final[dict[str, dict[int, str]]] = {
    "Model": {7: "Graph", 8: "Opset", 20: "Training", 25: "Function"},
    "Training": {1: "Graph", 2: "Graph"},
    "Graph": {1: "Node", 5: "Tensor", 11: "Value", 12: "Value", 13: "Value", 15: "SparseTensor"},
    "Function": {7: "Node", 9: "Opset", 11: "Attribute", 12: "Value"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "SparseTensor", 23: "SparseTensor"},
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Tensor": {13: "Entry"},
    "Value": {},
    "Opset": {},
    "Entry": {},
}
_WORDS: Final[dict[str, frozenset[int]]] = {  # producer, domain, version, doc strings, names of graph and nodes, metadata
    "Model": frozenset({2, 3, 4, 5, 6, 14}),
    "Graph": frozenset({2, 10, 16}),
    "Function": frozenset({8, 14}),
    "Node": frozenset({3, 6, 9}),
    "Attribute": frozenset({13}),
    "Tensor": frozenset({12, 16}),
    "Value": frozenset({3, 4}),
}
_DEEPEST: Final = 64
_STANDARD: Final = frozenset({"", "ai.onnx"})

_BITS: Final = {  # of TensorProto.DataType: what weights are stored in
    11: 64,
    1: 32,
    10: 16,
    16: 16,
    2: 8,
    3: 8,
    17: 8,
    18: 8,
    19: 8,
    20: 8,
    21: 4,
    22: 4,
    23: 4,
}
_MATRIX: Final = 2
"""Dimensions from which on a constant counts as weights: shapes, axes and scalars say nothing of precision."""

UNKNOWN_PRECISION: Final = 0


class NotAGraph(ValueError):
    """Bytes that are no ONNX graph."""

    def __init__(self, reason: str = "the file is no ONNX graph") -> None:
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class GraphFacts:
    """What a graph says about itself."""

    behaviour: str
    """sha256 (hex) of what it computes."""
    external: frozenset[str] = frozenset()
    """The `location` of every tensor stored outside the file."""
    domains: frozenset[str] = frozenset()
    """The operator domains that it imports or uses; the ONNX standard's own is the empty text."""
    operators: frozenset[str] = frozenset()
    functions: frozenset[str] = frozenset()
    """The domains of the functions that the graph itself defines."""
    precision: int = UNKNOWN_PRECISION
    """Bits of its narrowest weights."""
    nodes: int | None = 0
    """How many it has when its functions are written out; None where they call each other in a circle."""
    is_dated: bool = True
    """Whether it says, wherever it uses the standard's operators, of which opset they are."""


@dataclass(slots=True)
class _Seen:
    external: set[str] = field(default_factory=set[str])
    domains: set[str] = field(default_factory=set[str])
    operators: set[str] = field(default_factory=set[str])
    functions: set[str] = field(default_factory=set[str])
    bits: set[int] = field(default_factory=set[int])
    scope: str = MAIN
    """The function that is being read."""
    calls: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict[str, Counter[str]](Counter))
    """By scope."""
    dated: set[str] = field(default_factory=set[str])
    """The scopes that import an opset of the standard's domain."""


def read_graph(path: Path) -> GraphFacts:
    """Read a graph file. Raises `NotAGraph`, or `FileNotFoundError`."""
    with path.open("rb") as file:
        if path.stat().st_size == 0:
            reason = "the file is empty"
            raise NotAGraph(reason)
        view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    return inspect_graph(view)


def inspect_graph(content: memoryview) -> GraphFacts:
    """Read a graph. Raises `NotAGraph`."""
    seen = _Seen()
    try:
        behaviour = _digest(content, "Model", seen, 0)
    except NotProtobuf as error:
        raise NotAGraph from error
    return GraphFacts(
        behaviour=behaviour.hex(),
        external=frozenset(seen.external),
        domains=frozenset(seen.domains),
        operators=frozenset(seen.operators),
        functions=frozenset(seen.functions),
        precision=min(seen.bits, default=UNKNOWN_PRECISION),
        nodes=nodes_written_out(seen.calls),
        is_dated=MAIN in seen.dated
        or all(scope in seen.dated for scope, calls in seen.calls.items() if any(":" not in name for name in calls)),
    )


def _digest(view: memoryview, message: str, seen: _Seen, depth: int) -> bytes:
    """The digest of a message, of those of its parts and not of its words; notes on the way what it comes by."""
    if depth > _DEEPEST:
        reason = f"the graph is nested deeper than {_DEEPEST}"
        raise NotAGraph(reason)
    found = list(fields(view))
    if message == "Function":
        seen.scope = _overloaded(_operator(_text_of(found, 10), _text_of(found, 1)), _text_of(found, 13))
        seen.calls[seen.scope].update(())
    _NOTICE.get(message, _nothing)(found, seen)
    hasher = hashlib.sha256()
    for each in found:
        if each.number in _WORDS.get(message, ()):
            continue
        child = _TREE[message].get(each.number) if each.wire == BYTES else None
        hasher.update(f"{each.number} {each.wire} {len(each.content) if child is None else child}\n".encode())
        hasher.update(each.content if child is None else _digest(each.content, child, seen, depth + 1))
    if message == "Function":
        seen.scope = MAIN
    return hasher.digest()


def _nothing(_found: list[Field], _seen: _Seen) -> None:
    """Of most messages there is nothing to note."""


def _note_node(found: list[Field], seen: _Seen) -> None:
    domain = _text_of(found, 7)
    operator = _operator(domain, _text_of(found, 4))
    seen.operators.add(operator)
    seen.calls[seen.scope][_overloaded(operator, _text_of(found, 8))] += 1
    seen.domains.add(domain)


def _operator(domain: str, name: str) -> str:
    """How an operator is called here; the standard's have no domain in front, under either name of it."""
    return name if domain in _STANDARD else f"{domain}:{name}"


def _overloaded(operator: str, overload: str) -> str:
    """Functions of one name are told apart by a further one."""
    return f"{operator}:{overload}" if overload else operator


def _note_opset(found: list[Field], seen: _Seen) -> None:
    domain = _text_of(found, 1)
    seen.domains.add(domain)
    if domain in _STANDARD:
        seen.dated.add(seen.scope)


def _note_function(found: list[Field], seen: _Seen) -> None:
    seen.functions.add(_text_of(found, 10))


def _note_entry(found: list[Field], seen: _Seen) -> None:
    if _text_of(found, 1) == "location":
        seen.external.add(_text_of(found, 2))


def _note_tensor(found: list[Field], seen: _Seen) -> None:
    dimensions = [size for each in found if each.number == 1 for size in integers(each)]
    kinds = [each.integer for each in found if each.number == 2]  # noqa: PLR2004 - TensorProto.data_type
    if len(dimensions) >= _MATRIX and prod(dimensions) > 0 and kinds and kinds[-1] in _BITS:
        seen.bits.add(_BITS[kinds[-1]])


_NOTICE: Final = {
    "Node": _note_node,
    "Opset": _note_opset,
    "Function": _note_function,
    "Entry": _note_entry,
    "Tensor": _note_tensor,
}


def _text_of(found: list[Field], number: int) -> str:
    """The last field of that number wins, as protobuf has it."""
    texts = [each.text for each in found if each.number == number and each.wire == BYTES]
    return texts[-1] if texts else ""
