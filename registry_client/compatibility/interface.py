"""How the external contracts of two versions differ: what callers send before `pre`, and get after `post`."""

from collections.abc import Iterator
from dataclasses import dataclass

from registry_client.compatibility import rules
from registry_client.compatibility.labels import label_changes
from registry_client.compatibility.rules import Change
from registry_client.compatibility.schemas import Relation, compare_schemas
from registry_client.compatibility.tensors import input_changes, output_changes
from registry_client.manifest import Interface, Manifest, Task, Wire


@dataclass(frozen=True, slots=True)
class Contract:
    """What a version promises to its callers."""

    task: Task
    interface: Interface

    @classmethod
    def of(cls, manifest: Manifest) -> "Contract":
        """The contract that a manifest describes."""
        return cls(manifest.task, manifest.interface)


def interface_changes(old: Contract, new: Contract) -> tuple[Change, ...]:
    """How two contracts differ, the gravest first."""
    found = (
        *_task_changes(old.task, new.task),
        *input_changes(old.interface, new.interface),
        *output_changes(old.interface, new.interface),
        *label_changes(old.interface, new.interface),
        *_schema_changes(old.interface, new.interface),
    )
    return gravest_first(found)


def gravest_first(changes: tuple[Change, ...]) -> tuple[Change, ...]:
    """The same changes, those first that need the greatest step."""
    return tuple(sorted(changes, key=lambda change: (-change.needs, change.rule.id, change.text)))


def _task_changes(old: Task, new: Task) -> Iterator[Change]:
    for rule, before, after in (
        (rules.TASK_TYPE, old.type, new.type),
        (rules.TASK_TAXONOMY, old.taxonomy, new.taxonomy),
        (rules.TASK_METRIC, old.primary_metric, new.primary_metric),
    ):
        if before != after:
            field = rule.id.removeprefix("task-").replace("-", "_")
            yield Change(rule, f"task.{field} was {before or 'not given'} and is {after or 'not given'}")


_OF_REQUEST = {
    Relation.TIGHTER: rules.INPUT_TIGHTENED,
    Relation.LOOSER: rules.INPUT_LOOSENED,
    Relation.UNCLEAR: rules.INPUT_UNCLEAR,
}
_OF_RESPONSE = {
    Relation.TIGHTER: rules.OUTPUT_TIGHTENED,
    Relation.LOOSER: rules.OUTPUT_LOOSENED,
    Relation.UNCLEAR: rules.OUTPUT_UNCLEAR,
}


def _schema_changes(old: Interface, new: Interface) -> Iterator[Change]:
    """The schemas describe plain JSON, so they bind only where that is promised."""
    if Wire.JSON not in old.promised:
        return
    for where, table, before, after in (
        ("request", _OF_REQUEST, old.request, new.request),
        ("response", _OF_RESPONSE, old.response, new.response),
    ):
        for difference in compare_schemas(before, after):
            yield Change(table[difference.relation], f"{where} schema, {difference.path}: {difference.text}")
