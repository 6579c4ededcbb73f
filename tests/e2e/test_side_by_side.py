"""Versions that disagree about what a pixel or a class number means, right at the same time, each by its own pinned pre and post."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.e2e.calls import Caller
from tests.e2e.families import Bundles, Example
from tests.e2e.installation import Installation

SIDES = (("digits", "1.0.0", 0.93), ("digits", "1.1.0", 0.93), ("customer-intent", "2.4.0", 0.7), ("customer-intent", "2.5.0", 0.8))
"""With the share of true labels that each gives at least; with another's pre- or postprocessing none gives half of it."""

EXAMPLES = 250


def share_of_truth(port: int, family: str, version: str, examples: Sequence[Example]) -> float:
    with Caller(port) as caller:
        answers = [caller.predict(family, example.request, version) for example in examples]
    assert {(answer.status, answer.version) for answer in answers} == {(200, version)}
    return sum(answer.label == example.truth for answer, example in zip(answers, examples, strict=True)) / len(examples)


def test_every_version_is_right_while_the_others_answer_beside_it(installation: Installation, bundles: Bundles) -> None:
    traffic = {family: bundles.traffic(family)[:EXAMPLES] for family in ("digits", "customer-intent")}

    with ThreadPoolExecutor(len(SIDES)) as threads:
        asking = {side: threads.submit(share_of_truth, installation.port, *side[:2], traffic[side[0]]) for side in SIDES}
        shares = {side: running.result() for side, running in asking.items()}

    assert all(share >= least for (_, _, least), share in shares.items()), shares


@pytest.mark.parametrize(("family", "version"), [side[:2] for side in SIDES])
def test_every_version_gives_its_own_golden_answers(caller: Caller, bundles: Bundles, family: str, version: str) -> None:
    predict = partial(caller.predict, family, selector=version)

    for example in bundles.golden(f"{family}/{version}"):
        answer = predict(example["request"]).document

        assert answer["label"] == example["response"]["label"]
        assert answer["probabilities"] == pytest.approx(example["response"]["probabilities"], rel=1e-3, abs=1e-4)
