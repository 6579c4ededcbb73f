"""A version that is published between two that are there: what the one above it, which cannot change any more, means to its callers."""

from pathlib import Path

import pytest

from registry_client.bundle import load_bundle
from registry_client.client import RegistryClient
from registry_client.compatibility.baselines import next_above
from registry_client.versions import ModelVersion
from tests.unit.registry_client.sketches import LABELS, SCORES, Sketch, tensor

ONE = Sketch()
TWO = ONE.but(outputs=(SCORES, tensor("margin", shape=(-1, 1))))
PUBLISHED = ("1.0.0", "1.2.0", "1.3.0-rc.1", "2.0.0", "0.4.2", "0.5.0")


@pytest.mark.parametrize(
    ("text", "above"),
    [
        ("1.1.0", "1.2.0"),
        ("0.9.0", None),
        ("0.4.1", "0.4.2"),
        ("0.4.3", None),
        ("1.2.1", None),
        ("1.1.0-rc.1", None),
        ("2.0.1", None),
    ],
)
def test_the_release_above_is_one_that_a_range_leads_to(text: str, above: str | None) -> None:
    found = next_above(ModelVersion.parse(text), map(ModelVersion.parse, PUBLISHED))

    assert (None if found is None else str(found)) == above


def test_a_promise_that_the_release_above_takes_away_is_a_warning(client: RegistryClient, tmp_path: Path) -> None:
    # given
    client.publish(load_bundle(ONE.write(tmp_path / "low", "1.0.0")))
    client.publish(load_bundle(ONE.saying(labels=LABELS).write(tmp_path / "high", "1.2.0")))

    # when
    between = client.publish(load_bundle(TWO.write(tmp_path / "between", "1.1.0")))

    # then
    [warning] = [text for text in between.warnings if text.startswith("version: ")]
    assert warning == (
        "version: 1.2.0 is published above it, a minor step, and takes away what 1.1.0 promises: "
        "output-removed: output margin was removed or renamed"
    )


def test_a_version_whose_promises_the_release_above_keeps_is_no_matter(client: RegistryClient, tmp_path: Path) -> None:
    # given
    client.publish(load_bundle(ONE.write(tmp_path / "low", "1.0.0")))
    client.publish(load_bundle(TWO.write(tmp_path / "high", "1.2.0")))

    # when
    between = client.publish(load_bundle(TWO.but(description={"docs": "Sooner."}).write(tmp_path / "between", "1.1.0")))

    # then
    assert not [text for text in between.warnings if text.startswith("version: ")]
