"""The admin API as operators use it, through the program: dry runs, conflicts, waiting, and exit codes that scripts rely on."""

import httpx
import pytest

from tests.e2e.families import Deployment
from tests.e2e.installation import Installation, free_ports

FAMILY = "ruled"


@pytest.fixture(scope="module", autouse=True)
def ruled(deployment: Deployment) -> None:
    deployment.deploy(FAMILY, "digits/1.0.0", "digits/1.1.0")
    deployment.installation.do("promote", FAMILY, "1.1.0", "--reason", "better")


def test_a_dry_run_says_what_a_rollback_would_do_and_does_nothing(installation: Installation) -> None:
    before = installation.do("show", FAMILY)

    plan = installation.do("rollback", FAMILY, "--dry-run")

    assert (plan["possible"], plan["current"], plan["to"], plan["ready"]) == (True, "1.1.0", "1.0.0", True)
    assert plan["condemns"] == ["1.1.0"]
    assert plan["estimated_seconds"] < 1.0
    assert installation.do("show", FAMILY) == before


def test_a_change_waits_until_both_gateways_serve_it(installation: Installation) -> None:
    changed = installation.do("tag", FAMILY, "1.1.0", "staging")
    waited = installation.do("shadow", FAMILY, "1.0.0", "--percent", "10")
    unwaited = installation.do("shadow", FAMILY, "1.0.0", "--percent", "0", "--no-wait")

    assert changed["revision"] < waited["revision"] < unwaited["revision"]
    assert waited["settled"]["done"] is True
    assert len(waited["settled"]["acked"]) == 2
    assert waited["settled"]["waiting"] == []
    assert unwaited["settled"] is None


def test_a_change_that_was_decided_on_an_older_revision_is_refused(installation: Installation) -> None:
    url = f"{installation.admin_url}/v1/families/{FAMILY}"
    seen = httpx.get(url, trust_env=False).headers["ETag"]
    installation.do("tag", FAMILY, "1.0.0", "candidate")

    stale = httpx.put(f"{url}/shadow", json={"version": "1.0.0", "weight": 5}, headers={"If-Match": seen}, trust_env=False)
    blind = httpx.put(f"{url}/shadow", json={"version": "1.0.0", "weight": 5}, trust_env=False)

    assert (stale.status_code, blind.status_code) == (412, 428)
    assert "revision" in stale.json()["error"]
    assert "If-Match" in blind.json()["error"]
    assert installation.do("show", FAMILY)["shadows"] == []


def test_a_repeated_operation_happens_once(installation: Installation) -> None:
    url = f"{installation.admin_url}/v1/families/{FAMILY}/tags/staging"
    headers = {"If-Match": "*", "Idempotency-Key": "e2e-once", "X-Actor": "ada"}

    first = httpx.put(url, json={"version": "1.0.0"}, headers=headers, trust_env=False).json()
    second = httpx.put(url, json={"version": "1.0.0"}, headers=headers, trust_env=False).json()

    assert (first["replayed"], second["replayed"]) == (False, True)
    assert first["revision"] == second["revision"]
    newest, *_ = installation.do("history", FAMILY)["entries"]
    assert newest["actor"] == "ada"


def test_exit_codes_say_what_kind_of_failure_it_was(installation: Installation) -> None:
    [nobody] = free_ports(1)
    commands = {
        ("show", FAMILY): 0,
        ("promote", FAMILY, "1.1.0"): 1,
        ("canary", FAMILY, "1.0.0", "--weight", "200"): 2,
        ("nonesuch",): 2,
        ("show", FAMILY, "--admin", f"http://127.0.0.1:{nobody}"): 3,
        ("show", "nonesuch"): 4,
        ("promote", FAMILY, "9.9.9"): 4,
    }

    outcomes = {command: installation.run(*command) for command in commands}

    assert {command: outcome.exit_code for command, outcome in outcomes.items()} == commands
    for outcome in outcomes.values():
        if outcome.exit_code:
            *_, error, hint = outcome.stderr.splitlines()
            assert error.startswith("error: ")
            assert hint.startswith("hint: ")
            assert "Traceback" not in outcome.stderr
            assert outcome.stdout == ""


def test_the_program_predicts_and_says_who_answered(installation: Installation) -> None:
    outcome = installation.run("predict", "digits", '{"pixels": [' + ", ".join(["0"] * 64) + "]}", "--version", "^1.0", "--json")

    assert outcome.exit_code == 0, outcome.stderr
    assert set(outcome.document) == {"label", "probabilities"}
    assert "1.0.0" in outcome.stderr
    assert "range" in outcome.stderr
