import msgspec
import pytest

from registry_client.compatibility import Contract, baseline_of, interface_changes, required_bump
from registry_client.manifest import Datatype, Interface, Labels, Task, TensorSpec
from registry_client.versions import Bump, ModelVersion

PIXELS = TensorSpec(name="pixels", datatype=Datatype.FP32, shape=(-1, 64))
SCORES = TensorSpec(name="scores", datatype=Datatype.FP32, shape=(-1, 3), by_label=True)
HIDDEN = TensorSpec(name="label", datatype=Datatype.BYTES, shape=(-1, 1))
LABELS = Labels(names=("a", "b", "c"))
OPEN = Labels(names=("a", "b", "c"), policy="extensible")
EXTRA = TensorSpec(name="extra", datatype=Datatype.FP32, shape=(-1, 1))
CLOSED_SCHEMA = {"type": "object", "title": "One", "properties": {"title": {"type": "string"}}}

BASE = Interface(inputs=(PIXELS,), outputs=(SCORES,), labels=LABELS)
TASK = Task(type="classification", taxonomy="abc", primary_metric="accuracy")


def changed(interface: Interface, **fields: object) -> Interface:
    return msgspec.structs.replace(interface, **fields)


def tensor(spec: TensorSpec, **fields: object) -> TensorSpec:
    return msgspec.structs.replace(spec, **fields)


OPEN_BASE = changed(BASE, labels=OPEN)
HIDDEN_BASE = changed(BASE, outputs=(HIDDEN,))
WITH_EXTRA_INPUT = changed(BASE, inputs=(PIXELS, EXTRA))
OPTIONAL_INPUT = changed(BASE, inputs=(PIXELS, tensor(EXTRA, optional=True)))
WIDE = changed(OPEN_BASE, outputs=(tensor(SCORES, shape=(-1, 4)),), labels=Labels(names=("a", "b", "c", "d"), policy="extensible"))


@pytest.mark.parametrize(
    ("old", "new", "rule", "needs"),
    [
        (BASE, WITH_EXTRA_INPUT, "input-required-added", Bump.MAJOR),
        (WITH_EXTRA_INPUT, BASE, "input-removed", Bump.MAJOR),
        (BASE, OPTIONAL_INPUT, "input-optional-added", Bump.MINOR),
        (OPTIONAL_INPUT, BASE, "input-removed", Bump.MAJOR),
        (OPTIONAL_INPUT, WITH_EXTRA_INPUT, "input-now-required", Bump.MAJOR),
        (WITH_EXTRA_INPUT, OPTIONAL_INPUT, "input-now-optional", Bump.MINOR),
        (BASE, changed(BASE, inputs=(tensor(PIXELS, datatype=Datatype.FP64),)), "input-datatype", Bump.MAJOR),
        (BASE, changed(BASE, inputs=(tensor(PIXELS, shape=(-1, 8, 8)),)), "input-rank", Bump.MAJOR),
        (BASE, changed(BASE, inputs=(tensor(PIXELS, shape=(-1, 32)),)), "input-dimension", Bump.MAJOR),
        (BASE, changed(BASE, inputs=(tensor(PIXELS, shape=(1, 64)),)), "input-dimension", Bump.MAJOR),
        (BASE, changed(BASE, inputs=(tensor(PIXELS, shape=(-1, -1)),)), "input-dimension", Bump.MINOR),
        (changed(BASE, unknown_inputs="ignore"), BASE, "unknown-inputs", Bump.MAJOR),
        (BASE, changed(BASE, unknown_inputs="ignore"), "unknown-inputs", Bump.MINOR),
        (BASE, changed(BASE, outputs=(SCORES, EXTRA)), "output-added", Bump.MINOR),
        (changed(BASE, outputs=(SCORES, EXTRA)), BASE, "output-removed", Bump.MAJOR),
        (BASE, changed(BASE, outputs=(tensor(SCORES, datatype=Datatype.FP64),)), "output-datatype", Bump.MAJOR),
        (BASE, changed(BASE, outputs=(tensor(SCORES, shape=(-1, 4)),)), "output-dimension", Bump.MAJOR),
        (BASE, changed(BASE, outputs=(tensor(SCORES, shape=(-1, -1)),)), "output-dimension", Bump.MAJOR),
        (changed(BASE, outputs=(tensor(SCORES, shape=(-1, -1)),)), BASE, "output-dimension", Bump.MINOR),
        (BASE, changed(BASE, outputs=(tensor(SCORES, by_label=False),)), "output-json-form", Bump.MAJOR),
        (BASE, changed(BASE, outputs=(tensor(SCORES, optional=True),)), "output-now-optional", Bump.MAJOR),
        (BASE, changed(BASE, score_kind="logit"), "score-kind", Bump.MAJOR),
        (HIDDEN_BASE, changed(HIDDEN_BASE, labels=Labels(names=("a", "b", "c", "d"))), "label-added", Bump.MAJOR),
        (OPEN_BASE, WIDE, "label-added", Bump.MINOR),
        (BASE, changed(BASE, labels=Labels(names=("a", "b", "z"))), "label-removed", Bump.MAJOR),
        (BASE, changed(BASE, labels=Labels(names=("b", "a", "c"))), "labels-reordered", Bump.MAJOR),
        (BASE, OPEN_BASE, "labels-policy", Bump.MAJOR),
        (OPEN_BASE, BASE, "labels-policy", Bump.MINOR),
        (HIDDEN_BASE, changed(HIDDEN_BASE, labels=None), "labels-removed", Bump.MAJOR),
        (changed(HIDDEN_BASE, labels=None), HIDDEN_BASE, "labels-declared", Bump.MINOR),
        (BASE, changed(BASE, request=CLOSED_SCHEMA), "request-schema", Bump.MAJOR),
        (changed(BASE, request=CLOSED_SCHEMA), BASE, "request-schema", Bump.MINOR),
        (BASE, changed(BASE, response=CLOSED_SCHEMA), "response-schema", Bump.MINOR),
        (changed(BASE, response=CLOSED_SCHEMA), BASE, "response-schema", Bump.MAJOR),
        (changed(BASE, request=CLOSED_SCHEMA), changed(BASE, request={**CLOSED_SCHEMA, "properties": {}}), "request-schema", Bump.MAJOR),
    ],
)
def test_a_change_needs_the_step_of_its_rule(old: Interface, new: Interface, rule: str, needs: Bump) -> None:
    # given / when
    changes = interface_changes(Contract(TASK, old), Contract(TASK, new))

    # then
    assert (rule, needs) in [(change.rule, change.needs) for change in changes]
    assert required_bump(changes) is needs


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (BASE, BASE),
        (WITH_EXTRA_INPUT, changed(BASE, inputs=(EXTRA, PIXELS))),
        (HIDDEN_BASE, changed(HIDDEN_BASE, labels=Labels(names=("c", "b", "a")))),
        (changed(BASE, request=CLOSED_SCHEMA), changed(BASE, request={**CLOSED_SCHEMA, "title": "Other", "description": "words"})),
    ],
)
def test_what_no_caller_can_notice_is_no_change(old: Interface, new: Interface) -> None:
    assert interface_changes(Contract(TASK, old), Contract(TASK, new)) == ()


@pytest.mark.parametrize("field", ["type", "taxonomy", "primary_metric"])
def test_another_task_is_a_major_step(field: str) -> None:
    other = msgspec.structs.replace(TASK, **{field: "other"})
    assert required_bump(interface_changes(Contract(TASK, BASE), Contract(other, BASE))) is Bump.MAJOR


def test_the_gravest_change_is_told_first() -> None:
    new = changed(BASE, outputs=(SCORES, EXTRA), score_kind="logit")
    assert [change.needs for change in interface_changes(Contract(TASK, BASE), Contract(TASK, new))] == [Bump.MAJOR, Bump.MINOR]


def test_the_baseline_is_the_greatest_release_below() -> None:
    # given
    published = [ModelVersion.parse(text) for text in ("1.0.0", "1.10.0", "1.9.0", "2.0.0-rc.1", "3.0.0")]

    # when / then
    assert baseline_of(ModelVersion.parse("2.0.0"), published) == ModelVersion.parse("1.10.0")
    assert baseline_of(ModelVersion.parse("0.9.0"), published) is None
