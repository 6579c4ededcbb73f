"""What the gate makes of changes: which versions it compares with, which step allows what, and what a waiver does."""

import msgspec
import pytest

from registry_client.compatibility import rules
from registry_client.compatibility.baselines import Baseline, baseline_of, baselines_of
from registry_client.compatibility.judgement import Comparison, Judgement, declared_step, judge
from registry_client.compatibility.rules import Change, Rule
from registry_client.errors import BumpTooSmall, NothingChanged
from registry_client.manifest import Artifact, Datatype, Interface, Manifest, Role, Task, TensorSpec, Waiver
from registry_client.manifest import Change as ManifestChange
from registry_client.versions import Bump, ModelVersion

TENSOR = TensorSpec(name="x", datatype=Datatype.FP32, shape=(-1,))
PRODUCTION, SHADOW = frozenset({"production"}), frozenset({"shadow"})


def version(text: str) -> ModelVersion:
    return ModelVersion.parse(text)


def manifest(text: str, *waivers: str, declared: str | None = None) -> Manifest:
    return Manifest(
        family="sketch",
        version=text,
        created_at="2026-01-01T00:00:00Z",
        created_by="ada",
        task=Task(type="regression"),
        artifacts=(Artifact(path="model.onnx", role=Role.MODEL, media_type="application/onnx", size=1, sha256="0" * 64),),
        interface=Interface(inputs=(TENSOR,), outputs=(TENSOR,)),
        change=ManifestChange(
            declared=declared,  # type: ignore[arg-type] # one of its words
            waivers=tuple(Waiver(rule=rule, reason="nobody minds", by="ada") for rule in waivers),
        ),
    )


def comparison(new: str, old: str, *found: Rule, tags: frozenset[str] = frozenset()) -> Comparison:
    changes = tuple(Change(rule, rule.sentence) for rule in found)
    return Comparison(
        baseline=Baseline(version(old), tags),
        digest="0" * 64,
        declared=declared_step(version(old), version(new)),
        interface=tuple(change for change in changes if change.rule.area is not rules.Area.BEHAVIOUR),
        behaviour=tuple(change for change in changes if change.rule.area is rules.Area.BEHAVIOUR),
        was_run=True,
    )


def judged(new: str, old: str, *found: Rule) -> Judgement:
    return judge(manifest(new), [comparison(new, old, *found)])


# --- what is compared -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("new", "baseline"),
    [
        ("2.0.0", "1.10.0"),
        ("1.9.1", "1.9.0"),
        ("1.9.0", "1.0.0"),
        ("3.0.1", "3.0.0"),
        ("2.0.0-rc.2", "1.10.0"),
        ("0.9.0", None),
    ],
)
def test_the_baseline_is_the_greatest_release_below(new: str, baseline: str | None) -> None:
    published = [version(text) for text in ("1.0.0", "1.10.0", "1.9.0", "2.0.0-rc.1", "3.0.0")]

    found = baseline_of(version(new), published)

    assert (None if found is None else str(found)) == baseline


def test_every_tagged_release_is_a_baseline_too_the_line_first() -> None:
    # given
    published = [version(text) for text in ("1.0.0", "1.1.0", "1.2.0", "1.3.0-rc.1", "2.0.0")]
    tags = {version("1.0.0"): PRODUCTION, version("1.3.0-rc.1"): SHADOW, version("2.0.0"): SHADOW, version("1.1.0"): frozenset[str]()}

    # when
    found = baselines_of(version("1.3.0"), published, tags)

    # then
    assert list(map(str, found)) == ["1.2.0", "2.0.0 (shadow)", "1.0.0 (production)"]


def test_a_tagged_version_that_this_registry_lacks_is_left_out() -> None:
    assert baselines_of(version("1.1.0"), [version("1.0.0")], {version("9.0.0"): PRODUCTION}) == (Baseline(version("1.0.0")),)


def test_the_version_below_keeps_its_tags_and_is_named_once() -> None:
    found = baselines_of(version("1.1.0"), [version("1.0.0")], {version("1.0.0"): PRODUCTION})

    assert found == (Baseline(version("1.0.0"), PRODUCTION),)


# --- what a number allows -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("new", "old", "rule", "allowed"),
    [
        ("2.0.0", "1.4.2", rules.INPUT_REMOVED, True),
        ("1.5.0", "1.4.2", rules.INPUT_REMOVED, False),
        ("1.5.0", "1.4.2", rules.OUTPUT_ADDED, True),
        ("1.4.3", "1.4.2", rules.OUTPUT_ADDED, False),
        ("1.4.3", "1.4.2", rules.METADATA_ONLY, True),
        ("0.5.0", "0.4.2", rules.INPUT_REMOVED, True),
        ("0.4.3", "0.4.2", rules.INPUT_REMOVED, False),
        ("0.4.3", "0.4.2", rules.GOLDEN_DIFFERS, True),
        ("2.0.0-rc.1", "1.4.2", rules.INPUT_REMOVED, True),
        ("1.5.0-rc.1", "1.4.2", rules.INPUT_REMOVED, False),
        ("1.4.3-rc.1", "1.4.2", rules.GOLDEN_DIFFERS, False),
    ],
)
def test_a_step_allows_what_it_declares_and_below_1_0_0_the_middle_number_is_major(new: str, old: str, rule: Rule, allowed: bool) -> None:  # noqa: FBT001 - a parameter of the table
    assert (judged(new, old, rule).forbids is None) is allowed


@pytest.mark.parametrize(
    ("new", "old", "rule", "suggested"),
    [
        ("1.4.3", "1.4.2", rules.GOLDEN_DIFFERS, "1.5.0"),
        ("1.5.0", "1.4.2", rules.INPUT_REMOVED, "2.0.0"),
        ("0.4.3", "0.4.2", rules.INPUT_REMOVED, "0.5.0"),
    ],
)
def test_a_refusal_names_the_rules_and_a_version_that_would_do(new: str, old: str, rule: Rule, suggested: str) -> None:
    refusal = judged(new, old, rule, rules.METADATA_ONLY).forbids

    assert isinstance(refusal, BumpTooSmall)
    assert refusal.suggested == suggested
    assert refusal.reasons == (f"{rule.id}: {rule.sentence}",)


def test_all_reasons_are_told_not_only_the_gravest() -> None:
    refusal = judged("1.4.3", "1.4.2", rules.INPUT_REMOVED, rules.OUTPUT_ADDED).forbids

    assert isinstance(refusal, BumpTooSmall)
    assert len(refusal.reasons) == 2
    assert refusal.needed == "major"


@pytest.mark.parametrize(
    ("new", "old", "found", "warned"),
    [
        ("2.0.0", "1.0.0", rules.OUTPUT_ADDED, True),
        ("1.1.0", "1.0.0", rules.METADATA_ONLY, True),
        ("1.0.1", "1.0.0", rules.METADATA_ONLY, False),
        ("0.5.0", "0.4.0", rules.GOLDEN_DIFFERS, True),
        ("0.4.1", "0.4.0", rules.METADATA_ONLY, False),
    ],
)
def test_a_step_larger_than_needed_is_a_warning(new: str, old: str, found: Rule, warned: bool) -> None:  # noqa: FBT001 - a parameter of the table
    judgement = judged(new, old, found)

    assert judgement.forbids is None
    assert bool(judgement.warnings) is warned


def test_a_declaration_that_the_number_contradicts_is_a_warning() -> None:
    judgement = judge(manifest("1.1.0", declared="patch"), [comparison("1.1.0", "1.0.0", rules.OUTPUT_ADDED)])

    assert judgement.warnings == ("change.declared: it says patch, but from 1.0.0 to 1.1.0 is a minor step",)


def test_the_first_version_is_compared_with_nothing() -> None:
    judgement = judge(manifest("1.0.0"), [])

    assert (judgement.forbids, judgement.line, judgement.change.declared) == (None, None, "first")


# --- tagged versions ------------------------------------------------------------------------------------------------


def test_what_a_step_hides_from_its_line_it_cannot_hide_from_production() -> None:
    # given: 1.2.0 removed an input and was never used; 1.2.1 is a patch of it, and callers come from 1.1.0
    line = comparison("1.2.1", "1.2.0", rules.METADATA_ONLY)
    production = comparison("1.2.1", "1.1.0", rules.INPUT_REMOVED, tags=PRODUCTION)

    # when
    refusal = judge(manifest("1.2.1"), [line, production]).forbids

    # then
    assert isinstance(refusal, BumpTooSmall)
    assert "1.1.0 (production)" in str(refusal)


def test_a_tagged_version_above_must_not_break_those_who_come_from_the_new_one() -> None:
    line = comparison("1.1.1", "1.1.0", rules.METADATA_ONLY)
    above = comparison("1.1.1", "1.2.0", rules.OUTPUT_REMOVED, tags=PRODUCTION)

    assert isinstance(judge(manifest("1.1.1"), [line, above]).forbids, BumpTooSmall)


def test_going_back_to_what_a_tagged_version_was_is_no_repetition() -> None:
    line = comparison("1.2.1", "1.2.0", rules.METADATA_ONLY)
    production = comparison("1.2.1", "1.1.0", rules.NOTHING_CHANGED, tags=PRODUCTION)

    assert judge(manifest("1.2.1"), [line, production]).forbids is None


# --- waivers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.id)
def test_every_rule_can_be_set_aside_by_name_and_stays_on_record(rule: Rule) -> None:
    # given
    found = [comparison("1.0.1", "1.0.0", rule)]

    # when
    plain, waived = judge(manifest("1.0.1"), found), judge(manifest("1.0.1", rule.id), found)

    # then
    assert (plain.forbids is None) is (rule.needs is not Bump.NONE and rule.needs <= Bump.PATCH)
    assert waived.forbids is None
    assert [waiver.rule for waiver in waived.change.waivers] == [rule.id]
    diffs = (*waived.change.interface_diff, *(waived.change.behaviour_diff or ()))
    assert diffs == (f"{rule.id}: {rule.sentence}",)


def test_a_waiver_of_one_rule_does_not_cover_another() -> None:
    found = comparison("1.0.1", "1.0.0", rules.INPUT_REMOVED, rules.OUTPUT_REMOVED)
    refusal = judge(manifest("1.0.1", "input-removed"), [found]).forbids

    assert isinstance(refusal, BumpTooSmall)
    assert refusal.reasons == (f"output-removed: {rules.OUTPUT_REMOVED.sentence}",)


def test_a_waiver_that_nothing_falls_under_is_a_warning() -> None:
    judgement = judge(manifest("1.0.1", "input-removed"), [comparison("1.0.1", "1.0.0", rules.METADATA_ONLY)])

    assert judgement.warnings == ("change.waivers: input-removed is waived, and nothing falls under it",)


def test_nothing_changed_is_refused_whatever_the_step() -> None:
    assert isinstance(judged("2.0.0", "1.0.0", rules.NOTHING_CHANGED).forbids, NothingChanged)


def test_what_was_not_run_is_said_and_leaves_no_trace_of_behaviour() -> None:
    seen = comparison("1.1.0", "1.0.0", rules.OUTPUT_ADDED)
    judgement = judge(manifest("1.1.0"), [Comparison(seen.baseline, seen.digest, seen.declared, seen.interface, (), was_run=False)])

    assert judgement.change.behaviour_diff is msgspec.UNSET
    assert judgement.warnings == ("behaviour: the versions were not run side by side, only their interfaces were compared",)


def test_rule_ids_are_unique_words() -> None:
    assert len(rules.RULE_IDS) == len(rules.RULES)
    assert all(rule.id == rule.id.lower() and " " not in rule.id for rule in rules.RULES)
