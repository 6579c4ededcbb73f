"""Every rule about behaviour, on real graphs: both versions run on this machine, through their whole pinned pipelines."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from registry_client.bundle import load_bundle
from registry_client.client import RegistryClient
from registry_client.compatibility.behaviour import EMBEDDING
from registry_client.compatibility.judgement import Judgement
from registry_client.compatibility.rules import RULES, Area
from registry_client.errors import BumpTooSmall, NothingChanged
from registry_client.gate import Gate
from serving.cli.answering import run_version
from tests.unit.registry_client.sketches import Linear, tensor

EDGE = "extremes"
EXTREME = [900.0, -900.0, 5.0, 5.0]
ROWS = ([0.1, 0.2, 0.3, 0.4], [1.0, -1.0, 2.0, -2.0], EXTREME)
CLIP = {"op": "clip", "tensor": "x", "min": -10.0, "max": 10.0}

BASE = Linear()
RETRAINED = BASE.but(weights=BASE.weights + 0.5)
REEXPORTED = BASE.but(weights=BASE.weights + np.float32(1e-7))
UNEXAMINED = BASE.but(rows=())
VECTORS = BASE.but(description={"task": {"type": EMBEDDING}})
UNCLIPPED = BASE.but(rows=ROWS, slices={2: EDGE})
CLIPPED = UNCLIPPED.but(pre=[CLIP])
DECLARED = CLIPPED.but(description={"change": {"slices": [EDGE], "behaviour": "extreme values are clipped"}})
FORMS = {"inputs": [tensor("x")], "outputs": [tensor("y", shape=(-1, 3))]}
STRICTER = BASE.but(description={"interface": {**FORMS, "request": {"properties": {"x": {"items": {"exclusiveMaximum": 2}}}}}})

Judge = Callable[..., Judgement]


@pytest.fixture
def judge(client: RegistryClient, tmp_path: Path) -> Judge:
    def judged(old: Linear, new: Linear, version: str = "1.1.0") -> Judgement:
        client.publish(load_bundle(old.write(tmp_path / "old", "1.0.0")))
        return Gate(client).examine(load_bundle(new.write(tmp_path / "new", version)), run_version).judgement

    return judged


def rules(judgement: Judgement) -> dict[str, str]:
    """The rules about behaviour that hold, with what each needs."""
    [comparison] = judgement.comparisons
    return {change.rule.id: change.needs.name for change in comparison.behaviour}


@pytest.mark.parametrize(
    ("old", "new", "rule", "needs"),
    [
        (BASE, STRICTER, "golden-refused", "MAJOR"),
        (VECTORS, VECTORS.but(weights=RETRAINED.weights), "embedding-retrained", "MAJOR"),
        (VECTORS.but(rows=()), VECTORS.but(weights=RETRAINED.weights, rows=()), "embedding-retrained", "MAJOR"),
        (BASE, RETRAINED, "golden-differs", "MINOR"),
        (UNCLIPPED, CLIPPED, "golden-differs", "MINOR"),
        (BASE, BASE.but(nodes="quantised"), "model-quantised", "MINOR"),
        (BASE, BASE.but(nodes="half"), "model-quantised", "MINOR"),
        (UNEXAMINED, RETRAINED.but(rows=()), "behaviour-unseen", "MINOR"),
        (UNCLIPPED, DECLARED, "golden-differs-on-slice", "PATCH"),
        (BASE, REEXPORTED, "golden-equal", "PATCH"),
        (BASE, BASE.but(words="exported again by somebody else"), "metadata-only", "PATCH"),
        (BASE, BASE.but(description={"docs": "Now with a description."}), "metadata-only", "PATCH"),
        (BASE, BASE, "nothing-changed", "NONE"),
    ],
)
def test_a_rule_holds_where_it_should(judge: Judge, old: Linear, new: Linear, rule: str, needs: str) -> None:
    assert rules(judge(old, new)).get(rule) == needs


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        pytest.param(BASE, RETRAINED, "golden-refused", id="answered otherwise is not refused"),
        pytest.param(VECTORS, VECTORS.but(weights=REEXPORTED.weights), "embedding-retrained", id="the same vectors"),
        pytest.param(VECTORS, VECTORS.but(words="words"), "embedding-retrained", id="other words about the same vectors"),
        pytest.param(BASE, REEXPORTED, "golden-differs", id="within tolerance"),
        pytest.param(UNCLIPPED, DECLARED, "golden-differs", id="on the declared slice only"),
        pytest.param(BASE.but(nodes="quantised"), BASE.but(nodes="quantised", bias=np.zeros(3)), "model-quantised", id="quantised before"),
        pytest.param(BASE.but(nodes="half"), BASE, "model-quantised", id="more precise"),
        pytest.param(BASE, REEXPORTED, "behaviour-unseen", id="seen"),
        pytest.param(UNCLIPPED, CLIPPED, "golden-differs-on-slice", id="a slice that was not declared"),
        pytest.param(UNCLIPPED, DECLARED.but(weights=RETRAINED.weights), "golden-differs-on-slice", id="off the slice too"),
        pytest.param(BASE, RETRAINED, "golden-equal", id="retrained"),
        pytest.param(BASE, REEXPORTED, "metadata-only", id="other weights"),
        pytest.param(BASE, BASE.but(pre=[CLIP]), "metadata-only", id="another component"),
        pytest.param(BASE, BASE.but(words="words"), "nothing-changed", id="words changed"),
    ],
)
def test_a_rule_does_not_hold_where_something_else_changed(judge: Judge, old: Linear, new: Linear, rule: str) -> None:
    assert rule not in rules(judge(old, new))


def test_every_rule_about_behaviour_is_shown_above() -> None:
    [cases] = [mark for mark in test_a_rule_holds_where_it_should.pytestmark if mark.name == "parametrize"]  # type: ignore[attr-defined]

    assert {rule for _, _, rule, _ in cases.args[1]} == {rule.id for rule in RULES if rule.area is Area.BEHAVIOUR}


# --- what a version number may say ----------------------------------------------------------------------------------


def test_a_preprocessing_fix_on_a_declared_slice_is_a_patch(judge: Judge) -> None:
    judgement = judge(UNCLIPPED, DECLARED, "1.0.1")

    assert judgement.forbids is None
    assert judgement.change.behaviour_diff == (
        "golden-differs-on-slice: 1 of 3 golden answers differ, all of them on the declared slice extremes",
    )


def test_the_same_fix_undeclared_is_refused_as_a_patch(judge: Judge) -> None:
    judgement = judge(UNCLIPPED, CLIPPED, "1.0.1")

    assert isinstance(judgement.forbids, BumpTooSmall)
    assert (judgement.forbids.needed, judgement.forbids.suggested) == ("minor", "1.1.0")
    assert "'row 2' ($.y[0]: expected" in judgement.forbids.reasons[0]


def test_a_slice_that_holds_every_example_declares_nothing(judge: Judge) -> None:
    everything = dict.fromkeys(range(3), EDGE)
    fix = DECLARED.but(slices=everything, weights=RETRAINED.weights)

    assert rules(judge(UNCLIPPED.but(slices=everything), fix, "1.0.1")) == {"golden-differs": "MINOR"}


def test_a_slice_label_that_only_the_older_version_has_excuses_nothing(judge: Judge) -> None:
    other_edge = DECLARED.but(slices={0: EDGE})

    assert "golden-differs" in rules(judge(UNCLIPPED, other_edge))


def test_golden_examples_of_the_older_version_are_run_too(judge: Judge) -> None:
    fewer = CLIPPED.but(rows=ROWS[:2], slices={})

    assert rules(judge(UNCLIPPED, fewer)) == {"golden-differs": "MINOR"}


def test_a_quantised_model_is_no_patch_however_close_its_golden_answers_are(judge: Judge) -> None:
    judgement = judge(BASE, BASE.but(nodes="quantised", description={}), "1.0.1")

    assert isinstance(judgement.forbids, BumpTooSmall)
    assert [reason.partition(":")[0] for reason in judgement.forbids.reasons if "quantised" in reason] == ["model-quantised"]


def test_a_version_that_says_nothing_new_is_refused(judge: Judge) -> None:
    assert isinstance(judge(BASE, BASE, "2.0.0").forbids, NothingChanged)


def test_a_step_to_stability_is_a_waiver_with_a_name_and_a_reason(client: RegistryClient, tmp_path: Path) -> None:
    # given
    waiver = {"rule": "nothing-changed", "reason": "stable from now on", "by": "ada"}
    stable = BASE.but(description={"change": {"waivers": [waiver]}})
    client.publish(load_bundle(BASE.write(tmp_path / "old", "0.9.0")))

    # when
    judgement = Gate(client).examine(load_bundle(stable.write(tmp_path / "new", "1.0.0")), run_version).judgement

    # then
    assert judgement.forbids is None
    assert [waived.by for waived in judgement.change.waivers] == ["ada"]


def test_a_baseline_that_does_not_load_here_leaves_the_behaviour_unseen(client: RegistryClient, tmp_path: Path) -> None:
    # given
    elsewhere = BASE.but(pre=[{"op": "clip", "tensor": "nothing", "min": 0}])
    client.publish(load_bundle(elsewhere.write(tmp_path / "old", "1.0.0")))

    # when
    judgement = Gate(client).examine(load_bundle(BASE.write(tmp_path / "new", "1.0.1")), run_version).judgement

    # then
    assert isinstance(judgement.forbids, BumpTooSmall)
    assert "sketch@1.0.0 does not load" in judgement.forbids.reasons[0]


@pytest.mark.parametrize(("loosened", "rule"), [("new", "golden-differs"), ("old", "golden-differs"), ("both", "golden-equal")])
def test_a_tolerance_that_one_version_loosens_hides_no_change(client: RegistryClient, tmp_path: Path, loosened: str, rule: str) -> None:
    # given
    old, new = BASE.write(tmp_path / "old", "1.0.0"), RETRAINED.write(tmp_path / "new", "1.0.1")
    for name, directory in (("old", old), ("new", new)):
        if loosened in {name, "both"}:
            golden = directory / "golden.jsonl"
            golden.write_text(golden.read_text("utf-8").replace('"atol": 0.0001', '"atol": 1000000.0'), "utf-8")

    # when
    client.publish(load_bundle(old))
    judgement = Gate(client).examine(load_bundle(new), run_version).judgement

    # then
    assert rule in rules(judgement)
