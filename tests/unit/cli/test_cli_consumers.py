import pytest

from tests.fakes.admin import AdminWorld
from tests.fakes.terminal import Terminal, says_why


@pytest.fixture
def busy(world: AdminWorld, terminal: Terminal) -> Terminal:
    """1.1.0 in production over 1.0.0; 1.2.0 is deprecated and still called."""
    world.runs("1.0.0", "1.1.0", "1.2.0")
    for words in (
        ("promote", "digits", "1.0.0", "--no-wait"),
        ("promote", "digits", "1.1.0", "--no-wait"),
        ("tag", "digits", "1.2.0", "deprecated", "--sunset", "2999-01-01T00:00:00Z"),
        ("consumers", "add", "digits", "billing", "~1.1", "-m", "their contract"),
    ):
        result = terminal.run(*words)
        assert result.exit_code == 0, result.stderr
    world.callers["digits"] = {"1.2.0": {"billing": 12, "other": 3}}
    return terminal


def test_consumers_are_listed_with_what_they_can_take_and_what_they_still_call(busy: Terminal) -> None:
    document = busy.json("consumers", "list", "digits")

    assert document["consumers"] == [{"name": "billing", "range": "~1.1", "calls": {"1.2.0": 12}}]
    assert document["others"] == {"1.2.0": 3}
    assert "billing" in busy.run("consumers", "list", "digits").stdout


def test_a_family_shows_its_consumers_and_who_still_calls_what_is_deprecated(busy: Terminal) -> None:
    shown = busy.run("show", "digits").stdout

    for words in ("deprecated 1.2.0", "until 2999-01-01", "billing 12, other 3", "consumer billing", "~1.1"):
        assert words in shown


def test_a_dry_run_of_a_rollback_says_whom_it_leaves_behind(busy: Terminal) -> None:
    assert "billing (~1.1)" in busy.run("rollback", "digits", "--dry-run").stdout


def test_a_promotion_that_leaves_somebody_behind_says_whom_and_how_to_go_on(busy: Terminal) -> None:
    assert busy.run("consumers", "add", "digits", "search", "~1.1").exit_code == 0

    result = busy.run("promote", "digits", "1.0.0", "--no-wait")

    assert result.exit_code == 1
    assert says_why(result.stderr)
    assert "billing (~1.1) and search (~1.1)" in result.stderr


def test_a_consumer_is_forgotten_once(world: AdminWorld, busy: Terminal) -> None:
    world.callers.clear()
    assert busy.run("consumers", "remove", "digits", "billing").exit_code == 0

    result = busy.run("consumers", "remove", "digits", "billing")

    assert result.exit_code == 1
    assert says_why(result.stderr)
    assert "nobody is registered" in busy.run("consumers", "list", "digits").stdout
