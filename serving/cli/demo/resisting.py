"""The demo's second half, where things go wrong: a model that is wrong in silence, one that fails, and second thoughts."""

import time
from collections.abc import Mapping, Sequence

from registry_client.bundle import load_bundle
from registry_client.manifest import Manifest
from serving.cli.demo.figures import Guarded, milliseconds
from serving.cli.demo.material import Case
from serving.cli.demo.observations import Answer, Rate, end_of_routes, fallbacks
from serving.cli.demo.progressing import BETTER, TEXTS, compare
from serving.cli.demo.publishing import examine
from serving.cli.demo.stage import AFTERMATH_S, DIGITS, INTENT, Stage
from serving.cli.demo.story import short
from serving.cli.failures import CommandFailed

SILENT, FAILING, REORDERED = "1.2.0", "1.3.0", "2.5.0"
CHECKED = "digits-checked"
HARMFUL = 10.0
"""Percent of other labels from which on nobody would promote a version."""

ANY_GOOD = 50.0
"""Percent of right answers that a sound classifier of texts surpasses, and one with the wrong label map does not."""

CANARY = 25.0


def unmask_the_silent_one(stage: Stage) -> None:
    """1.2.0 answers everything, without an error, and wrongly."""
    stage.story.section(
        f"The silent hazard: {SILENT} is pinned without the scaling it was trained with",
        "It loads, it never fails, and it passes its golden examples, because they were recorded from the bundle itself.",
    )
    pairs = compare(stage, SILENT)
    wrong = pairs.other_label.percent
    stage.claim(f"the shadow gives it away: {wrong:.0f} % of its labels are not {BETTER}'s, so it stays out", ok=wrong > HARMFUL)
    stage.story.command(f"pointsman check {short(stage.material.bundle(CHECKED, SILENT))}")
    fault = examine(stage.material.bundle(CHECKED, SILENT), stage.registry).fault
    stage.claim("the same model with golden answers taken from its training is refused before it can be published", ok=fault is not None)
    if fault is not None:
        stage.story.say(f"it says: {fault.text}")


def survive_the_failing_one(stage: Stage) -> None:
    """1.3.0 fails for a part of the requests, and is rolled back by itself."""
    stage.story.section(
        f"The bad version: {FAILING} fails on digits that are hard to read",
        "Its golden examples are all clear ones. Production answers what the canary fails, and a guard watches the canary.",
    )
    stage.operator.load(DIGITS, FAILING)
    begun = time.monotonic()
    stage.operator.canary(DIGITS, FAILING, CANARY)
    with stage.story.waiting("watching the canary"):
        verdict = stage.operator.await_verdict(DIGITS)
        time.sleep(AFTERMATH_S)
    seen = stage.traffic.received_since(begun)
    failing = fallbacks(seen)
    guarded = Guarded(
        version=FAILING,
        detect=verdict.decided - failing[0].received if failing else 0.0,
        rollback=end_of_routes(seen, verdict.epoch, verdict.decided),
        failing=len(failing),
        signal=verdict.signal,
        why=verdict.sentence,
    )
    stage.figures.guarded.append(guarded)
    stage.story.command(f"pointsman history {DIGITS}")
    stage.story.say(f"{guarded.signal}: {guarded.why}")
    stage.story.say(
        f"rolled back by its guard, {milliseconds(guarded.detect)} after the first failing answer; "
        f"the last answer by the old routes reached a client {milliseconds(guarded.rollback)} after that decision"
    )
    _claim_unharmed(stage, seen, failing)
    _try_again(stage)


def _claim_unharmed(stage: Stage, seen: Sequence[Answer], failing: Sequence[Answer]) -> None:
    unlucky = sum(not answer.is_good for answer in seen)
    stage.claim(
        f"{len(failing)} requests that {FAILING} failed were answered by {BETTER}; clients saw {unlucky} errors",
        ok=bool(failing) and not unlucky,
    )


def _try_again(stage: Stage) -> None:
    try:
        stage.operator.canary(DIGITS, FAILING, CANARY)
    except CommandFailed as refusal:
        sentence, _, _ = str(refusal).partition(": ")
        stage.claim(f"it cannot come back by accident: {sentence}", ok="quarantined" in sentence)
    else:
        stage.claim(f"{FAILING} is quarantined", ok=False)


def change_ones_mind(stage: Stage) -> None:
    """2.5.0 takes over, and an operator takes it back."""
    stage.story.section(
        f"Second thoughts: {INTENT} {REORDERED} is promoted, and rolled back by word",
        "Its classes are numbered in another order than before; the label map pinned in its own bundle keeps its answers right.",
    )
    stage.operator.load(INTENT, REORDERED)
    _tell_labels(stage)
    stage.flip(f"flip: {INTENT} to {REORDERED}", INTENT, TEXTS, lambda: stage.operator.promote(INTENT, REORDERED))
    stage.flip(f"rollback by word: {INTENT}", INTENT, REORDERED, lambda: stage.operator.rollback(INTENT, "second thoughts"))


def _tell_labels(stage: Stage) -> None:
    cases = stage.material.cases(INTENT)
    old, new = ([str(stage.predict(INTENT, case.request, version=version).label) for case in cases] for version in (TEXTS, REORDERED))
    maps = [_label_map(load_bundle(stage.material.bundle(INTENT, version)).manifest) for version in (TEXTS, REORDERED)]
    old_right, right, misread = (_right(labels, cases) for labels in (old, new, reread(new, *maps)))
    stage.story.say(f"on {len(cases)} held-out texts, asked by version at the same time: {TEXTS} is right on {old_right.part}")
    stage.claim(
        f"{REORDERED} is right on {right.part}; read with the label map of {TEXTS}, its very same answers would be right on {misread.part}",
        ok=right.percent > ANY_GOOD > misread.percent,
    )


def _right(labels: Sequence[str], cases: Sequence[Case]) -> Rate:
    return Rate(sum(label == case.truth for label, case in zip(labels, cases, strict=True)), len(cases))


def _label_map(manifest: Manifest) -> Sequence[str]:
    post = manifest.pipeline.post
    steps: Sequence[Mapping[str, object]] = () if post is None else post.config["steps"]
    return next(([str(label) for label in step["labels"]] for step in steps if isinstance(step.get("labels"), list)), [])  # type: ignore[attr-defined]


def reread(labels: Sequence[str], other: Sequence[str], own: Sequence[str]) -> Sequence[str]:
    """The labels that the same classes would have by another version's map."""
    return [other[own.index(label)] for label in labels]
