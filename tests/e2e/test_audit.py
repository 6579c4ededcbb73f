"""The audit of a running installation: signed and published while it serves, verified by whoever wants to."""

import json
from pathlib import Path

import msgspec
import pytest
import yaml

from registry_client.manifest import parse_manifest
from tests.e2e.calls import Caller
from tests.e2e.families import Bundles, Deployment
from tests.e2e.installation import Installation
from tests.e2e.metrics import scrape
from tests.e2e.waiting import wait_for
from tests.fixtures.registry_homes import FilesHome, opened
from tests.unit.docs.documents import ROOT

FAMILY = "audited"


@pytest.fixture(scope="module", autouse=True)
def audited(deployment: Deployment) -> None:
    deployment.deploy(FAMILY, "digits/1.0.0", "digits/1.1.0")
    deployment.installation.do("promote", FAMILY, "1.1.0", "--reason", "better")


def test_the_audit_holds_against_every_head_that_was_published(installation: Installation) -> None:
    wait_for(installation.layout.heads.exists, "a head was published")

    verdict = installation.do("audit", "verify")

    assert verdict["holds"]
    assert verdict["entries"] == verdict["epoch"] > 2
    assert verdict["heads"] >= 2


def test_an_export_holds_without_the_server_and_shows_what_was_taken_from_it(installation: Installation, tmp_path: Path) -> None:
    path, shorter = tmp_path / "audit.jsonl", tmp_path / "shorter.jsonl"
    installation.do("audit", "export", "--output", str(path))
    *entries, _, head = path.read_text(encoding="utf-8").splitlines()
    shorter.write_text("\n".join([*entries, head]), encoding="utf-8")

    whole = installation.run("audit", "verify", "--export", str(path), "--admin", "http://127.0.0.1:1")
    cut = installation.run("audit", "verify", "--export", str(shorter), "--json")

    assert (whole.exit_code, cut.exit_code) == (0, 1)
    assert cut.document["flaw"] == "truncated"


def test_every_change_is_published_beside_the_store_and_as_metrics(installation: Installation) -> None:
    epoch = installation.do("tag", FAMILY, "1.1.0", "staging")["epoch"]

    def published() -> dict[str, object]:
        last: dict[str, object] = json.loads(installation.layout.heads.read_text(encoding="utf-8").splitlines()[-1])
        return last

    wait_for(lambda: published()["epoch"] == epoch, "its head is published")
    metrics = scrape(installation)
    assert metrics.total("pointsman_audit_epoch") == epoch
    assert metrics.total("pointsman_audit_head") == int(str(published()["head"])[:12], 16)
    assert {path.stat().st_mode & 0o777 for path in (installation.layout.heads, installation.layout.audit_key)} == {0o600}


def test_a_family_is_shown_as_it_was_when_another_version_was_in_production(installation: Installation) -> None:
    entries = installation.do("history", FAMILY)["entries"]
    first = next(entry for entry in reversed(entries) if entry["action"] == "promote 1.0.0")

    then = installation.do("show", FAMILY, "--at", first["at"])
    before = installation.run("show", FAMILY, "--at", "2020-01-01T00:00:00Z")

    assert then["production"]["version"] == "1.0.0"
    assert then["production"]["by"] == "e2e"
    assert installation.do("show", FAMILY)["production"]["version"] == "1.1.0"
    assert before.exit_code == 4
    assert "nothing is recorded" in before.stderr


def test_a_version_that_is_overwritten_in_the_registry_is_refused_and_told_of_once_and_the_good_copy_serves_on(
    installation: Installation, caller: Caller, bundles: Bundles
) -> None:
    # given
    home = FilesHome(installation.layout.data / "registry")
    document = opened(home).read_manifest(FAMILY, "1.1.0").document
    manifest = parse_manifest(document)
    other = msgspec.structs.replace(manifest, docs="another")
    action = "immutability violation 1.1.0"

    def told() -> list[dict[str, str]]:
        return [entry for entry in installation.do("history", FAMILY)["entries"] if entry["action"] == action]

    # when
    home.overwrite_manifest(manifest, other.canonical())
    try:
        looks = [installation.run("show", FAMILY, "1.1.0") for _ in range(2)]
        wait_for(told, "it is in the audit")
        answer = caller.post(f"/v1/families/{FAMILY}/predict", bundles.traffic("digits")[0].request)
    finally:
        home.overwrite_manifest(manifest, document)

    # then
    assert (answer.status, answer.version) == (200, "1.1.0")
    assert all(look.exit_code and "when first seen and is" in " ".join(look.stderr.split()) for look in looks)
    assert scrape(installation).total(_pages_on("PointsmanVersionChanged"), family=FAMILY, version="1.1.0") == len(looks)
    assert sum("immutability_violation " in line and FAMILY in line for line in installation.log.splitlines()) == 1
    [entry] = told()
    assert entry["actor"].startswith("node:")
    assert all(digest[:12] in entry["reason"] for digest in (manifest.digest, other.digest))
    assert installation.do("audit", "verify")["holds"]


def _pages_on(alert: str) -> str:
    """The metric whose increase an alert pages on."""
    [rule] = [
        rule
        for group in yaml.safe_load((ROOT / "configs" / "prometheus" / "alerts.yaml").read_text("utf-8"))["groups"]
        for rule in group["rules"]
        if rule.get("alert") == alert
    ]
    expression = str(rule["expr"])
    assert expression.startswith("increase("), expression
    return expression.removeprefix("increase(").partition("[")[0]
