import json

import pytest

from registry_client.versions import ModelVersion
from serving.ports import GatewayAck, LoadState
from tests.fakes.admin import AdminWorld
from tests.fakes.admin_server import SelfLoadingStore
from tests.fakes.terminal import Terminal, says_why


def loader(world: AdminWorld) -> SelfLoadingStore:
    assert isinstance(world.store, SelfLoadingStore)
    return world.store


def rolled_back(world: AdminWorld, terminal: Terminal) -> None:
    """1.1.0 was a canary of 1.0.0 and was rolled back; it is not loaded any more."""
    terminal.run("promote", "digits", "1.0.0")
    terminal.run("canary", "digits", "1.1.0", "--weight", "10")
    terminal.run("rollback", "digits", "--no-wait", "-m", "wrong labels")
    world.stops("1.1.0")


def test_a_promotion_first_loads_the_version_and_says_so(world: AdminWorld, terminal: Terminal) -> None:
    result = terminal.run("promote", "digits", "1.0.0", "--reason", "first")

    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("digits: 1.0.0 is in production")
    assert [line.partition(" (")[0] for line in result.stderr.splitlines()] == [
        "digits@1.0.0 waits for the controller, which loads it",
        "digits@1.0.0 is loading",
        "digits@1.0.0 is ready",
    ]
    assert world.actions == [("tag 1.0.0 candidate", "ada", "to be loaded"), ("promote 1.0.0", "ada", "first")]


def test_a_version_that_is_ready_is_promoted_at_once(world: AdminWorld, terminal: Terminal) -> None:
    world.runs("1.0.0")

    result = terminal.run("promote", "digits", "1.0.0")

    assert result.exit_code == 0
    assert not result.stderr
    assert [action for action, _, _ in world.actions] == ["promote 1.0.0"]


def test_a_version_that_fails_to_load_takes_no_traffic_and_the_reason_is_told(world: AdminWorld, terminal: Terminal) -> None:
    loader(world).fails = frozenset({ModelVersion.parse("1.1.0")})
    terminal.run("promote", "digits", "1.0.0")

    result = terminal.run("canary", "digits", "1.1.0", "--weight", "10")

    assert result.exit_code == 1
    assert says_why(result.stderr)
    assert "2 of 3 golden examples failed" in result.stderr
    assert not terminal.json("show", "digits")["canaries"]


def test_a_version_that_does_not_load_in_time_takes_no_traffic(world: AdminWorld, terminal: Terminal) -> None:
    loader(world).hangs = frozenset({ModelVersion.parse("1.0.0")})

    result = terminal.run("promote", "digits", "1.0.0", "--timeout", "0.1")

    assert result.exit_code == 1
    assert says_why(result.stderr)
    assert "not ready after 0.1 s: it is loading" in result.stderr


@pytest.mark.parametrize("weight", ["10", "2.5", "10%", " 0.01 % "])
def test_a_canary_takes_percent_as_people_write_them(terminal: Terminal, weight: str) -> None:
    terminal.run("promote", "digits", "1.0.0")

    result = terminal.run("canary", "digits", "1.1.0", "--weight", weight)

    assert result.exit_code == 0, result.stderr
    [canary] = terminal.json("show", "digits")["canaries"]
    assert canary["weight"] == float(weight.strip(" %"))


@pytest.mark.parametrize("weight", ["ten", "101", "-1", "0.001", "nan", "inf", ""])
def test_what_is_no_percentage_is_wrong_usage(terminal: Terminal, weight: str) -> None:
    result = terminal.run("canary", "digits", "1.1.0", f"--weight={weight}")

    assert result.exit_code == 2
    assert says_why(result.stderr)


def test_a_canary_of_no_weight_ends_without_being_loaded(world: AdminWorld, terminal: Terminal) -> None:
    terminal.run("promote", "digits", "1.0.0")
    terminal.run("canary", "digits", "1.1.0", "--weight", "10")
    world.state.board = ()

    result = terminal.run("canary", "digits", "1.1.0", "--weight", "0")

    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("digits: 1.1.0 is no canary any more")


def test_a_shadow_gets_everything_unless_told_otherwise(terminal: Terminal) -> None:
    terminal.run("promote", "digits", "1.0.0")

    result = terminal.run("shadow", "digits", "1.1.0")

    assert result.exit_code == 0, result.stderr
    [shadow] = terminal.json("show", "digits")["shadows"]
    assert shadow["weight"] == 100


def test_a_rollback_tells_how_fast_the_gateways_followed(world: AdminWorld, terminal: Terminal) -> None:
    terminal.run("promote", "digits", "1.0.0")
    terminal.run("promote", "digits", "1.1.0")
    world.state.gateways["gateway-1"] = GatewayAck("gateway-1", 99, world.clock.now())

    result = terminal.run("rollback", "digits", "--reason", "errors")

    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("digits: rolled back, 1.0.0 is in production")
    assert "1 gateway serves it after" in result.stdout
    assert "gateway-1 (99)" in result.stdout
    assert terminal.json("show", "digits")["production"]["version"] == "1.0.0"


def test_a_rollback_that_a_gateway_does_not_follow_stands_and_is_told(
    world: AdminWorld, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.cli.changing.SETTLE_SECONDS", 0.1)
    terminal.run("promote", "digits", "1.0.0", "--no-wait")
    terminal.run("promote", "digits", "1.1.0", "--no-wait")
    world.state.gateways["gateway-stuck"] = GatewayAck("gateway-stuck", 0, world.clock.now())

    result = terminal.run("rollback", "digits", "--reason", "errors")

    assert result.exit_code == 1
    assert says_why(result.stderr)
    assert "gateway-stuck" in result.stderr
    assert terminal.json("show", "digits")["production"]["version"] == "1.0.0"


def test_a_dry_run_changes_nothing(world: AdminWorld, terminal: Terminal) -> None:
    terminal.run("promote", "digits", "1.0.0")
    terminal.run("promote", "digits", "1.1.0")
    before = len(world.actions)

    result = terminal.run("rollback", "digits", "--dry-run")

    assert result.exit_code == 0, result.stderr
    assert "puts 1.0.0 into production" in " ".join(result.stdout.split())
    assert len(world.actions) == before


def test_a_rollback_with_nothing_to_go_back_to_is_refused(terminal: Terminal) -> None:
    terminal.run("promote", "digits", "1.0.0")

    result = terminal.run("rollback", "digits", "--reason", "errors")

    assert result.exit_code == 1
    assert says_why(result.stderr)


def test_a_rolled_back_version_is_released_with_a_reason(terminal: Terminal) -> None:
    terminal.run("promote", "digits", "1.0.0")
    terminal.run("promote", "digits", "1.1.0")
    terminal.run("rollback", "digits", "--reason", "errors")

    unreasoned = terminal.run("release", "digits", "1.1.0")
    reasoned = terminal.run("release", "digits", "1.1.0", "--reason", "it was the data")

    assert (unreasoned.exit_code, reasoned.exit_code) == (1, 0)
    assert says_why(unreasoned.stderr)


@pytest.mark.parametrize("words", [("canary", "--weight", "10"), ("shadow",), ("promote",)])
def test_what_was_rolled_back_is_refused_before_it_is_loaded(world: AdminWorld, terminal: Terminal, words: tuple[str, ...]) -> None:
    rolled_back(world, terminal)
    before = list(world.actions)
    command, *options = words

    refused = terminal.run(command, "digits", "1.1.0", *options)

    assert refused.exit_code == 1
    assert "digits@1.1.0 is quarantined: wrong labels" in refused.stderr
    assert "--override and a --reason" in refused.stderr
    assert world.actions == before


def test_an_override_without_a_reason_is_refused_before_anything_is_loaded(world: AdminWorld, terminal: Terminal) -> None:
    rolled_back(world, terminal)
    before = list(world.actions)

    refused = terminal.run("canary", "digits", "1.1.0", "--weight", "10", "--override")

    assert refused.exit_code == 2
    assert says_why(refused.stderr)
    assert world.actions == before


def test_with_a_reason_what_was_rolled_back_is_loaded_again(world: AdminWorld, terminal: Terminal) -> None:
    rolled_back(world, terminal)

    result = terminal.run("canary", "digits", "1.1.0", "--weight", "10", "--override", "--reason", "it was the network")

    assert result.exit_code == 0, result.stderr
    assert [action for action, _, _ in world.actions[-2:]] == ["tag 1.1.0 candidate", "canary 1.1.0 10 %"]


def test_tags_are_given_and_taken(world: AdminWorld, terminal: Terminal) -> None:
    given = terminal.run("tag", "digits", "1.1.0", "candidate")
    taken = terminal.run("tag", "digits", "1.1.0", "candidate", "--remove")
    again = terminal.run("tag", "digits", "1.1.0", "candidate")
    untagged = terminal.run("untag", "digits", "1.1.0", "candidate", "-m", "no need")

    assert [result.exit_code for result in (given, taken, again, untagged)] == [0, 0, 0, 0]
    assert world.actions[-1] == ("untag 1.1.0 candidate", "ada", "no need")


def test_a_tag_that_does_not_exist_is_refused(terminal: Terminal) -> None:
    result = terminal.run("tag", "digits", "1.1.0", "candidat")

    assert result.exit_code == 2
    assert says_why(result.stderr)


@pytest.mark.parametrize("words", [("promote", "digit", "1.0.0"), ("rollback", "digit"), ("status", "digit"), ("start", "digit", "1.0.0")])
def test_a_family_with_a_typo_gets_the_one_that_is_near(terminal: Terminal, words: tuple[str, ...]) -> None:
    result = terminal.run(*words)

    assert result.exit_code == 4
    assert "hint: did you mean 'digits'?" in result.stderr


@pytest.mark.parametrize(
    ("name", "way_out"), [("digits@1.0.0", "write digits 1.0.0"), ("a/b", "lower-case words joined by dashes"), ("", "lower-case words")]
)
def test_what_is_no_familys_name_is_told_without_asking_anybody(name: str, way_out: str) -> None:
    result = Terminal("http://127.0.0.1:1").run("show", name)

    assert result.exit_code == 2
    assert way_out in result.stderr


def test_a_hint_names_the_family(terminal: Terminal) -> None:
    terminal.run("promote", "digits", "1.0.0")

    result = terminal.run("untag", "digits", "1.0.0", "staging")

    assert "hint: `pointsman show digits` tells which version carries it" in result.stderr


def test_a_version_that_nobody_published_is_not_found(terminal: Terminal) -> None:
    result = terminal.run("promote", "digits", "9.9.9")

    assert result.exit_code == 4
    assert says_why(result.stderr)


def test_a_version_that_is_none_is_refused(terminal: Terminal) -> None:
    result = terminal.run("promote", "digits", "one")

    assert result.exit_code == 2
    assert says_why(result.stderr)


def test_a_change_that_somebody_else_was_faster_with_is_a_conflict(world: AdminWorld, terminal: Terminal) -> None:
    world.runs("1.0.0", "1.1.0")

    async def somebody_else() -> None:
        world.state.revisions["digits"] = 7

    world.state.before_commit.append(somebody_else)
    result = terminal.run("promote", "digits", "1.0.0")

    assert result.exit_code == 5
    assert says_why(result.stderr)


def test_a_version_that_failed_before_is_not_waited_for(world: AdminWorld, terminal: Terminal) -> None:
    world.runs("1.0.0", state=LoadState.FAILED, detail="out of memory")

    result = terminal.run("promote", "digits", "1.0.0")

    assert result.exit_code == 1
    assert "out of memory" in result.stderr
    assert not world.actions


def test_what_is_said_is_never_taken_for_markup(terminal: Terminal) -> None:
    terminal.run("promote", "digits", "1.0.0", "-m", "[red]tell[/red] [/] everyone")

    shown = terminal.run("show", "digits")

    assert "[red]tell[/red] [/] everyone" in shown.stdout


def test_changes_answer_in_json(world: AdminWorld, terminal: Terminal) -> None:
    world.runs("1.0.0", state=LoadState.READY)

    changed = terminal.json("promote", "digits", "1.0.0")

    assert (changed["action"], changed["settled"]["done"]) == ("promote 1.0.0", True)


def test_a_version_that_does_not_exist_gets_the_command_that_lists_them(terminal: Terminal) -> None:
    result = terminal.run("promote", "digits", "9.9.9")

    assert result.exit_code == 4
    assert "`pointsman versions digits` lists" in result.stderr


def test_a_rollback_that_finds_nobody_names_the_way_that_needs_nobody() -> None:
    result = Terminal("http://127.0.0.1:1").run("rollback", "digits", "--reason", "INC-1")

    assert result.exit_code == 3
    assert "nothing was changed" in result.stderr
    assert "`pointsman override digits --reason WHY`" in result.stderr
    assert says_why(result.stderr)


# --- Ctrl-C ---------------------------------------------------------------------------------------------------------


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_who_stops_waiting_for_a_load_is_told_that_it_goes_on(
    world: AdminWorld, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    loader(world).hangs = frozenset({ModelVersion.parse("1.0.0")})
    monkeypatch.setattr("serving.cli.loading.time.sleep", interrupted)

    # when
    result = terminal.run("promote", "digits", "1.0.0")

    # then
    assert result.exit_code == 130
    assert says_why(result.stderr)
    assert "no traffic was moved, and the server goes on loading digits@1.0.0" in result.stderr
    assert "pointsman versions digits" in result.stderr
    assert "pointsman untag digits 1.0.0 candidate" in result.stderr
    assert [action for action, _, _ in world.actions] == ["tag 1.0.0 candidate"]


def test_who_stops_waiting_for_an_answer_is_told_that_the_change_may_be_made(
    world: AdminWorld, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    world.runs("1.0.0")
    monkeypatch.setattr("serving.cli.client.AdminClient.ask", interrupted)

    # when
    result = terminal.run("promote", "digits", "1.0.0", "--json")

    # then
    assert (result.exit_code, json.loads(result.stdout)["exit_code"]) == (130, 130)
    assert "the server has been asked, and may do it all the same" in result.stderr
    assert "pointsman show digits" in result.stderr


def test_who_stops_waiting_for_a_proof_is_told_that_the_rollback_stands(
    world: AdminWorld, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    for version in ("1.0.0", "1.1.0"):
        world.runs(version)
        terminal.run("promote", "digits", version)
    monkeypatch.setattr("serving.cli.changing.ask_for_proof", interrupted)

    # when
    result = terminal.run("rollback", "digits")

    # then
    assert result.exit_code == 130
    assert "interrupted: digits: rolled back, 1.0.0 is in production; it was not proven" in result.stderr
    assert "pointsman verify digits" in result.stderr
    assert terminal.json("show", "digits")["production"]["version"] == "1.0.0"
