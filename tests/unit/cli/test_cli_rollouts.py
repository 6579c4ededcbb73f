"""Rollouts from the terminal: each word has its command, and what comes of it is told in a sentence."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from serving.control.policies.parsing import parse_policy
from serving.core.assessing import Assessment, GuardVerdict
from serving.core.course import happened, opened
from serving.core.happenings import Actor, Hold, Start
from serving.core.standing import Rollout
from serving.core.totals import Fault, RefusedReport
from serving.core.verdicts import Finding
from serving.ports import Progress
from tests.fakes.admin import AdminWorld
from tests.fakes.rollout_plant import POLICY
from tests.fakes.terminal import Terminal, says_why

AT = datetime(2030, 1, 1, tzinfo=UTC)
ADA = Actor("ada", ("release", "oncall"))


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    file = tmp_path / "quick.yaml"
    file.write_bytes(POLICY)
    return file


@pytest.fixture
def started(terminal: Terminal, policy: Path) -> Terminal:
    terminal.run("promote", "digits", "1.0.0")
    result = terminal.run("start", "digits", "1.1.0", "--policy", str(policy), "--reason", "better")
    assert result.exit_code == 0, result.stderr
    return terminal


def log_something(world: AdminWorld, rollout: str, *, forged: bool = False) -> None:
    """A log of a start and a hold, which somebody may have changed afterwards."""
    pinned = parse_policy(POLICY)
    first = opened(pinned, Rollout("digits", "1.1.0", "d" * 64, pinned.digest, "ada"), at=AT)
    second = happened(first.course, Start(AT, ADA))
    third = happened(second.course, Hold(AT, ADA, "lunch"))
    last = third.line.replace(b'"state":"held"', b'"state":"live"') if forged else third.line
    for line in (first.line, second.line, last):
        asyncio.run(world.rollouts.append(rollout, 1, line))


def test_a_start_loads_the_version_and_says_what_the_rollout_waits_for(world: AdminWorld, started: Terminal) -> None:
    stands = started.json("status", "digits")

    assert (stands["state"], stands["weight"]) == ("ramping", 5.0)
    assert world.actions[-1] == ("rollout 1.1.0 starts", "ada", "better")


def test_status_shows_stages_and_what_is_lacking(started: Terminal) -> None:
    result = started.run("status", "digits")

    assert "digits@1.1.0 is in stage canary with 5 % of the callers; it waits for: 0 of 100" in result.stdout
    assert "[canary 5 %] half 50 % full 100 %" in result.stdout


def test_status_and_explain_name_the_gateway_whose_reports_are_refused(world: AdminWorld, started: Terminal) -> None:
    refused = RefusedReport("node-1-4711", Fault.WENT_BACK, "its counters went back")
    asyncio.run(world.rollouts.post_progress({"digits": Progress(started.json("status", "digits")["id"], AT, refused=(refused,))}))

    status, explained = started.run("status", "digits").stdout, started.run("explain", "digits").stdout

    assert "refused from node-1-4711  its counters went back" in status
    assert "refused from node-1-4711  its counters went back" in explained
    assert started.json("explain", "digits")["refused"] == [
        {"source": "node-1-4711", "fault": "went_back", "why": "its counters went back"}
    ]


def test_who_is_held_back_after_a_promotion_is_shown(world: AdminWorld, terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "held.yaml"
    guards = POLICY.decode().partition("guards:")[2].replace("keep_warm: 60s", "keep_warm: 60s, holdback: 0.05")
    file.write_text("policy: 1\nstages:\n  - {name: full, weight: 1.0}\nguards:" + guards, encoding="utf-8")
    terminal.run("promote", "digits", "1.0.0")
    terminal.run("start", "digits", "1.1.0", "--policy", str(file))
    soaking = terminal.json("status", "digits")
    safe = Assessment((GuardVerdict("errors", Finding.SAFE, has_data=True, sentence="the candidate failed 0 of 100"),), units=100)
    seen = Progress(soaking["id"], world.clock.now() + timedelta(seconds=1), safe, stage="full")
    asyncio.run(world.rollouts.post_progress({"digits": seen}))

    assert terminal.run("advance", "digits").stderr == ""

    live, family = terminal.json("status", "digits"), terminal.json("show", "digits")
    assert [(one["state"], one["weight"]) for one in (soaking, live)] == [("soaking", 95.0), ("live", 95.0)]
    assert (family["production"]["version"], family["production"]["weight"], family["canaries"]) == ("1.1.0", 95.0, [])
    assert (family["holdback"]["version"], family["holdback"]["weight"]) == ("1.0.0", 5.0)
    assert ["held", "back", "1.0.0", "5", "%"] in [line.split() for line in terminal.run("show", "digits").stdout.splitlines()]


def test_status_says_who_and_until_when_and_that_nobody_has_looked_lately(world: AdminWorld, started: Terminal) -> None:
    stands = started.json("status", "digits")
    look = Progress(stands["id"], world.clock.now() - timedelta(hours=1), looks=7, stage="canary")
    asyncio.run(world.rollouts.post_progress({"digits": look}))

    said = " ".join(started.run("status", "digits").stdout.split())

    assert f"started by {stands['author']}" in said
    assert f"in it since {stands['entered'][:10]}" in said
    assert f"deadline {stands['ends'][:10]}" in said
    assert "NOT SINCE: its guards last looked 1 h " in said
    assert started.json("status", "digits")["blind"].startswith("its guards last looked 1 h ")


def test_explain_sets_evidence_beside_what_it_takes_and_says_what_is_overridden(world: AdminWorld, started: Terminal) -> None:
    numbers = {"log_e_harm": -2.302585, "harm_at": 5.298317, "log_e_safe": 9.210340, "safe_at": 2.995732, "trials": 1234.0, "bad": 3.0}
    verdict = GuardVerdict("errors", Finding.HARM, has_data=True, sentence="it fails", numbers=numbers)
    stands = started.json("status", "digits")
    look = Progress(stands["id"], world.clock.now(), Assessment((verdict,), 1234), stage="canary")
    asyncio.run(world.rollouts.post_progress({"digits": look}))

    explained = " ".join(started.run("explain", "digits").stdout.split())

    assert "for harm 10^-1.0 to 1, and 10^2.3 to 1 is enough" in explained
    assert "for safe 10^4.0 to 1, and 10^1.3 to 1 is enough" in explained
    assert "trials 1,234" in explained


def test_what_was_rolled_back_is_not_even_loaded_again_unless_somebody_says_so(started: Terminal, policy: Path) -> None:
    started.run("rollback", "digits", "--no-wait", "-m", "wrong labels")
    actions = started.json("history", "--limit", "50")["entries"]

    refused = started.run("start", "digits", "1.1.0", "--policy", str(policy))

    assert refused.exit_code == 1
    assert says_why(refused.stderr)
    assert "digits@1.1.0 is quarantined: wrong labels" in refused.stderr
    assert started.json("history", "--limit", "50")["entries"] == actions


def test_watching_ends_when_the_rollout_does(started: Terminal) -> None:
    started.run("supersede", "digits", "--to", "1.2.0")

    result = started.run("status", "digits", "--watch")

    assert result.exit_code == 0
    assert result.stdout.count("ended without blame") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("hold", "digits", "-m", "lunch"), "is held in stage canary with 5 % of the callers: lunch"),
        (("supersede", "digits"), "ended without blame"),
    ],
)
def test_a_word_is_followed_by_how_the_rollout_stands(started: Terminal, words: tuple[str, ...], said: str) -> None:
    result = started.run(*words)

    assert result.exit_code == 0, result.stderr
    assert said in result.stdout.replace("\n", " ")


@pytest.mark.parametrize("word", ["resume", "advance", "approve", "retry"])
def test_a_word_that_is_not_for_now_is_refused_with_why(started: Terminal, word: str) -> None:
    result = started.run(word, "digits")

    assert result.exit_code == 1
    assert says_why(result.stderr)
    assert "refused while the rollout is ramping" in result.stderr


def test_a_guard_is_passed_only_with_a_reason(started: Terminal) -> None:
    result = started.run("advance", "digits", "--override", "errors")

    assert result.exit_code == 1
    assert "an override needs a reason" in result.stderr


def test_explain_says_it_in_a_sentence(started: Terminal) -> None:
    explained = started.json("explain", "digits")

    assert explained["sentence"].startswith("digits@1.1.0 is in stage canary")
    assert "errors is not heard" in explained["lacks"]


def test_policy_show_tells_the_next_policy_where_it_comes_from_and_the_pinned_one(started: Terminal) -> None:
    shown = started.run("policy", "show", "digits", "--for", "2.0.0").stdout
    told = started.json("policy", "show", "digits")

    assert "of 2.0.0, a MAJOR step" in shown
    assert "the track careful" in shown
    assert "lease: 15s" in shown
    assert told["pinned"]["rollout"].startswith("digits-1.1.0-")
    assert told["pinned"]["rollout"] in shown


def test_a_rollback_leaves_a_receipt(started: Terminal) -> None:
    none = started.run("receipt", "digits")
    started.run("rollback", "digits", "--reason", "INC-7", "--no-wait")

    result = started.run("receipt", "digits")

    assert none.exit_code == 4
    assert "was not rolled back" in none.stderr
    assert "INC-7" in result.stdout
    assert "NOT FLIPPED" in result.stdout  # no controller runs here that would note it


def test_a_family_without_a_rollout_is_told_how_to_start_one(terminal: Terminal) -> None:
    result = terminal.run("hold", "digits")

    assert result.exit_code == 4
    assert "pointsman start" in result.stderr


def test_a_policy_that_is_not_there_is_not_found(terminal: Terminal) -> None:
    result = terminal.run("plan", "digits", "1.1.0", "--policy", "hasty.yaml")

    assert result.exit_code == 4
    assert says_why(result.stderr)


def test_a_plan_for_a_version_that_is_not_published_names_the_near_one(started: Terminal) -> None:
    result = started.run("plan", "digits", "1.2.1", "--policy", "standard", "--per-second", "200")

    assert result.exit_code == 4
    assert says_why(result.stderr)
    assert "did you mean 1.2.0?" in result.stderr


@pytest.mark.parametrize("name", ["policy", "Quick.yaml.new"])
def test_a_policys_file_may_have_any_name(started: Terminal, policy: Path, name: str) -> None:
    file = policy.rename(policy.with_name(name))

    result = started.run("plan", "digits", "1.1.0", "--policy", str(file), "--per-second", "200")

    assert result.exit_code == 0, result.stderr


def test_a_track_that_is_not_there_is_told_from_a_file(started: Terminal) -> None:
    result = started.run("plan", "digits", "1.1.0", "--policy", "hasty", "--per-second", "200")

    assert "there is no policy 'hasty'" in result.stderr
    assert "careful, fast, standard" in result.stderr
    assert "./hasty" in result.stderr


def test_a_plan_tells_when_guards_know(started: Terminal, policy: Path) -> None:
    result = started.run("plan", "digits", "1.1.0", "--policy", str(policy), "--per-second", "200")

    assert result.exit_code == 0, result.stderr
    assert "shortest time to live" in result.stdout
    assert "0.52 a year" in result.stdout


def test_a_log_is_decided_again_and_kept(world: AdminWorld, started: Terminal, tmp_path: Path) -> None:
    log_something(world, started.json("status", "digits")["id"])

    result = started.run("replay", "digits", "--save", str(tmp_path / "log.jsonl"))
    past = started.json("rollouts", "digits")

    assert result.exit_code == 0, result.stderr
    assert "3 lines, decided again in the same bytes" in result.stdout
    assert len((tmp_path / "log.jsonl").read_bytes().splitlines()) == 3
    assert parse_policy((tmp_path / "log.policy.json").read_bytes()).digest == parse_policy(POLICY).digest
    assert [one["state"] for one in past["rollouts"]] == ["held"]


def test_a_log_that_somebody_edited_is_found_out(world: AdminWorld, started: Terminal) -> None:
    log_something(world, started.json("status", "digits")["id"], forged=True)

    result = started.run("replay", "digits")

    assert result.exit_code == 1
    assert "line 3" in result.stderr
