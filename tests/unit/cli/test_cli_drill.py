from collections.abc import Iterator
from io import StringIO

import pytest
from rich.console import Console

from serving.cli.drilling import render_drill
from serving.telemetry.clock import SystemClock
from tests.fakes.admin import AdminWorld
from tests.fakes.admin_server import served
from tests.fakes.following import FollowedStore
from tests.fakes.terminal import Terminal, says_why


@pytest.fixture
def world() -> AdminWorld:
    return AdminWorld(SystemClock(), public_url="http://127.0.0.1:9", store=FollowedStore)


@pytest.fixture
def terminal(world: AdminWorld, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.setattr("serving.cli.loading.POLL_SECONDS", 0.01)
    with served(world.app()) as url:
        terminal = Terminal(url)
        for version in ("1.0.0", "1.1.0"):
            result = terminal.run("promote", "digits", version, "--no-wait")
            assert result.exit_code == 0, result.stderr
        yield terminal


def test_a_drill_prints_its_moments(terminal: Terminal) -> None:
    result = terminal.run("drill", "digits", "--reason", "tuesday")

    assert result.exit_code == 0, result.stderr
    assert "the drill passed: from 1.1.0 to 1.0.0 and back" in " ".join(result.stdout.split())
    for moment in ("detected", "decided", "flipped", "last stray", "verified", "restored"):
        assert moment in result.stdout


def test_a_failed_drill_has_an_exit_code(world: AdminWorld, terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    world.store.follows = False  # type: ignore[attr-defined] # a FollowedStore
    monkeypatch.setattr("serving.cli.drilling.PROOF_SECONDS", 0.2)

    result = terminal.run("drill", "digits")

    assert result.exit_code == 1
    assert "FAILED" in result.stdout
    assert says_why(result.stderr)
    assert "not verified" in result.stderr


def test_past_drills_are_listed_with_their_trend(terminal: Terminal) -> None:
    terminal.run("drill", "digits")

    result = terminal.run("drill", "digits", "--list")
    document = terminal.json("drill", "digits", "--list")

    assert result.exit_code == 0, result.stderr
    assert "1 of 1" in result.stdout
    assert [one["passed"] for one in document["drills"]] == [True]


def test_without_a_way_back_it_says_so(terminal: Terminal) -> None:
    terminal.run("rollback", "digits", "--no-wait")

    result = terminal.run("drill", "digits")

    assert result.exit_code == 1
    assert says_why(result.stderr)


def test_a_rehearsal_tells_its_moments_and_is_listed_by_itself(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.cli.drilling.PROOF_SECONDS", 0.1)

    result = terminal.run("drill", "digits", "--inject", "errors")
    listed = terminal.run("drill", "digits", "--list").stdout

    assert result.exit_code == 1
    assert "the rehearsal of a version with errors FAILED" in " ".join(result.stdout.split())
    assert says_why(result.stderr)
    assert "bad versions caught  0 of 1" in listed
    assert "rehearsed" in listed


def test_a_rehearsal_that_passed_reads_well() -> None:
    times = dict.fromkeys(("detected", "decided", "flipped", "verified"), "2030-01-02T03:04:07.500000Z")
    began = {"began": "2030-01-02T03:04:05.000000Z", "last_stray": None, "restored": None}
    held = {"passed": True, "injected": "errors", "signal": "errors", "caught_seconds": 2.5, "reason": "it failed", "times": times | began}

    console = Console(width=100, record=True, file=StringIO())
    console.print(render_drill("digits", held))
    text = console.export_text()

    assert "digits: the rehearsal of a version with errors passed: errors caught it after 2,500 ms" in text
    assert "03:04:07.500Z  +2,500 ms" in text
    assert "none" in text
