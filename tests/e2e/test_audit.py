"""The audit of a running installation: signed and published while it serves, verified by whoever wants to."""

import json
from pathlib import Path

import pytest

from tests.e2e.families import Deployment
from tests.e2e.installation import Installation
from tests.e2e.metrics import scrape
from tests.e2e.waiting import wait_for

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
