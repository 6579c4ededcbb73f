"""Another maker's client, unchanged, in a process of its own: `tritonclient` over HTTP, blocking and asyncio."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.families import Bundles
from tests.e2e.installation import Installation, Json, environment

ROWS = 3
SLOTS = (
    ("digits", "1.0.0", "1.0.0"),
    ("digits", "1.1.0", "1.1.0"),
    ("digits", "production", "1.0.0"),
    ("digits", "staging", "1.1.0"),
    ("digits", "^1.0", "1.0.0"),
    ("digits", "~1.0.0", "1.0.0"),
    ("digits", "1", "1.0.0"),
    ("digits", "1.x", "1.0.0"),
    ("customer-intent", "^2.4", "2.5.0"),
    ("customer-intent", "~2.4", "2.4.0"),
    ("customer-intent", "2.4.0", "2.4.0"),
    ("customer-intent", "production", "2.5.0"),
)
REFUSALS = (
    ("family", 404, "family 'nonesuch' is not served here"),
    ("version", 404, "version 9.9.9 is not served (served: 1.0.0, 1.1.0)"),
    ("tag", 400, "no such tag"),
    ("shape", 400, "input 'pixels' has shape [3, 63], the interface takes [-1, 64]"),
    ("input", 400, "input 'text' is unknown"),
    ("output", 400, "output 'nonesuch' is unknown"),
    ("metadata", 404, "family 'nonesuch' is not served here"),
    ("load", 403, "the tags"),
)


@pytest.fixture(scope="module", params=["blocking", "asyncio"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def golden(bundles: Bundles) -> dict[str, list[Json]]:
    """A few golden examples of what is in production."""
    paths = {"digits": "digits/1.0.0", "customer-intent": "customer-intent/2.5.0"}
    return {family: bundles.golden(path)[:ROWS] for family, path in paths.items()}


@pytest.fixture(scope="module")
def reports(installation: Installation, golden: dict[str, list[Json]]) -> Json:
    """What both clients saw of the shared installation."""
    questions = {
        "url": f"127.0.0.1:{installation.port}",
        "digits": [example["request"]["pixels"] for example in golden["digits"]],
        "customer-intent": [example["request"]["text"] for example in golden["customer-intent"]],
        "slots": [[family, slot] for family, slot, _ in SLOTS],
    }
    probe = Path(__file__).with_name("triton_probe.py")
    done = subprocess.run(
        [sys.executable, str(probe)],
        env=environment(),
        input=json.dumps(questions),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report: Json = json.loads(done.stdout)
    return report


@pytest.fixture
def report(reports: Json, kind: str) -> Json:
    client: Json = reports[kind]
    return client


def labels_of(examples: list[Json]) -> list[Any]:
    return [example["response"]["label"] for example in examples]


def test_the_server_tells_what_it_is_and_has(report: Json) -> None:
    server = report["server"]

    assert (server["live"], server["ready"]) == (True, True)
    assert server["metadata"]["name"] == "pointsman"
    assert "binary_tensor_data" in server["metadata"]["extensions"]
    states = {(model["name"], model["version"]): model["state"] for model in server["index"]}
    assert states["digits", "1.0.0"] == states["digits", "1.1.0"] == states["customer-intent", "2.5.0"] == "READY"
    assert isinstance(server["statistics"]["model_stats"], list)


def test_a_model_tells_its_interface_and_whether_it_is_ready(report: Json) -> None:
    model = report["model"]

    assert (model["ready"], model["version_ready"], model["unknown_ready"]) == (True, True, False)
    assert model["metadata"]["versions"] == ["1.0.0", "1.1.0"]
    assert model["metadata"]["inputs"] == [{"name": "pixels", "datatype": "FP32", "shape": [-1, 64]}]
    assert model["version_metadata"]["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
    assert model["config"]["input"] == [{"name": "pixels", "data_type": "TYPE_FP32", "dims": [-1, 64]}]
    assert all(entry["name"] == "digits" for entry in model["statistics"]["model_stats"])


def test_every_form_and_compression_gets_the_golden_answer(report: Json, golden: dict[str, list[Json]]) -> None:
    answers = report["answers"]

    assert len(answers) == 2 * 2 * 2 * 3
    for answer in answers:
        assert answer["labels"] == labels_of(golden[answer["family"]]), answer
        assert answer["sums"] == pytest.approx([1.0] * ROWS, abs=1e-4), answer
        assert answer["version"] == {"digits": "1.0.0", "customer-intent": "2.5.0"}[answer["family"]]


def test_a_request_id_comes_back(report: Json) -> None:
    assert {answer["id"] for answer in report["answers"]} == {
        "digits-json",
        "digits-binary",
        "customer-intent-json",
        "customer-intent-binary",
    }
    assert {answer["id"] for answer in report["slots"]} == {None}


def test_the_version_slot_takes_versions_tags_and_ranges(report: Json) -> None:
    resolved = {(answer["family"], answer["slot"]): answer["version"] for answer in report["slots"]}

    assert resolved == {(family, slot): version for family, slot, version in SLOTS}


@pytest.mark.parametrize(("what", "status", "sentence"), REFUSALS, ids=[refusal[0] for refusal in REFUSALS])
def test_an_error_reaches_the_user_as_its_own_sentence(report: Json, what: str, status: int, sentence: str) -> None:
    refusal = report["errors"][what]

    assert sentence in refusal["message"]
    assert str(status) in str(refusal["status"])


def test_calls_in_parallel_are_all_answered_right(report: Json, golden: dict[str, list[Json]]) -> None:
    assert [answer["labels"] for answer in report["parallel"]] == [labels_of(golden["digits"])] * 24
