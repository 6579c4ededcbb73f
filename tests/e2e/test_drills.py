"""A drill on a real installation, under traffic: two gateways, two versions, golden examples over the public listener."""

from datetime import datetime

import pytest

from tests.e2e.families import Deployment
from tests.e2e.installation import Installation
from tests.e2e.load import Load, Record

FAMILY = "drilled"
RATE = 100


@pytest.fixture(scope="module", autouse=True)
def drilled(deployment: Deployment) -> None:
    deployment.deploy(FAMILY, "digits/1.0.0", "digits/1.1.0")
    deployment.installation.do("promote", FAMILY, "1.1.0", "--reason", "better")


def test_a_drill_under_traffic_goes_back_for_real_and_comes_again_and_no_caller_notices(
    installation: Installation, record_property: Record
) -> None:
    with Load(installation.port, f"/v1/families/{FAMILY}/predict", [{"pixels": [0.0] * 64}], rate=RATE) as load:
        load.wait_answered(RATE)
        held = installation.do("drill", FAMILY, "--reason", "tuesday")
        load.wait_answered(RATE)
        report = load.finish()

    report.refuse_failures()
    assert held["passed"] is True, held["failure"]
    assert report.versions["1.0.0"] > 0, "callers were answered by the version before"
    times = [datetime.fromisoformat(held["times"][name]) for name in ("detected", "decided", "flipped", "verified", "restored")]
    assert times == sorted(times)
    for name, moment in zip(("decided", "flipped", "verified", "restored"), times[1:], strict=True):
        record_property(f"{name} after", f"{(moment - times[0]).total_seconds() * 1000:.0f} ms")
    assert installation.do("show", FAMILY)["production"]["version"] == "1.1.0"
    assert installation.do("show", FAMILY)["quarantined"] == {}
    assert [entry["action"] for entry in installation.do("history", FAMILY)["entries"][:2]] == ["drill over", "drill"]


def test_what_a_drill_came_to_is_kept_and_trended(installation: Installation) -> None:
    installation.do("drill", FAMILY)

    standing = installation.do("drill", FAMILY, "--list")

    assert standing["trend"]["drills"] >= 1
    assert standing["trend"]["drills"] == standing["trend"]["passed"]
    assert standing["trend"]["worst"] < 20


def test_the_guards_catch_a_made_up_bad_version_under_traffic_and_no_caller_meets_it(
    installation: Installation, record_property: Record
) -> None:
    before = installation.do("show", FAMILY)
    with Load(installation.port, f"/v1/families/{FAMILY}/predict", [{"pixels": [0.0] * 64}], rate=RATE) as load:
        load.wait_answered(RATE)
        held = installation.do("drill", FAMILY, "--inject", "slow", "--reason", "tuesday")
        load.wait_answered(RATE)
        report = load.finish()

    report.refuse_failures()
    assert held["passed"] is True, held["failure"]
    assert set(report.versions) == {"1.1.0"}
    assert held["signal"] == "p99"
    times = [datetime.fromisoformat(held["times"][name]) for name in ("began", "detected", "decided", "flipped", "verified")]
    assert times == sorted(times)
    for name, moment in zip(("detected", "decided", "flipped", "verified"), times[1:], strict=True):
        record_property(f"{name} after", f"{(moment - times[0]).total_seconds() * 1000:.0f} ms")
    after = installation.do("show", FAMILY)
    assert (after["production"], after["quarantined"], after["canaries"]) == (before["production"], {}, [])
    assert installation.do("drill", FAMILY, "--list")["caught"]["passed"] == 1
