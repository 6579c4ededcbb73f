"""The demo's first half, where all goes well: production, a shadow, a canary that grows, a promotion."""

from collections.abc import Sequence

from serving.cli.demo.figures import Pairs, Split
from serving.cli.demo.material import picture
from serving.cli.demo.observations import Answer, Rate, accuracy_of, lost, share_of, users_of, wavering
from serving.cli.demo.stage import DIGITS, INTENT, Stage
from serving.cli.demo.traffic import PER_SECOND, USERS
from serving.cli.output import facts

FIRST, BETTER = "1.0.0", "1.1.0"
TEXTS = "2.4.0"
ENOUGH_PAIRS = 500
ENOUGH_ANSWERS = 600
STAGES = (20.0, 50.0)
MEANINGS = {
    "agree": "same label, same probabilities",
    "number": "same label, another probability",
    "label": "another label",
    "shape": "another form of answer",
}


def put_into_production(stage: Stage) -> None:
    """Two families, a first version each, and a prediction of both."""
    stage.story.section("First versions into production", "A family is what callers ask; which version answers is an operator's decision.")
    for family, version in ((DIGITS, FIRST), (INTENT, TEXTS)):
        stage.operator.load(family, version)
        stage.operator.promote(family, version)
    digit = stage.material.cases(DIGITS)[1].request
    stage.story.quote(picture(digit["pixels"]))
    answer = stage.predict(DIGITS, digit)
    stage.story.say(f"{DIGITS} {answer.version} reads a {answer.label} (probability {answer.confidence:.2f})")
    text = stage.material.cases(INTENT)[5].request
    answer = stage.predict(INTENT, text)
    stage.story.say(f'{INTENT} {answer.version} hears "{text["text"]}" as {answer.label} (probability {answer.confidence:.2f})')
    stage.story.say(f"from here on {USERS} users send {PER_SECOND} requests a second to both families, and every answer is checked")


def shadow_the_next(stage: Stage) -> None:
    """1.1.0 sees all of the traffic and answers nobody."""
    stage.story.section(
        f"A shadow: {BETTER} answers copies of real requests",
        "Its answers are compared with production's and never reach a caller, so this costs nobody anything.",
    )
    pairs = compare(stage, BETTER)
    stage.story.say(
        "Another kind of model gives other probabilities; what callers act on is the label, "
        f"and only {pairs.other_label.percent:.1f} % of those differ."
    )
    stage.claim(f"no caller was answered by {BETTER}", ok=not users_of(stage.traffic.answers, BETTER))


def compare(stage: Stage, version: str) -> Pairs:
    """Shadow a version for a while, and tell what its answers came to."""
    stage.operator.load(DIGITS, version)
    stage.operator.shadow(DIGITS, version, 100)
    with stage.story.waiting(f"comparing {ENOUGH_PAIRS} pairs of answers"):
        pairs = stage.operator.await_pairs(DIGITS, version, ENOUGH_PAIRS)
    stage.operator.shadow(DIGITS, version, 0)
    stage.figures.shadows.append(pairs)
    stage.story.show(facts(lines_of(pairs)))
    return pairs


def lines_of(pairs: Pairs) -> Sequence[tuple[str, str]]:
    """A shadow's figures for people, the compared first."""
    compared = [(text, Rate(pairs.outcomes.get(kind, 0), pairs.compared)) for kind, text in MEANINGS.items()]
    rest = [(f"not compared ({kind})", f"{number:,}") for kind, number in pairs.outcomes.items() if kind not in MEANINGS and number]
    return [("pairs compared", f"{pairs.compared:,}"), *((text, str(rate)) for text, rate in compared if rate.part), *rest]


def grow_a_canary(stage: Stage) -> None:
    """1.1.0 answers some users, then more, and the same ones stay."""
    stage.story.section(
        f"A canary: {BETTER} answers some users, then more",
        "A user's id decides, so nobody flickers between versions; a bigger weight only ever adds users.",
    )
    before: Sequence[Answer] = ()
    for percent in STAGES:
        stage.operator.canary(DIGITS, BETTER, percent)
        with stage.story.waiting(f"watching {ENOUGH_ANSWERS} answers"):
            seen = stage.traffic.watch(DIGITS, ENOUGH_ANSWERS)
        _tell_split(stage, percent, seen)
        if before:
            gone = lost(before, seen, BETTER)
            kept = users_of(before, BETTER)
            stage.claim(f"of the {len(kept)} users that {BETTER} had before, {len(gone)} fell back", ok=not gone)
        before = [*before, *seen]
    rates = ", ".join(f"{version} {accuracy_of(before, version)}" for version in (FIRST, BETTER))
    stage.story.say(f"right by the held-out labels: {rates}")


def _tell_split(stage: Stage, percent: float, seen: Sequence[Answer]) -> None:
    split = Split(BETTER, percent, share_of(seen, BETTER), len({answer.user for answer in seen}), len(wavering(seen)))
    stage.figures.splits.append(split)
    stage.story.say(f"{percent:g} % asked for, {split.observed} observed")
    stage.claim(f"of {split.users} users, {split.wavering} were answered by both versions", ok=not split.wavering)


def promote_the_next(stage: Stage) -> None:
    """1.1.0 takes over."""
    stage.story.section(f"A promotion: {BETTER} answers everybody", f"{FIRST} stays loaded, so that going back needs no loading.")
    stage.flip(f"flip: {DIGITS} to {BETTER}", DIGITS, FIRST, lambda: stage.operator.promote(DIGITS, BETTER))
