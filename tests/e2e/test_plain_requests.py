"""What any HTTP client can ask of the public port: predictions, versions, headers, and errors as JSON."""

from collections import Counter

import pytest

from tests.e2e.calls import Caller
from tests.e2e.families import Bundles, Deployment
from tests.e2e.installation import Installation

ROUTE_HEADERS = ("x-model-version", "x-route-epoch", "x-route-reason", "x-request-id")
USERS = [f"user-{number}" for number in range(300)]


@pytest.mark.parametrize(("family", "path"), [("digits", "digits/1.0.0"), ("customer-intent", "customer-intent/2.5.0")])
def test_a_plain_prediction_is_the_golden_one(caller: Caller, bundles: Bundles, family: str, path: str) -> None:
    for example in bundles.golden(path):
        answer = caller.predict(family, example["request"])

        assert answer.status == 200, answer.body
        assert answer.label == example["response"]["label"]
        assert answer.document["probabilities"] == pytest.approx(example["response"]["probabilities"], rel=1e-3, abs=1e-4)


@pytest.mark.parametrize(("family", "path"), [("digits", "digits/1.0.0"), ("customer-intent", "customer-intent/2.5.0")])
def test_instances_are_answered_in_their_order(caller: Caller, bundles: Bundles, family: str, path: str) -> None:
    examples = bundles.golden(path)

    answer = caller.predict(family, {"instances": [example["request"] for example in examples]})

    assert answer.status == 200, answer.body
    assert [one["label"] for one in answer.document["predictions"]] == [example["response"]["label"] for example in examples]


def test_every_answer_says_which_version_gave_it_and_why(caller: Caller, bundles: Bundles) -> None:
    request = bundles.traffic("digits")[0].request

    answers = {
        slot: caller.predict("digits", request, slot) for slot in (None, "1.1.0", "production", "staging", "%5E1.0", "^1.0", "~1.0.0", "1")
    }

    assert all(set(ROUTE_HEADERS) <= answer.headers.keys() for answer in answers.values())
    assert {slot: (answer.version, answer.headers["x-route-reason"]) for slot, answer in answers.items()} == {
        None: ("1.0.0", "production"),
        "1.1.0": ("1.1.0", "pinned"),
        "production": ("1.0.0", "tag"),
        "staging": ("1.1.0", "tag"),
        "%5E1.0": ("1.0.0", "range"),
        "^1.0": ("1.0.0", "range"),
        "~1.0.0": ("1.0.0", "range"),
        "1": ("1.0.0", "range"),
    }
    ids = [answer.headers["x-request-id"] for answer in answers.values()]
    assert len(set(ids)) == len(ids)
    assert ids[0].split(":")[:2] == ["digits", "1.0.0"]
    assert ids[0].split(":")[3:5] == ["production", answers[None].headers["x-route-epoch"]]


def test_the_protocol_answers_with_the_resolved_version_and_the_callers_id(caller: Caller) -> None:
    tensor = {"name": "pixels", "shape": [1, 64], "datatype": "FP32", "data": [0.0] * 64}

    answer = caller.post("/v2/models/digits/versions/%7E1.0.0/infer", {"id": "mine", "inputs": [tensor]})

    assert answer.status == 200, answer.body
    assert (answer.document["model_name"], answer.document["model_version"], answer.document["id"]) == ("digits", "1.0.0", "mine")
    assert answer.version == "1.0.0"


def test_a_user_stays_with_one_version_as_the_canary_grows(deployment: Deployment, bundles: Bundles, caller: Caller) -> None:
    deployment.deploy("sticky", "digits/1.0.0", "digits/1.1.0")
    request = bundles.traffic("digits")[0].request

    def versions() -> dict[str, str]:
        return {user: caller.predict("sticky", request, x_user_id=user).version for user in USERS}

    deployment.installation.do("canary", "sticky", "1.1.0", "--weight", "20")
    small, again = versions(), versions()
    deployment.installation.do("canary", "sticky", "1.1.0", "--weight", "60")
    large = versions()

    assert small == again
    assert 0.1 < Counter(small.values())["1.1.0"] / len(USERS) < 0.3
    assert 0.5 < Counter(large.values())["1.1.0"] / len(USERS) < 0.7
    assert all(large[user] == "1.1.0" for user, version in small.items() if version == "1.1.0")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v2/nonesuch", 404),
        ("GET", "/v2/models/nonesuch", 404),
        ("GET", "/v2/models/digits/versions/9.9.9", 404),
        ("GET", "/v2/models/digits/versions/latest/ready", 400),
        ("GET", "/v2/models/digits/infer", 405),
        ("GET", "/v1/families/digits/predict", 405),
        ("PUT", "/v2/models/digits/infer", 405),
        ("DELETE", "/v2/models/digits", 405),
        ("POST", "/v2/health/live", 405),
        ("GET", "/v2/repository/index", 405),
        ("POST", "/v2/models/digits", 405),
        ("PUT", "/v2/nonesuch", 404),
        ("OPTIONS", "*", 404),
        ("POST", "/v2/repository/models/digits/load", 403),
        ("POST", "/v1/families/digits/predict", 400),
        ("POST", "/v1/families/nonesuch/predict", 404),
        ("GET", "/metrics", 404),
        ("GET", "/v1/families", 404),
    ],
)
def test_every_error_of_the_public_port_is_json(caller: Caller, method: str, path: str, status: int) -> None:
    answer = caller.send(method, path)

    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.document) == {"error"}
    assert len(answer.document["error"]) > 10


def test_the_public_port_tells_nothing_of_the_admin_api(caller: Caller, installation: Installation) -> None:
    assert caller.send("POST", "/v1/families/digits/rollback", b"{}").status == 404
    assert installation.get("families/digits")["production"]["version"] == "1.0.0"
