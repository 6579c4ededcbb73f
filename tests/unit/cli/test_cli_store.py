"""`pointsman store`: how the store stands, and what an operator says of one that went back."""

import asyncio

import pytest

from serving.ports import GatewayAck, Kept
from tests.fakes.admin import AdminWorld
from tests.fakes.terminal import Terminal, says_why


@pytest.fixture
def gone_back(world: AdminWorld, terminal: Terminal) -> Terminal:
    """1.0.0 in production; 1.1.0 after it was seen, and is lost by a restored backup."""
    world.runs("1.0.0", "1.1.0")
    assert terminal.run("promote", "digits", "1.0.0", "--no-wait").exit_code == 0
    backup = world.state.copy()
    assert terminal.run("promote", "digits", "1.1.0", "--no-wait").exit_code == 0
    world.kept.keep(Kept(asyncio.run(world.store.snapshot())))
    world.state.gateways["gateway-1"] = GatewayAck("gateway-1", 2, world.clock.now())
    world.state.go_back_to(backup)
    return terminal


def test_the_status_tells_how_far_each_has_come(gone_back: Terminal) -> None:
    shown = gone_back.run("store", "status").stdout

    for words in ("fake, went back", "epoch 1 (fence 1", "epoch 2 (fence 1", "gateway-1", "pointsman store reseed"):
        assert words in shown


def test_a_change_is_refused_with_an_exit_code_of_its_own(gone_back: Terminal) -> None:
    result = gone_back.run("rollback", "digits")

    assert (result.exit_code, says_why(result.stderr)) == (6, True)
    assert "store reseed" in result.stderr


def test_what_is_only_remembered_is_shown_as_that(gone_back: Terminal) -> None:
    assert "AS LAST SEEN" in gone_back.run("show", "digits").stdout


def test_reseeded_it_goes_on(gone_back: Terminal, world: AdminWorld) -> None:
    result = gone_back.run("store", "reseed", "--from", "snapshot", "--reason", "restored by mistake")

    assert result.exit_code == 0, result.stderr
    assert "goes on from the snapshot, at epoch 3" in result.stdout
    assert world.state.audit[-1].reason == "restored by mistake"
    assert gone_back.run("promote", "digits", "1.0.0", "--no-wait").exit_code == 0


@pytest.mark.parametrize("words", [("--from", "snapshot"), ("--reason", "x"), ("--from", "backup", "--reason", "x")])
def test_a_reseed_needs_a_source_and_a_reason(gone_back: Terminal, words: tuple[str, ...]) -> None:
    result = gone_back.run("store", "reseed", *words)

    assert result.exit_code in {1, 2}
    assert says_why(result.stderr)


def test_a_store_that_is_well_is_left_alone(terminal: Terminal) -> None:
    result = terminal.run("store", "reseed", "--from", "store", "--reason", "x")

    assert (result.exit_code, says_why(result.stderr)) == (1, True)
