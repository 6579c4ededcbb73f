import csv
from collections import Counter

import pytest

from examples.customer_intent.data import TAXONOMY, UTTERANCES
from tests.unit.examples.served import Json, Opened, Opening, TrafficOf, agreement


@pytest.fixture(scope="module")
def utterances() -> list[dict[str, str]]:
    with UTTERANCES.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def in_capitals(requests: list[Json]) -> list[Json]:
    return [{"text": request["text"].upper()} for request in requests]


def in_lower_case(requests: list[Json]) -> list[Json]:
    return [{"text": request["text"].lower()} for request in requests]


def label_map(version: Opened) -> list[str]:
    post = version.bundle.manifest.pipeline.post
    assert post is not None
    [labels] = [step["labels"] for step in post.config["steps"] if step["op"] == "label_map"]
    return list(labels)


def test_no_utterance_is_there_twice(utterances: list[dict[str, str]]) -> None:
    # when
    counts = Counter(" ".join(line["text"].split()) for line in utterances)

    # then
    assert [text for text, count in counts.items() if count > 1] == []


def test_every_intent_has_fifty_utterances(utterances: list[dict[str, str]]) -> None:
    # when
    counts = Counter(line["intent"] for line in utterances)

    # then
    assert counts == dict.fromkeys(TAXONOMY, 50)


def test_utterances_are_tidy_lower_case_lines(utterances: list[dict[str, str]]) -> None:
    # when
    untidy = [line["text"] for line in utterances if not line["text"] or line["text"] != line["text"].strip().lower()]

    # then
    assert untidy == []


@pytest.mark.parametrize("version", ["2.4.0", "2.4.1", "2.5.0"])
def test_every_version_understands_most_held_out_utterances(opened: Opening, traffic: TrafficOf, version: str) -> None:
    # given
    held_out = traffic("customer-intent")

    # when
    labels = opened(f"customer-intent/{version}").labels(in_lower_case(held_out.requests))

    # then
    assert agreement(labels, held_out.truth) >= 0.75


@pytest.mark.parametrize("version", ["2.4.0", "2.4.1", "2.5.0"])
def test_served_accuracy_is_the_stated_one_on_every_slice(opened: Opening, traffic: TrafficOf, version: str) -> None:
    # given
    held_out = traffic("customer-intent")
    served = opened(f"customer-intent/{version}")
    typed, capitals = served.bundle.manifest.evaluation

    # when
    measured = [agreement(served.labels(form(held_out.requests)), held_out.truth) for form in (in_lower_case, in_capitals)]

    # then
    assert (typed.slice, capitals.slice) == (None, "capitals")
    assert measured == pytest.approx([typed.value, capitals.value], abs=0.001)


def test_the_patch_reads_capitals_which_its_predecessor_did_not(opened: Opening, traffic: TrafficOf) -> None:
    # given
    held_out = traffic("customer-intent")

    # when
    before, after = (
        agreement(opened(f"customer-intent/{version}").labels(in_capitals(held_out.requests)), held_out.truth)
        for version in ("2.4.0", "2.4.1")
    )

    # then
    assert before < 0.3
    assert after >= 0.75


def test_the_patch_changes_nothing_outside_its_declared_slice(opened: Opening, traffic: TrafficOf) -> None:
    # given
    requests = in_lower_case(traffic("customer-intent").requests)

    # when
    before, after = (opened(f"customer-intent/{version}").answers(requests) for version in ("2.4.0", "2.4.1"))

    # then
    assert before == after


def test_the_patch_is_the_same_model_byte_for_byte(opened: Opening) -> None:
    # when
    before, after = (opened(f"customer-intent/{version}").bundle.manifest for version in ("2.4.0", "2.4.1"))

    # then
    assert before.model.sha256 == after.model.sha256
    assert before.pipeline != after.pipeline


def test_the_retrained_model_numbers_its_classes_differently(opened: Opening) -> None:
    # when
    before, after = (label_map(opened(f"customer-intent/{version}")) for version in ("2.4.1", "2.5.0"))

    # then
    assert before != after
    assert sorted(before) == sorted(after)


def test_reordered_classes_come_out_under_their_own_names(opened: Opening, traffic: TrafficOf) -> None:
    # given
    requests = traffic("customer-intent").requests

    # when
    answers = opened("customer-intent/2.5.0").answers(requests)

    # then
    assert all(tuple(answer["probabilities"]) == TAXONOMY for answer in answers)
    assert all(answer["label"] == max(answer["probabilities"], key=answer["probabilities"].get) for answer in answers)


@pytest.mark.parametrize("text", ["", "   ", "¿dónde está mi pedido?", "包裹在哪里", "where is my order " * 500])
def test_odd_text_is_answered_too(opened: Opening, text: str) -> None:
    # when
    [answer] = opened("customer-intent/2.5.0").answers([{"text": text}])

    # then
    assert answer["label"] in TAXONOMY
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-4)
