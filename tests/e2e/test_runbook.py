"""The runbook of a family, followed to the letter: every command that it names is typed as it stands, and does what it says."""

import re
import shlex
from pathlib import Path

import pytest

from tests.e2e.families import Deployment
from tests.e2e.installation import Installation
from tests.e2e.waiting import wait_for
from tests.fakes.rollout_plant import POLICY

FAMILY = "followed"
ROLLOUT = {"status", "explain", "policy", "receipt", "retry"}


@pytest.fixture(scope="module", autouse=True)
def followed(deployment: Deployment) -> None:
    deployment.deploy(FAMILY, "digits/1.0.0", "digits/1.1.0")
    deployment.installation.do("promote", FAMILY, "1.1.0", "--reason", "better")


def commands(installation: Installation) -> list[list[str]]:
    text = installation.run("runbook", FAMILY).stdout
    found = [shlex.split(line) for line in re.findall(r"^\$ pointsman (.+)$", text, flags=re.MULTILINE)]
    return [[str(installation.data) if word == "DIR" else word for word in words] for words in found]


def set_up_again(installation: Installation) -> None:
    """1.1.0 in production, with 1.0.0 to go back to."""
    if installation.do("show", FAMILY)["production"]["version"] != "1.1.0":
        installation.do("promote", FAMILY, "1.1.0", "--override", "--reason", "the next command")


def test_a_runbook_is_followed_command_by_command(installation: Installation) -> None:
    typed = commands(installation)
    assert [words[0] for words in typed] == [
        "rollback",
        "rollback",
        "verify",
        "history",
        "gateways",
        "override",
        "release",
        "webhooks",
        "drill",
        "drill",
    ]

    for words in typed:
        if words[0] in {"rollback", "override", "drill"}:
            set_up_again(installation)
        outcome = installation.run(*words)
        assert outcome.exit_code == 0, (words, outcome.stdout, outcome.stderr)
        if words[0] == "override":
            # The leader writes it down; only then is there a quarantine to lift.
            wait_for(lambda: installation.do("show", FAMILY)["quarantined"] or None, "the override is in the store")

    assert installation.do("show", FAMILY)["production"]["version"] == "1.1.0"
    assert installation.do("drill", FAMILY, "--list")["trend"]["passed"] >= 1


def test_the_commands_of_a_rollout_are_followed_while_it_is_afoot_and_on_the_way_back(installation: Installation, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    # Long enough for every command to be typed before it is over.
    policy.write_bytes(POLICY.replace(b"stray: 0 in 2s", b"stray: 0 in 60s"))
    installation.do("start", FAMILY, "1.0.0", "--policy", str(policy), "--reason", "back by stages")
    afoot = [words for words in commands(installation) if words[0] in ROLLOUT]
    for words in afoot:
        outcome = installation.run(*words)
        assert outcome.exit_code == 0, (words, outcome.stdout, outcome.stderr)

    installation.run("rollback", FAMILY, "--reason", "INC-124", "--no-wait")
    back = [words for words in commands(installation) if words[0] in ROLLOUT]
    for words in back:
        outcome = installation.run(*words)
        assert outcome.exit_code == 0, (words, outcome.stdout, outcome.stderr)

    assert [words[0] for words in afoot] == ["status", "explain", "policy"]
    assert [words[0] for words in back] == ["status", "explain", "policy", "receipt", "retry"]
