import asyncio

import pytest

from serving.cli.verifying import committed_by
from serving.ports import GatewayAck, PublicAnswer
from tests.fakes.admin import AdminWorld
from tests.fakes.terminal import Terminal, says_why


@pytest.fixture(autouse=True)
def _promoted(world: AdminWorld, terminal: Terminal) -> None:
    """1.0.0 and then 1.1.0 in production, and a gateway that will have acked whatever comes."""
    terminal.run("promote", "digits", "1.0.0", "--no-wait")
    terminal.run("promote", "digits", "1.1.0", "--no-wait")
    now = world.clock.now()
    world.state.gateways["gateway-1"] = GatewayAck("gateway-1", 99, now, since=now)


def test_a_rollback_that_waits_is_proven(terminal: Terminal) -> None:
    document = terminal.json("rollback", "digits", "--reason", "INC-1")

    proof = document["verified"]
    assert (proof["verified"], proof["missing"], proof["production"]) == (True, [], "1.0.0")
    assert proof["epoch"] == document["epoch"]
    assert {probe["fault"] for probe in proof["probes"]} == {""}
    assert proof["moments"]["asked"] <= proof["moments"]["committed"] <= proof["moments"]["verified"]


def test_a_change_that_a_gateway_serves_counts_as_committed_though_whoever_wrote_it_hears_of_it_later() -> None:
    served = [{"epoch": 8, "since": "2030-01-01T00:00:00.245Z"}, {"epoch": 7, "since": "2029-12-31T00:00:00Z"}]

    committed = committed_by({"committed_at": "2030-01-01T00:00:00.247000Z"}, {"epoch": 8, "gateways": served})

    assert committed == "2030-01-01T00:00:00.245Z"
    assert committed_by({"committed_at": None}, {"epoch": 8, "gateways": served}) is None


def test_a_proof_reads_well(terminal: Terminal) -> None:
    terminal.run("rollback", "digits", "--no-wait")

    result = terminal.run("verify", "digits")

    assert result.exit_code == 0, result.stderr
    assert "gateway-1" in result.stdout
    assert "20 of 20 golden examples came back right" in result.stdout
    assert "NOT VERIFIED" not in result.stdout


def test_a_rollback_that_is_not_waited_for_is_not_proven_either(world: AdminWorld, terminal: Terminal) -> None:
    document = terminal.json("rollback", "digits", "--no-wait")

    assert "verified" not in document
    assert world.public.asked == 0


def test_a_change_that_is_not_proven_fails_with_what_is_missing_and_a_way_on(world: AdminWorld, terminal: Terminal) -> None:
    world.public.instead = [PublicAnswer(200, "1.1.0", 99, {})]

    result = terminal.run("rollback", "digits")

    assert result.exit_code == 1
    assert says_why(result.stderr)
    assert "answered by 1.1.0, which has no part in it" in result.stderr
    assert "the change stands" in result.stderr
    assert "NOT VERIFIED" in result.stdout


def test_a_change_that_was_never_made_is_not_found(terminal: Terminal) -> None:
    result = terminal.run("verify", "digits", "--epoch", "77")

    assert result.exit_code == 4
    assert says_why(result.stderr)


def test_who_leads_is_told(world: AdminWorld, terminal: Terminal) -> None:
    nobody = terminal.run("leader")

    token = asyncio.run(world.store.lead("node-1-4711", 15))
    somebody = terminal.json("leader")

    assert "no controller leads" in nobody.stdout
    assert (somebody["holder"], somebody["token"]) == ("node-1-4711", token)
