import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.core.authority import Operators
from serving.telemetry.clock import SystemClock
from tests.fakes.admin import AdminWorld
from tests.fakes.admin_server import served
from tests.fakes.following import FollowedStore
from tests.fakes.rollout_plant import POLICY
from tests.fakes.terminal import Terminal


@pytest.fixture
def world() -> AdminWorld:
    world = AdminWorld(SystemClock(), public_url="http://127.0.0.1:9", store=FollowedStore)
    world.operators = Operators({"ada": ("owner", "release", "oncall"), "ben": ("oncall",)})
    return world


@pytest.fixture
def terminal(world: AdminWorld, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.setattr("serving.cli.loading.POLL_SECONDS", 0.01)
    with served(world.app()) as url:
        terminal = Terminal(url)
        for version in ("1.0.0", "1.1.0"):
            result = terminal.run("promote", "digits", version, "--no-wait", "--reason", "better")
            assert result.exit_code == 0, result.stderr
        yield terminal


def test_a_runbook_says_who_may_what_sets_it_off_and_how_it_stands(terminal: Terminal) -> None:
    text = terminal.run("runbook", "digits").stdout

    assert text.startswith("# Runbook: rolling back digits\n")
    assert "In production: **1.1.0**" in text
    assert "by ada: better" in text
    assert "A rollback leads to 1.0.0" in text
    assert "| rollback | oncall, owner | ada, ben |" in text
    assert "| override | release | ada |" in text
    assert "8 of the candidate's own failures in a row" in text
    for guard in ("errors", "p99", "collapse"):
        assert f"- `{guard}`: " in text.split("## What a person decides on")[0]
    held = text.split("## What a person decides on")[1]
    assert "- `p50`: " in held
    assert ". The rollout is held." in held
    assert "reports are refused" in text
    assert "`pointsman explain digits` names it" in text


def test_a_runbook_is_made_anew_when_things_have_changed(terminal: Terminal) -> None:
    before = terminal.run("runbook", "digits").stdout
    terminal.run("drill", "digits")
    terminal.run("rollback", "digits", "--no-wait", "--reason", "INC-1")

    after = terminal.run("runbook", "digits").stdout

    assert "No drill has passed yet" in before
    assert "1 of 1 drills passed" in after
    assert "In production: **1.0.0**" in after
    assert "There is no way back" in after


def test_a_runbook_names_who_is_told(world: AdminWorld, terminal: Terminal) -> None:
    world.webhooks = ("pager",)
    with served(world.app()) as url:
        text = Terminal(url).run("runbook", "digits").stdout

    assert "Told by itself: pager" in text
    assert "$ pointsman webhooks --test" in text
    assert "Nobody is told by itself" in terminal.run("runbook", "digits").stdout


def test_a_runbook_can_be_written_to_a_file(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "runbook.md"

    result = terminal.run("runbook", "digits", "-o", str(file))

    assert result.exit_code == 0
    assert result.stdout == ""
    assert file.read_text().startswith("# Runbook")
    assert terminal.run("runbook", "digits", "-o", str(tmp_path / "no" / "folder.md")).exit_code == 1


def test_every_command_that_a_runbook_names_is_one_and_takes_these_options(terminal: Terminal) -> None:
    text = terminal.run("runbook", "digits").stdout
    commands = re.findall(r"^\$ pointsman (\S+)(.*)$", text, flags=re.MULTILINE)

    assert {name for name, _ in commands} == {
        "rollback",
        "verify",
        "history",
        "gateways",
        "override",
        "release",
        "webhooks",
        "drill",
    }
    for name, options in commands:
        wanted = set(re.findall(r"--[a-z-]+", options))
        assert wanted <= set(re.findall(r"--[a-z-]+", terminal.run(name, "--help").stdout)), name


def test_readiness_is_an_exit_code(terminal: Terminal) -> None:
    proven = terminal.run("readiness", "digits")
    terminal.run("rollback", "digits", "--no-wait")
    gone = terminal.run("readiness", "digits")

    assert (proven.exit_code, gone.exit_code) == (0, 1)
    assert "every digest verified" in " ".join(proven.stdout.split())
    assert "not proven: family 'digits' has no candidate to take back" in gone.stderr


def test_a_runbook_names_the_commands_of_a_rollout_where_they_apply(terminal: Terminal, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_bytes(POLICY)
    without = terminal.run("runbook", "digits").stdout
    terminal.run("start", "digits", "1.2.0", "--policy", str(policy), "--reason", "better")
    afoot = terminal.run("runbook", "digits").stdout
    terminal.run("rollback", "digits", "--reason", "INC-9", "--no-wait")
    back = terminal.run("runbook", "digits").stdout

    def typed(text: str) -> set[str]:
        return set(re.findall(r"^\$ pointsman (status|explain|policy show|receipt|retry)", text, flags=re.MULTILINE))

    assert typed(without) == set()
    assert "`pointsman retry digits --reason" in without
    assert typed(afoot) == {"status", "explain", "policy show"}
    assert typed(back) == {"status", "explain", "policy show", "receipt", "retry"}
