"""digits 1.3.0, which fails on unclear digits: as a canary it is rolled back by itself, and no caller notices."""

from tests.e2e.families import Bundles, Deployment
from tests.e2e.installation import Json
from tests.e2e.load import Load, Record
from tests.e2e.metrics import scrape
from tests.e2e.waiting import wait_for

FAMILY = "failing"


def test_it_is_rolled_back_by_itself_without_a_failed_request(deployment: Deployment, bundles: Bundles, record_property: Record) -> None:
    installation = deployment.installation
    deployment.deploy(FAMILY, "digits/1.1.0", "digits/1.3.0")
    requests = [example.request for example in bundles.traffic("digits")]

    def rollback() -> Json | None:
        entries = installation.get(f"families/{FAMILY}/history")["entries"]
        return next((entry for entry in entries if entry["action"] == "rollback"), None)

    with Load(installation.port, f"/v1/families/{FAMILY}/predict", requests, rate=200) as load:
        load.wait_answered(100)
        installation.do("canary", FAMILY, "1.3.0", "--weight", "30")
        entry = wait_for(rollback, "the controller rolls back")
        load.wait_answered(200)
        report = load.finish()

    report.refuse_failures()
    assert report.reasons["fallback"] > 0
    assert (entry["actor"], bool(entry["signal"])) == ("auto", True)
    assert "1.3.0" in entry["reason"]
    family = installation.get(f"families/{FAMILY}")
    assert (family["production"]["version"], family["canaries"]) == ("1.1.0", [])
    assert scrape(installation).total("pointsman_rollbacks_total", family=FAMILY, signal=entry["signal"]) == 1
    record_property("signal", entry["signal"])
    record_property("fallbacks", report.reasons["fallback"])

    # And it does not come back without somebody who says why.
    again = installation.run("canary", FAMILY, "1.3.0", "--weight", "1")
    assert again.exit_code == 1
    assert "rolled back" in again.stderr or "quarantine" in again.stderr
    overridden = installation.do("canary", FAMILY, "1.3.0", "--weight", "1", "--override", "--reason", "to look at it again")
    assert overridden["settled"]["done"] is True
    installation.do("canary", FAMILY, "1.3.0", "--weight", "0")
