"""What an upgrade means for those who call a family, told from what the gate wrote down when versions were published."""

import msgspec
import pytest

from registry_client.compatibility.upgrade import Risk, Upgrade, previous_step, upgrade
from registry_client.manifest import Datatype, Evaluation, Interface, Labels, Manifest, TensorSpec
from registry_client.versions import Bump, ModelVersion
from tests.fakes.registry import manifest_of

X = TensorSpec(name="x", datatype=Datatype.FP32, shape=(-1,))
Y = TensorSpec(name="y", datatype=Datatype.FP32, shape=(-1,))
WITH_Y = Interface(inputs=(X,), outputs=(X, Y))
RETRAINED = "golden-differs: 9 of 9 golden answers differ"
FIXED = "golden-differs-on-slice: 1 of 9 golden answers differ, all of them on the declared slice capitals"
SAME = "golden-equal: all 9 golden answers are equal within their tolerance"
OLD = manifest_of("intent", "1.0.0")


def to(version: str, *behaviour: str, **fields: object) -> Manifest:
    return manifest_of("intent", version, *behaviour, after="1.0.0", **fields)


def weighed(new: Manifest, old: Manifest = OLD) -> Upgrade:
    return upgrade(old, new, [max(old, new, key=lambda manifest: manifest.model_version)])


@pytest.mark.parametrize(
    ("new", "risk"),
    [
        pytest.param(to("1.0.1", SAME), Risk.LOW, id="re-exported"),
        pytest.param(to("1.0.1", FIXED), Risk.LOW, id="a declared fix"),
        pytest.param(to("1.1.0", SAME, interface=WITH_Y), Risk.LOW, id="an output more, which may be left alone"),
        pytest.param(to("1.1.0", RETRAINED), Risk.RE_EVALUATE, id="retrained"),
        pytest.param(to("1.1.0", "behaviour-unseen: whether answers changed is not known"), Risk.RE_EVALUATE, id="unseen"),
        pytest.param(manifest_of("intent", "1.1.0"), Risk.RE_EVALUATE, id="published before anybody looked"),
        pytest.param(to("2.0.0", SAME, interface=Interface(inputs=(Y,), outputs=(X,))), Risk.MIGRATE, id="another input"),
        pytest.param(to("2.0.0", "embedding-retrained: 9 of 9 golden answers differ"), Risk.MIGRATE, id="other vectors"),
        pytest.param(to("1.1.0", "a-rule-of-the-future: nobody knows it here"), Risk.RE_EVALUATE, id="a rule that is not known here"),
    ],
)
def test_the_risk_is_that_of_the_gravest_reason(new: Manifest, risk: Risk) -> None:
    found = weighed(new)

    assert found.risk is risk
    assert found.reasons


def test_the_gravest_reason_is_told_first() -> None:
    found = weighed(to("2.0.0", RETRAINED, interface=Interface(inputs=(Y,), outputs=(X,))))

    assert found.reasons == (
        "input x was removed or renamed",
        "required input y was added",
        "2.0.0: 9 of 9 golden answers differ",
    )


def test_new_labels_turn_up_in_answers_so_they_ask_for_an_evaluation() -> None:
    old, new = (Interface(inputs=(X,), outputs=(X,), labels=Labels(names=names, policy="extensible")) for names in (("a",), ("a", "b")))

    found = weighed(to("1.1.0", SAME, interface=new), msgspec.structs.replace(OLD, interface=old))

    assert found.risk is Risk.RE_EVALUATE


def test_what_happened_on_the_way_counts() -> None:
    between, new = to("1.1.0", RETRAINED), manifest_of("intent", "1.1.1", SAME, after="1.1.0")

    found = upgrade(OLD, new, [new, between])

    assert found.risk is Risk.RE_EVALUATE
    assert [step.version for step in found.behaviour] == ["1.1.1", "1.1.0"]


def test_what_was_undone_on_the_way_does_not_count() -> None:
    # given: 1.1.0 was retrained, 1.2.0 is 1.0.0 again
    new = to("1.2.0", RETRAINED, behaviour_sha256=OLD.behaviour_sha256, artifacts=OLD.artifacts, docs="back to what it was")

    found = upgrade(OLD, new, [new, to("1.1.0", RETRAINED)])

    assert found.risk is Risk.LOW
    assert found.reasons == ("1.2.0: only metadata differs: graph, components and lock compute the same",)


def test_the_way_back_is_weighed_too() -> None:
    new = to("1.1.0", RETRAINED, interface=WITH_Y)

    back = weighed(OLD, new)

    assert (back.old, back.new, back.risk) == ("1.1.0", "1.0.0", Risk.MIGRATE)
    assert "output y was removed or renamed" in back.reasons


def test_a_version_beside_itself_asks_nothing() -> None:
    found = weighed(OLD)

    assert (found.risk, found.declared, found.reasons) == (Risk.LOW, Bump.NONE, ())


def figure(
    value: float, low: float | None = None, high: float | None = None, *, metric: str = "accuracy", part: str | None = None
) -> Evaluation:
    return Evaluation(dataset="held-out", metric=metric, value=value, slice=part, ci=None if low is None or high is None else (low, high))


def test_figures_of_both_versions_stand_side_by_side_the_primary_metric_first() -> None:
    old = msgspec.structs.replace(OLD, evaluation=(figure(0.5, metric="brier"), figure(0.90), figure(0.2, part="capitals")))
    new = to("1.0.1", SAME, evaluation=(figure(0.92), figure(0.8, part="capitals"), figure(0.7, metric="f1")))

    found = weighed(new, old).deltas

    assert [(delta.metric, delta.slice, delta.before, delta.after) for delta in found] == [
        ("accuracy", None, 0.90, 0.92),
        ("accuracy", "capitals", 0.2, 0.8),
        ("brier", None, 0.5, None),
        ("f1", None, None, 0.7),
    ]
    assert found[0].difference == pytest.approx(0.02)
    assert found[2].difference is None


@pytest.mark.parametrize(
    ("before", "after", "clear", "risk"),
    [
        (figure(0.90, 0.88, 0.92), figure(0.80, 0.78, 0.82), True, Risk.RE_EVALUATE),
        (figure(0.80, 0.78, 0.82), figure(0.90, 0.88, 0.92), True, Risk.RE_EVALUATE),
        (figure(0.90, 0.88, 0.92), figure(0.91, 0.89, 0.93), False, Risk.LOW),
        (figure(0.90), figure(0.50), None, Risk.LOW),
    ],
)
def test_a_figure_that_moved_by_more_than_chance_asks_for_an_evaluation(
    before: Evaluation,
    after: Evaluation,
    clear: bool | None,  # noqa: FBT001 - a parameter of the table
    risk: Risk,
) -> None:
    found = weighed(to("1.0.1", SAME, evaluation=(after,)), msgspec.structs.replace(OLD, evaluation=(before,)))

    assert (found.deltas[0].is_clear, found.risk) == (clear, risk)


def test_a_figure_of_a_slice_that_was_announced_moves_as_it_should() -> None:
    old = msgspec.structs.replace(OLD, evaluation=(figure(0.1, 0.0, 0.2, part="capitals"),))
    new = to("1.0.1", FIXED, evaluation=(figure(0.8, 0.7, 0.9, part="capitals"),))
    announced = msgspec.structs.replace(new, change=msgspec.structs.replace(new.change, slices=("capitals",)))

    assert (weighed(new, old).risk, weighed(announced, old).risk) == (Risk.RE_EVALUATE, Risk.LOW)


@pytest.mark.parametrize(
    ("manifest", "published", "previous"),
    [
        (to("1.2.0", SAME), ["1.0.0", "1.1.0"], "1.0.0"),
        (manifest_of("intent", "1.2.0"), ["1.0.0", "1.1.0", "1.2.0-rc.1", "1.3.0"], "1.1.0"),
        (OLD, ["1.0.0"], None),
    ],
)
def test_the_step_before_is_the_version_it_was_judged_against(manifest: Manifest, published: list[str], previous: str | None) -> None:
    found = previous_step(manifest, [ModelVersion.parse(text) for text in published])

    assert (None if found is None else str(found)) == previous
