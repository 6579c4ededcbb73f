"""The semver gate as far as the interface goes: what changed between two versions, and the smallest step that allows it.

The external contract is judged: inputs are contravariant, outputs covariant. Pure; what the model *answers* is judged elsewhere.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from registry_client.manifest import Datatype, Interface, Labels, Manifest, Task, TensorSpec
from registry_client.versions import Bump, ModelVersion

DYNAMIC = -1

_INTEGERS = frozenset(kind for kind in Datatype if "INT" in kind)
_ANNOTATIONS = frozenset({"title", "description", "examples", "default", "$comment", "deprecated"})
_EMBEDDING = "embedding"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference that a caller can notice: the rule it falls under, a sentence, and the step it needs."""

    rule: str
    text: str
    needs: Bump


@dataclass(frozen=True, slots=True)
class Contract:
    """What a version promises to its callers."""

    task: Task
    interface: Interface

    @classmethod
    def of(cls, manifest: Manifest) -> "Contract":
        """The contract that a manifest describes."""
        return cls(manifest.task, manifest.interface)


def required_bump(changes: Iterable[Change]) -> Bump:
    """The step that allows all the changes."""
    return max((change.needs for change in changes), default=Bump.NONE)


def baseline_of(version: ModelVersion, published: Iterable[ModelVersion]) -> ModelVersion | None:
    """What a version is judged against: the greatest release below it. A pre-release promised nobody anything."""
    return max((other for other in published if other < version and not other.is_prerelease), default=None)


def version_changes(old: Manifest, new: Manifest) -> tuple[Change, ...]:
    """Everything that two manifests tell of what a caller can notice."""
    changes = interface_changes(Contract.of(old), Contract.of(new))
    if old.task.type == new.task.type == _EMBEDDING and old.model.sha256 != new.model.sha256:
        retrained = Change(
            "embedding-retrained", "the embedding model is another one: its vectors do not compare with stored ones", Bump.MAJOR
        )
        return (*changes, retrained)
    return changes


def interface_changes(old: Contract, new: Contract) -> tuple[Change, ...]:
    """How two contracts differ, the gravest first."""
    found = (
        *_task_changes(old.task, new.task),
        *_input_changes(old.interface, new.interface),
        *_output_changes(old.interface, new.interface),
        *_label_changes(old.interface, new.interface),
        *_schema_changes(old.interface, new.interface),
    )
    return tuple(sorted(found, key=lambda change: (-change.needs, change.rule, change.text)))


def _task_changes(old: Task, new: Task) -> Iterator[Change]:
    for field, before, after in (
        ("type", old.type, new.type),
        ("taxonomy", old.taxonomy, new.taxonomy),
        ("primary_metric", old.primary_metric, new.primary_metric),
    ):
        if before != after:
            yield Change(f"task-{field.replace('_', '-')}", f"task.{field} changed from {before} to {after}", Bump.MAJOR)


# --- inputs ---------------------------------------------------------------------------------------------------------


def _input_changes(old: Interface, new: Interface) -> Iterator[Change]:
    before = {tensor.name: tensor for tensor in old.inputs}
    after = {tensor.name: tensor for tensor in new.inputs}
    for name in before.keys() - after.keys():
        yield Change("input-removed", f"input {name} was removed or renamed", Bump.MAJOR)
    for name in after.keys() - before.keys():
        yield _input_added(after[name])
    for name in before.keys() & after.keys():
        yield from _one_input(before[name], after[name])
    if old.unknown_inputs != new.unknown_inputs:
        needs = Bump.MAJOR if new.unknown_inputs == "reject" else Bump.MINOR
        yield Change("unknown-inputs", f"unknown inputs: {old.unknown_inputs} became {new.unknown_inputs}", needs)


def _input_added(tensor: TensorSpec) -> Change:
    if tensor.optional:
        return Change("input-optional-added", f"optional input {tensor.name} was added", Bump.MINOR)
    return Change("input-required-added", f"required input {tensor.name} was added", Bump.MAJOR)


def _one_input(old: TensorSpec, new: TensorSpec) -> Iterator[Change]:
    what = f"input {old.name}"
    yield from _form_changes("input", old, new)
    if old.optional and not new.optional:
        yield Change("input-now-required", f"{what} became required", Bump.MAJOR)
    if new.optional and not old.optional:
        yield Change("input-now-optional", f"{what} became optional", Bump.MINOR)
    for at, before, after in _changed_dimensions(old, new):
        needs = Bump.MINOR if after == DYNAMIC else Bump.MAJOR
        yield Change("input-dimension", f"{what}: dimension {at} was {_size(before)} and is {_size(after)}", needs)


# --- outputs --------------------------------------------------------------------------------------------------------


def _output_changes(old: Interface, new: Interface) -> Iterator[Change]:
    before = {tensor.name: tensor for tensor in old.outputs}
    after = {tensor.name: tensor for tensor in new.outputs}
    for name in before.keys() - after.keys():
        yield Change("output-removed", f"output {name} was removed or renamed", Bump.MAJOR)
    for name in after.keys() - before.keys():
        yield Change("output-added", f"output {name} was added", Bump.MINOR)
    for name in before.keys() & after.keys():
        yield from _one_output(before[name], after[name], grown=_may_grow(old.labels, new.labels))
    if old.score_kind != new.score_kind:
        yield Change("score-kind", f"the scores were {old.score_kind} and are {new.score_kind}", Bump.MAJOR)


def _one_output(old: TensorSpec, new: TensorSpec, *, grown: tuple[int, int] | None) -> Iterator[Change]:
    what = f"output {old.name}"
    yield from _form_changes("output", old, new)
    if new.optional and not old.optional:
        yield Change("output-now-optional", f"{what} may now be left out", Bump.MAJOR)
    if old.optional and not new.optional:
        yield Change("output-now-certain", f"{what} is now always there", Bump.MINOR)
    for at, before, after in _changed_dimensions(old, new):
        if at == len(old.shape) - 1 and (before, after) == grown:
            continue  # extensible labels announced this growth, and the rules of labels judge it
        needs = Bump.MINOR if before == DYNAMIC else Bump.MAJOR
        yield Change("output-dimension", f"{what}: dimension {at} was {_size(before)} and is {_size(after)}", needs)


def _may_grow(old: Labels | None, new: Labels | None) -> tuple[int, int] | None:
    if old is None or new is None or old.policy != "extensible" or len(new.names) <= len(old.names):
        return None
    return len(old.names), len(new.names)


# --- both -----------------------------------------------------------------------------------------------------------


def _form_changes(side: str, old: TensorSpec, new: TensorSpec) -> Iterator[Change]:
    what = f"{side} {old.name}"
    if old.datatype is not new.datatype:
        # Wider or not: on the tensor wire onnxruntime refuses even int32 for int64.
        yield Change(f"{side}-datatype", f"{what} was {old.datatype} and is {new.datatype}", Bump.MAJOR)
    if len(old.shape) != len(new.shape):
        yield Change(f"{side}-rank", f"{what} had {len(old.shape)} dimensions and has {len(new.shape)}", Bump.MAJOR)
    if old.by_label != new.by_label:
        form = "keyed by label" if new.by_label else "no longer keyed by label"
        yield Change(f"{side}-json-form", f"{what} is {form} in plain JSON", Bump.MAJOR)


def _changed_dimensions(old: TensorSpec, new: TensorSpec) -> Iterator[tuple[int, int, int]]:
    if len(old.shape) != len(new.shape):
        return
    for at, (before, after) in enumerate(zip(old.shape, new.shape, strict=True)):
        if before != after:
            yield at, before, after


def _size(dimension: int) -> str:
    return "dynamic" if dimension == DYNAMIC else str(dimension)


# --- labels ---------------------------------------------------------------------------------------------------------


def _label_changes(old: Interface, new: Interface) -> Iterator[Change]:
    before, after = old.labels, new.labels
    if before is None or after is None:
        if before is not None:
            yield Change("labels-removed", "the label names are gone", Bump.MAJOR)
        if after is not None:
            yield Change("labels-declared", "label names are declared", Bump.MINOR)
        return
    yield from _name_changes(before, after)
    if _kept(before, after) != _kept(after, before) and (_exposes_index(old) or _exposes_index(new)):
        yield Change("labels-reordered", "the labels are in another order, and an output shows their index", Bump.MAJOR)
    if before.policy != after.policy:
        needs = Bump.MAJOR if after.policy == "extensible" else Bump.MINOR
        yield Change("labels-policy", f"the labels were {before.policy} and are {after.policy}", needs)


def _name_changes(old: Labels, new: Labels) -> Iterator[Change]:
    gone = [name for name in old.names if name not in new.names]
    added = [name for name in new.names if name not in old.names]
    if gone:
        yield Change("label-removed", f"labels removed or renamed: {', '.join(gone)}", Bump.MAJOR)
    if added:
        needs = Bump.MINOR if old.policy == "extensible" else Bump.MAJOR
        yield Change("label-added", f"labels added to {old.policy} ones: {', '.join(added)}", needs)


def _kept(labels: Labels, other: Labels) -> list[tuple[int, str]]:
    return [(at, name) for at, name in enumerate(labels.names) if name in other.names]


def _exposes_index(interface: Interface) -> bool:
    """Whether a caller can see a label's place: as an axis of that length, or as an integer."""
    count = len(interface.labels.names) if interface.labels else 0
    return any(tensor.by_label or tensor.shape[-1] == count or tensor.datatype in _INTEGERS for tensor in interface.outputs)


# --- JSON Schemas ---------------------------------------------------------------------------------------------------


def _schema_changes(old: Interface, new: Interface) -> Iterator[Change]:
    """Two schemas that differ in more than words count as MAJOR: whether one implies the other is not decidable here."""
    before, after = _bare(old.request), _bare(new.request)
    if before != after:
        loosened = after is None
        text = "request schema was dropped" if loosened else "request schema changed or was added: it may refuse what was accepted"
        yield Change("request-schema", f"the {text}", Bump.MINOR if loosened else Bump.MAJOR)
    before, after = _bare(old.response), _bare(new.response)
    if before != after:
        promised = before is None
        text = "response schema was added" if promised else "response schema changed or was dropped: it may promise less"
        yield Change("response-schema", f"the {text}", Bump.MINOR if promised else Bump.MAJOR)


def _bare(schema: Any) -> Any:  # noqa: ANN401 - a JSON value
    """The schema without its words. A property that is called `title` stays: its value is a schema, not a text."""
    if isinstance(schema, dict):
        members = cast("dict[str, Any]", schema)
        return {key: _bare(value) for key, value in members.items() if key not in _ANNOTATIONS or isinstance(value, dict)}
    if isinstance(schema, list):
        return [_bare(value) for value in cast("list[object]", schema)]
    return schema
