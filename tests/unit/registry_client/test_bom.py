import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given

from registry_client.bom import bill_of
from registry_client.bundle import load_bundle
from registry_client.manifest import Dataset, Evaluation, Manifest, Provenance
from tests.fakes.registry import manifest_of
from tests.strategies.manifests import manifests

WriteBundle = Callable[..., Path]
LOCK = """\
# by uv
numpy==2.0.0 --hash=sha256:{0}
Scikit_Learn[extra]==1.7.0 \\
    --hash=sha256:{1} \\
    --hash=sha256:{0}
not-pinned>=1
"""
ONE, TWO = "a" * 64, "b" * 64


def fault(bill: Any) -> object:
    """What CycloneDX's own schema has against it."""
    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill))


@pytest.fixture
def full() -> Manifest:
    return manifest_of(
        "digits",
        "1.1.0",
        licenses=("Apache-2.0",),
        docs="Digits.",
        provenance=Provenance(
            repository="https://example.com/digits.git",
            commit="c0ffee",
            datasets=(Dataset(name="digits", version="2", sha256=ONE), Dataset(name="more")),
            hyperparameters={"depth": 3},
            training_run="run-7",
            parents=("digits@1.0.0",),
        ),
        evaluation=(Evaluation(dataset="held-out", metric="accuracy", value=0.97, slice="sevens", n=100, ci=(0.95, 0.99)),),
    )


def test_a_bill_with_everything_is_valid_cyclonedx(full: Manifest) -> None:
    assert fault(bill_of(full, LOCK.format(ONE, TWO))) is None


def test_a_bill_of_a_real_bundle_is_valid_cyclonedx(write_bundle: WriteBundle) -> None:
    bundle = load_bundle(write_bundle())

    assert fault(bill_of(bundle.manifest, bundle.path("requirements.lock").read_text())) is None


@given(manifests())
def test_whatever_a_manifest_says_the_bill_is_valid_cyclonedx_with_no_reference_twice(manifest: Manifest) -> None:
    bill = bill_of(manifest)

    references = [part["bom-ref"] for part in bill["components"]]
    assert fault(bill) is None
    assert len(references) == len(set(references))


def test_the_validator_would_say_so() -> None:
    assert fault({**bill_of(manifest_of("digits", "1.0.0")), "version": "one"}) is not None


def test_the_model_its_digest_and_its_card_are_in_it(full: Manifest) -> None:
    model = bill_of(full)["metadata"]["component"]

    assert (model["type"], model["name"], model["version"]) == ("machine-learning-model", "digits", "1.1.0")
    assert model["hashes"] == [{"alg": "SHA-256", "content": full.model.sha256}]
    assert {"name": "pointsman:manifest.sha256", "value": full.digest} in model["properties"]
    assert {"name": "pointsman:hyperparameter.depth", "value": "3"} in model["properties"]
    assert model["modelCard"]["modelParameters"]["datasets"] == [{"ref": "data:digits@2"}, {"ref": "data:more@"}]
    [figure] = model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert figure == {
        "type": "accuracy",
        "value": "0.97",
        "slice": "held-out, sevens",
        "confidenceInterval": {"lowerBound": "0.95", "upperBound": "0.99"},
    }


def test_locked_packages_are_named_as_the_index_names_them_with_what_may_be_installed(full: Manifest) -> None:
    parts = {part["bom-ref"]: part for part in bill_of(full, LOCK.format(ONE, TWO))["components"]}

    packages = {ref: part for ref, part in parts.items() if ref.startswith("pkg:")}
    assert set(packages) == {"pkg:pypi/numpy@2.0.0", "pkg:pypi/scikit-learn@1.7.0"}
    assert packages["pkg:pypi/numpy@2.0.0"]["hashes"] == [{"alg": "SHA-256", "content": ONE}]
    assert [one["value"] for one in packages["pkg:pypi/scikit-learn@1.7.0"]["properties"]] == [TWO, ONE]


def test_every_part_is_something_the_model_depends_on(full: Manifest) -> None:
    bill = bill_of(full, LOCK.format(ONE, TWO))

    [depends] = bill["dependencies"]
    assert depends["dependsOn"] == [part["bom-ref"] for part in bill["components"]]


def test_the_same_version_gives_the_same_bill(full: Manifest) -> None:
    assert bill_of(full) == bill_of(full)
    assert bill_of(full)["serialNumber"] != bill_of(manifest_of("digits", "1.0.0"))["serialNumber"]
