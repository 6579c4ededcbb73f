"""How inputs and outputs differ: inputs are contravariant, outputs covariant, each judged on the wires that are promised."""

from collections.abc import Iterator

from registry_client.compatibility import rules
from registry_client.compatibility.datatypes import holds, json_kind
from registry_client.compatibility.rules import Change, Rule
from registry_client.manifest import Interface, Labels, TensorSpec, Wire

DYNAMIC = -1


def input_changes(old: Interface, new: Interface) -> Iterator[Change]:
    """What callers must send otherwise, or may."""
    before = {tensor.name: tensor for tensor in old.inputs}
    after = {tensor.name: tensor for tensor in new.inputs}
    for name in before.keys() - after.keys():
        yield Change(rules.INPUT_REMOVED, f"input {name} was removed or renamed")
    for name in after.keys() - before.keys():
        yield _input_added(after[name])
    for name in before.keys() & after.keys():
        yield from _one_input(before[name], after[name], old.promised)
    if old.unknown_inputs != new.unknown_inputs:
        rule = rules.UNKNOWN_INPUTS_REFUSED if new.unknown_inputs == "reject" else rules.UNKNOWN_INPUTS_IGNORED
        yield Change(rule, f"unknown_inputs was {old.unknown_inputs} and is {new.unknown_inputs}")
    for wire in sorted(old.promised - new.promised):
        yield Change(rules.WIRE_REMOVED, f"the {wire} wire is no longer promised")
    for wire in sorted(new.promised - old.promised):
        yield Change(rules.WIRE_ADDED, f"the {wire} wire is promised")


def _input_added(tensor: TensorSpec) -> Change:
    if tensor.optional:
        return Change(rules.INPUT_OPTIONAL_ADDED, f"optional input {tensor.name} was added")
    return Change(rules.INPUT_REQUIRED_ADDED, f"required input {tensor.name} was added")


def _one_input(old: TensorSpec, new: TensorSpec, wires: frozenset[Wire]) -> Iterator[Change]:
    what = f"input {old.name}"
    if old.optional != new.optional:
        rule = rules.INPUT_NOW_OPTIONAL if new.optional else rules.INPUT_NOW_REQUIRED
        yield Change(rule, f"{what} became {'optional' if new.optional else 'required'}")
    yield from _input_datatype(what, old, new, wires)
    yield from _form(what, old, new, rank=rules.INPUT_RANK, json_form=rules.INPUT_JSON_FORM, wires=wires)
    for at, before, after in _changed_dimensions(old, new):
        rule = _by_dimension(before, after, rules.INPUT_DIMENSION_FREED, rules.INPUT_DIMENSION_FIXED, rules.INPUT_DIMENSION_CHANGED)
        yield Change(rule, f"{what}: dimension {at} was {_size(before)} and is {_size(after)}")


def _input_datatype(what: str, old: TensorSpec, new: TensorSpec, wires: frozenset[Wire]) -> Iterator[Change]:
    if old.datatype is new.datatype:
        return
    text = f"{what} was {old.datatype} and is {new.datatype}"
    if not holds(new.datatype, old.datatype):
        yield Change(rules.INPUT_DATATYPE, text)
        return
    if Wire.TENSOR in wires:
        yield Change(rules.INPUT_WIDENED_TENSOR, f"{text}: a tensor that names {old.datatype} is refused")
    if Wire.JSON in wires:
        yield Change(rules.INPUT_WIDENED_JSON, f"{text}, in plain JSON still the same numbers")


def output_changes(old: Interface, new: Interface) -> Iterator[Change]:
    """What callers read otherwise, or may."""
    before = {tensor.name: tensor for tensor in old.outputs}
    after = {tensor.name: tensor for tensor in new.outputs}
    for name in before.keys() - after.keys():
        yield Change(rules.OUTPUT_REMOVED, f"output {name} was removed or renamed")
    for name in after.keys() - before.keys():
        yield Change(rules.OUTPUT_ADDED, f"output {name} was added")
    grown = _announced_growth(old.labels, new.labels)
    for name in before.keys() & after.keys():
        yield from _one_output(before[name], after[name], old.promised, grown)
    if old.score_kind != new.score_kind:
        yield Change(rules.SCORE_KIND, f"the scores were {old.score_kind or 'of no kind'} and are {new.score_kind or 'of no kind'}")


def _one_output(old: TensorSpec, new: TensorSpec, wires: frozenset[Wire], grown: tuple[int, int] | None) -> Iterator[Change]:
    what = f"output {old.name}"
    if old.optional != new.optional:
        rule = rules.OUTPUT_NOW_OPTIONAL if new.optional else rules.OUTPUT_NOW_CERTAIN
        yield Change(rule, f"{what} {'may now be left out' if new.optional else 'is now always there'}")
    yield from _output_datatype(what, old, new, wires)
    yield from _form(what, old, new, rank=rules.OUTPUT_RANK, json_form=rules.OUTPUT_JSON_FORM, wires=wires)
    for at, before, after in _changed_dimensions(old, new):
        if at == len(old.shape) - 1 and (before, after) == grown:
            continue  # extensible labels announced this growth, and the rules of labels judge it
        rule = _by_dimension(before, after, rules.OUTPUT_DIMENSION_FREED, rules.OUTPUT_DIMENSION_FIXED, rules.OUTPUT_DIMENSION_CHANGED)
        yield Change(rule, f"{what}: dimension {at} was {_size(before)} and is {_size(after)}")


def _output_datatype(what: str, old: TensorSpec, new: TensorSpec, wires: frozenset[Wire]) -> Iterator[Change]:
    if old.datatype is new.datatype:
        return
    text = f"{what} was {old.datatype} and is {new.datatype}"
    if Wire.TENSOR in wires:
        yield Change(rules.OUTPUT_DATATYPE_TENSOR, text)
    if Wire.JSON not in wires:
        return
    before, after = json_kind(old.datatype), json_kind(new.datatype)
    if before is after:
        yield Change(rules.OUTPUT_DATATYPE_JSON, f"{text}, in plain JSON still {after}")
    else:
        yield Change(rules.OUTPUT_KIND_JSON, f"{text}: in plain JSON {before} became {after}")


def _announced_growth(old: Labels | None, new: Labels | None) -> tuple[int, int] | None:
    if old is None or new is None or old.policy != "extensible" or len(new.names) <= len(old.names):
        return None
    return len(old.names), len(new.names)


def _form(what: str, old: TensorSpec, new: TensorSpec, *, rank: Rule, json_form: Rule, wires: frozenset[Wire]) -> Iterator[Change]:
    if len(old.shape) != len(new.shape):
        yield Change(rank, f"{what} had {len(old.shape)} dimensions and has {len(new.shape)}")
    if old.by_label != new.by_label and Wire.JSON in wires:
        yield Change(json_form, f"{what} is {'keyed by label' if new.by_label else 'no longer keyed by label'} in plain JSON")


def _changed_dimensions(old: TensorSpec, new: TensorSpec) -> Iterator[tuple[int, int, int]]:
    if len(old.shape) != len(new.shape):
        return
    for at, (before, after) in enumerate(zip(old.shape, new.shape, strict=True)):
        if before != after:
            yield at, before, after


def _by_dimension(before: int, after: int, freed: Rule, fixed: Rule, changed: Rule) -> Rule:
    if after == DYNAMIC:
        return freed
    return fixed if before == DYNAMIC else changed


def _size(dimension: int) -> str:
    return "dynamic" if dimension == DYNAMIC else str(dimension)
