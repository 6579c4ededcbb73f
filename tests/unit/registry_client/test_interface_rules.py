"""Every rule about the interface: a real graph in which it holds, and one beside it in which it does not."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from registry_client.bundle import load_bundle
from registry_client.client import RegistryClient
from registry_client.compatibility.rules import RULES, Area, Rule
from registry_client.gate import Gate
from serving.cli.answering import run_version
from tests.unit.registry_client.sketches import DYNAMIC, LABELS, SCORES, Sketch, X, tensor

BASE = Sketch()
LABELLED = BASE.saying(labels=LABELS)
OPEN = BASE.saying(labels={**LABELS, "policy": "extensible"})
WITH_LANGUAGE = BASE.but(inputs=(X, tensor("language", "BYTES", (DYNAMIC,))))
MAYBE_LANGUAGE = BASE.but(inputs=(X, tensor("language", "BYTES", (DYNAMIC,), optional=True)))
WITH_SCORE = BASE.but(outputs=(SCORES, tensor("score", shape=(DYNAMIC,))))
MAYBE_SCORE = BASE.but(outputs=(SCORES, tensor("score", shape=(DYNAMIC,), optional=True)))
WHOLE = BASE.but(inputs=(tensor("x", "INT32"),))
LABEL_ONLY = BASE.but(outputs=(tensor("label", "BYTES", (DYNAMIC,)),)).saying(labels=LABELS)
INDEX = BASE.but(outputs=(tensor("label", "INT64", (DYNAMIC,)),)).saying(labels=LABELS)
KEYED = BASE.but(outputs=(tensor("scores", shape=(DYNAMIC, 3), by_label=True),)).saying(labels=LABELS)
JSON_ONLY = BASE.saying(wires=["json"])
SHORT_TEXT = {"properties": {"text": {"type": "string", "maxLength": 100}}}
LONG_TEXT = {"properties": {"text": {"type": "string", "maxLength": 2000}}}
REORDERED = {"names": ["b", "a", "c"]}
FOUR = {"names": ["a", "b", "c", "d"]}


def task(**fields: str) -> Sketch:
    given = {"type": "classification", "taxonomy": "abc", "primary_metric": "accuracy"}
    return BASE.but(description={"task": {**given, **fields}})


def takes(datatype: str = "FP32", shape: tuple[int, ...] = (DYNAMIC, 4), sketch: Sketch = BASE) -> Sketch:
    return sketch.but(inputs=(tensor("x", datatype, shape),))


def gives(datatype: str = "FP32", shape: tuple[int, ...] = (DYNAMIC, 3), sketch: Sketch = BASE) -> Sketch:
    return sketch.but(outputs=(tensor("scores", datatype, shape),))


class Case(NamedTuple):
    """From `old` to `new` the rule holds; from `old` to `near`, which differs too, it does not."""

    rule: str
    old: Sketch
    new: Sketch
    near: Sketch


CASES = [
    Case("task-type", BASE, task(type="ranking"), task(taxonomy="abcd")),
    Case("task-taxonomy", BASE, task(taxonomy="abcd"), task(primary_metric="f1")),
    Case("task-primary-metric", BASE, task(primary_metric="f1"), task(type="ranking")),
    Case("input-removed", WITH_LANGUAGE, BASE, MAYBE_LANGUAGE),
    Case("input-required-added", BASE, WITH_LANGUAGE, MAYBE_LANGUAGE),
    Case("input-optional-added", BASE, MAYBE_LANGUAGE, WITH_LANGUAGE),
    Case("input-now-required", MAYBE_LANGUAGE, WITH_LANGUAGE, BASE),
    Case("input-now-optional", WITH_LANGUAGE, MAYBE_LANGUAGE, BASE),
    Case("input-rank", BASE, takes(shape=(DYNAMIC, 2, 2)), takes(shape=(DYNAMIC, 2))),
    Case("input-dimension-fixed", takes(shape=(DYNAMIC, DYNAMIC)), BASE, takes(shape=(DYNAMIC, 2, 2))),
    Case("input-dimension-changed", BASE, takes(shape=(DYNAMIC, 5)), takes(shape=(DYNAMIC, DYNAMIC))),
    Case("input-dimension-freed", BASE, takes(shape=(DYNAMIC, DYNAMIC)), takes(shape=(DYNAMIC, 5))),
    Case("input-widened-json", takes("INT32", sketch=JSON_ONLY), takes("INT64", sketch=JSON_ONLY), takes("INT8", sketch=JSON_ONLY)),
    Case("input-widened-tensor", WHOLE, takes("INT64"), takes("INT8")),
    Case("input-datatype", WHOLE, takes("FP32"), takes("FP64")),
    Case("input-json-form", BASE.saying(labels=FOUR), LABELLED.but(inputs=(tensor("x", by_label=True),)).saying(labels=FOUR), LABELLED),
    Case("input-constraint-tightened", BASE.saying(request=LONG_TEXT), BASE.saying(request=SHORT_TEXT), BASE),
    Case(
        "input-constraint-loosened",
        BASE.saying(request=SHORT_TEXT),
        BASE.saying(request=LONG_TEXT),
        BASE.saying(request={"type": "object", **SHORT_TEXT}),
    ),
    Case("input-constraint-unclear", BASE.saying(request={"pattern": "a"}), BASE.saying(request={"pattern": "b"}), BASE),
    Case("unknown-inputs-refused", BASE.saying(unknown_inputs="ignore"), BASE, BASE.saying(unknown_inputs="ignore", wires=["json"])),
    Case("unknown-inputs-ignored", BASE, BASE.saying(unknown_inputs="ignore"), BASE.saying(wires=["json"])),
    Case("wire-removed", BASE, JSON_ONLY, BASE.saying(unknown_inputs="ignore")),
    Case("wire-added", JSON_ONLY, BASE.saying(wires=["json", "tensor"]), JSON_ONLY.saying(unknown_inputs="ignore")),
    Case("output-removed", WITH_SCORE, BASE, MAYBE_SCORE),
    Case("output-added", BASE, WITH_SCORE, gives(shape=(DYNAMIC, 4))),
    Case("output-now-optional", WITH_SCORE, MAYBE_SCORE, BASE),
    Case("output-now-certain", MAYBE_SCORE, WITH_SCORE, BASE),
    Case("output-rank", BASE, gives(shape=(DYNAMIC, 1, 3)), gives(shape=(DYNAMIC, 4))),
    Case("output-dimension-freed", BASE, gives(shape=(DYNAMIC, DYNAMIC)), gives(shape=(DYNAMIC, 4))),
    Case("output-dimension-changed", BASE, gives(shape=(DYNAMIC, 4)), gives(shape=(DYNAMIC, DYNAMIC))),
    Case("output-dimension-fixed", gives(shape=(DYNAMIC, DYNAMIC)), BASE, gives(shape=(DYNAMIC, 1, 3))),
    Case("output-datatype-tensor", BASE, gives("FP64"), WITH_SCORE),
    Case("output-datatype-json", JSON_ONLY, gives("FP64", sketch=JSON_ONLY), gives("INT64", sketch=JSON_ONLY)),
    Case("output-kind-json", JSON_ONLY, gives("INT64", sketch=JSON_ONLY), gives("FP64", sketch=JSON_ONLY)),
    Case("output-json-form", LABELLED, KEYED, INDEX),
    Case("output-constraint-loosened", BASE.saying(response=SHORT_TEXT), BASE, BASE.saying(response={"type": "object", **SHORT_TEXT})),
    Case("output-constraint-tightened", BASE, BASE.saying(response=SHORT_TEXT), BASE.saying(request=SHORT_TEXT)),
    Case(
        "output-constraint-unclear", BASE.saying(response={"not": {"type": "null"}}), BASE.saying(response={"not": {"type": "array"}}), BASE
    ),
    Case("score-kind", BASE, BASE.saying(score_kind="logit"), WITH_SCORE),
    Case("label-removed", LABEL_ONLY, LABEL_ONLY.saying(labels={"names": ["a", "b", "z"]}), LABEL_ONLY.saying(labels=FOUR)),
    Case("label-added-closed", LABEL_ONLY, LABEL_ONLY.saying(labels=FOUR), LABEL_ONLY.saying(labels={"names": ["a", "b"]})),
    Case(
        "label-added-extensible",
        OPEN,
        gives(shape=(DYNAMIC, 4)).saying(labels={**FOUR, "policy": "extensible"}),
        OPEN.saying(labels=LABELS),
    ),
    Case("labels-reordered", INDEX, INDEX.saying(labels=REORDERED), INDEX.saying(labels=FOUR)),
    Case("labels-dropped", LABELLED, BASE, OPEN),
    Case("labels-declared", BASE, LABELLED, BASE.saying(score_kind="logit")),
    Case("labels-opened", LABELLED, OPEN, LABELLED.saying(score_kind="logit")),
    Case("labels-closed", OPEN, LABELLED, OPEN.saying(score_kind="logit")),
]
OF_THE_INTERFACE = {rule.id: rule for rule in RULES if rule.area is not Area.BEHAVIOUR}

Step = Callable[[Sketch, Sketch], list[Rule]]


@pytest.fixture
def step(client: RegistryClient, tmp_path: Path) -> Step:
    """The rules about the interface that the whole gate finds between two versions, which it loads and runs."""

    def rules_between(old: Sketch, new: Sketch) -> list[Rule]:
        client.publish(load_bundle(old.write(tmp_path / "old", "1.0.0")))
        examined = Gate(client).examine(load_bundle(new.write(tmp_path / "new", "1.1.0")), run_version)
        [comparison] = examined.judgement.comparisons
        return [change.rule for change in comparison.interface]

    return rules_between


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_a_rule_holds_where_it_should(case: Case, step: Step) -> None:
    assert case.rule in {rule.id for rule in step(case.old, case.new)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_a_rule_does_not_hold_where_something_else_changed(case: Case, step: Step) -> None:
    found = {rule.id for rule in step(case.old, case.near)}

    assert case.rule not in found


def test_every_rule_about_the_interface_has_its_cases() -> None:
    assert sorted(case.rule for case in CASES) == sorted(OF_THE_INTERFACE)


def test_on_both_wires_the_stricter_rule_decides_about_a_wider_input(step: Step) -> None:
    found = {rule.id: rule.needs.name for rule in step(WHOLE, takes("INT64"))}

    assert found == {"input-widened-json": "MINOR", "input-widened-tensor": "MAJOR"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(BASE.but(inputs=WITH_LANGUAGE.inputs), BASE.but(inputs=tuple(reversed(WITH_LANGUAGE.inputs))), id="order of inputs"),
        pytest.param(LABEL_ONLY, LABEL_ONLY.saying(labels={"names": ["c", "b", "a"]}), id="labels whose order nobody sees"),
        pytest.param(KEYED.saying(wires=["json"]), KEYED.saying(wires=["json"], labels=REORDERED), id="an axis that is keyed by label"),
        pytest.param(BASE.saying(request=SHORT_TEXT), BASE.saying(request={"title": "Words", **SHORT_TEXT}), id="words of a schema"),
        pytest.param(
            takes("INT32", sketch=BASE.saying(wires=["tensor"])), takes("INT32", sketch=BASE.saying(wires=["tensor"])), id="the same"
        ),
    ],
)
def test_what_no_caller_can_notice_is_no_change(old: Sketch, new: Sketch, step: Step) -> None:
    assert step(old, new) == []


@pytest.mark.parametrize("shown", [INDEX, LABELLED, KEYED], ids=["a whole number", "an axis", "an axis on the tensor wire"])
def test_a_reordering_that_a_caller_can_see_is_major(shown: Sketch, step: Step) -> None:
    found = {rule.id: rule.needs.name for rule in step(shown, shown.saying(labels=REORDERED))}

    assert found == {"labels-reordered": "MAJOR"}


def test_schemas_bind_only_where_plain_json_is_promised(step: Step) -> None:
    tensors = BASE.saying(wires=["tensor"], request=LONG_TEXT)

    assert step(tensors, tensors.saying(request=SHORT_TEXT)) == []
