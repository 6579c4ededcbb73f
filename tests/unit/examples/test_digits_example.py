from collections.abc import Iterator, MutableMapping
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from registry_client.bundle import load_bundle
from tests.unit.examples.served import Opening, TrafficOf, agreement


@pytest.fixture
def quiet_log() -> Iterator[list[MutableMapping[str, object]]]:
    """What was logged: a fault's traceback takes long to draw."""
    with capture_logs() as events:
        yield events


@pytest.mark.parametrize(("version", "floor"), [("1.0.0", 0.95), ("1.1.0", 0.95)])
def test_a_sound_version_recognises_held_out_digits(opened: Opening, traffic: TrafficOf, version: str, floor: float) -> None:
    # given
    digits = traffic("digits")

    # when
    labels = opened(f"digits/{version}").labels(digits.requests)

    # then
    assert agreement(labels, digits.truth) >= floor


@pytest.mark.parametrize("version", ["1.0.0", "1.1.0"])
def test_the_served_accuracy_is_the_one_stated_in_the_manifest(opened: Opening, traffic: TrafficOf, version: str) -> None:
    # given
    digits = traffic("digits")
    served = opened(f"digits/{version}")
    [stated] = served.bundle.manifest.evaluation

    # when
    measured = agreement(served.labels(digits.requests), digits.truth)

    # then
    assert measured == pytest.approx(stated.value, abs=0.002)


def test_the_mispinned_version_disagrees_with_its_predecessor_without_any_error(opened: Opening, traffic: TrafficOf) -> None:
    # given
    requests = traffic("digits").requests

    # when
    agreed = agreement(opened("digits/1.2.0").labels(requests), opened("digits/1.1.0").labels(requests))

    # then
    assert agreed < 0.8


def test_the_mispinned_version_states_the_accuracy_of_its_training_not_its_own(opened: Opening, traffic: TrafficOf) -> None:
    # given
    digits = traffic("digits")
    served = opened("digits/1.2.0")
    [stated] = served.bundle.manifest.evaluation

    # when
    measured = agreement(served.labels(digits.requests), digits.truth)

    # then
    assert measured < stated.value - 0.15


def test_golden_answers_from_the_training_refuse_the_mispinned_version(opened: Opening) -> None:
    # when
    failures = opened("digits-checked/1.2.0").golden_failures()

    # then
    assert any("$.label" in failure for failure in failures)


def test_the_checked_variant_differs_in_its_golden_examples_only(build: Path) -> None:
    # given
    careless, checked = (load_bundle(build / folder / "1.2.0").manifest for folder in ("digits", "digits-checked"))

    # when
    differing = {artifact.path for artifact in set(careless.artifacts) ^ set(checked.artifacts)}

    # then
    assert (checked.family, checked.version) == (careless.family, careless.version)
    assert differing == {"golden.jsonl"}


@pytest.mark.usefixtures("quiet_log")
def test_the_faulty_calibration_fails_on_a_good_part_of_real_traffic(opened: Opening, traffic: TrafficOf) -> None:
    # given
    requests = traffic("digits").requests

    # when
    replies = opened("digits/1.3.0").replies(requests)

    # then
    statuses = [reply.status for reply in replies]
    assert set(statuses) == {200, 500}
    assert 0.10 < statuses.count(500) / len(statuses) < 0.40


@pytest.mark.usefixtures("quiet_log")
def test_the_faulty_calibration_fails_for_unclear_digits_only_even_among_others(opened: Opening, traffic: TrafficOf) -> None:
    # given
    served = opened("digits/1.3.0")
    requests = traffic("digits").requests[:64]

    # when
    together = [reply.status for reply in served.replies(requests)]
    alone = [served.replies([request])[0].status for request in requests]

    # then
    assert together == alone
