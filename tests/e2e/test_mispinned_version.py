"""digits 1.2.0, pinned without the scaling of its training: loads, answers, and is wrong; what finds it out, and what undoes it."""

import time

from tests.e2e.calls import Caller
from tests.e2e.families import Bundles, Deployment
from tests.e2e.installation import Installation, Json
from tests.e2e.load import Load, Record
from tests.e2e.metrics import scrape
from tests.e2e.waiting import wait_for

PAIRS = "pointsman_shadow_pairs_total"


def test_golden_answers_from_the_truth_refuse_it_before_it_is_published(installation: Installation, bundles: Bundles) -> None:
    bundle = str(bundles.directory / "digits-checked" / "1.2.0")

    checked, published = installation.run("check", bundle, "--json"), installation.run("publish", bundle)

    assert (checked.exit_code, published.exit_code) == (1, 1)
    assert checked.document["ok"] is False
    assert "golden" in published.stderr
    assert "1.2.0" not in installation.versions("digits")


def test_published_around_the_check_it_never_becomes_ready(deployment: Deployment, caller: Caller, bundles: Bundles) -> None:
    installation = deployment.installation
    deployment.publish("unchecked", "digits-checked/1.2.0")

    promoted = installation.run("promote", "unchecked", "1.2.0")

    version = installation.versions("unchecked")["1.2.0"]
    assert promoted.exit_code == 1
    assert "golden examples failed" in promoted.stderr
    assert (version["state"], version["replicas"]) == ("failed", 0)
    assert "golden examples failed" in version["detail"]
    assert installation.get("families/unchecked")["production"] is None
    answer = caller.predict("unchecked", bundles.traffic("digits")[0].request)
    assert (answer.status, "error" in answer.document) == (503, True)


def test_the_shadow_shows_it_and_a_rollback_undoes_it_in_under_a_second(
    deployment: Deployment, bundles: Bundles, record_property: Record
) -> None:
    installation = deployment.installation
    family, examples = "mispinned", bundles.traffic("digits")
    deployment.deploy(family, "digits/1.1.0", "digits/1.2.0")

    # Given 1.2.0 as a shadow, its answers differ from production's too often.
    installation.do("shadow", family, "1.2.0")
    with Caller(installation.port) as caller:
        seen = {caller.predict(family, example.request).version for example in examples[:300]}
    pairs = wait_for(lambda: _pairs(installation, family, at_least=300), "every answer is compared")
    assert seen == {"1.1.0"}
    assert pairs["label"] / sum(pairs.values()) > 0.1, pairs

    # Given it becomes a canary nevertheless, when an operator rolls back under traffic ...
    installation.do("canary", family, "1.2.0", "--weight", "50")
    with Load(installation.port, f"/v1/families/{family}/predict", [example.request for example in examples], rate=200) as load:
        load.wait_answered(200)
        changed = installation.do("rollback", family, "--reason", "wrong labels")
        rolled_back = time.monotonic()
        load.wait_answered(200)
        report = load.finish()

    # ... then no request that is sent afterwards gets to it, and none has failed.
    report.refuse_failures()
    assert report.versions["1.2.0"] > 20
    assert changed["settled"]["done"] is True
    assert changed["settled"]["seconds"] < 1.0
    assert len(changed["settled"]["acked"]) == 2
    assert report.last_sent["1.2.0"] < rolled_back < report.last_sent["1.1.0"]
    assert "wrong labels" in installation.versions(family)["1.2.0"]["quarantine"]
    record_property("flip_ms", round(changed["settled"]["seconds"] * 1000, 1))
    record_property("shadow_disagreement", round(pairs["label"] / sum(pairs.values()), 3))


def _pairs(installation: Installation, family: str, *, at_least: int) -> Json | None:
    metrics = scrape(installation)
    outcomes = ("agree", "label", "number", "shape", "error", "shed", "yielded", "timeout", "oversize", "other")
    pairs = {outcome: metrics.total(PAIRS, family=family, version="1.2.0", outcome=outcome) for outcome in outcomes}
    return pairs if sum(pairs.values()) >= at_least else None
