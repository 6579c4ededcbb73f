import io
import json
from datetime import timedelta
from pathlib import Path

import pytest

from serving.cli.client import AdminClient
from serving.cli.demo.errors import LAST_LINES, NotAsTold, last_lines
from serving.cli.demo.figures import Pairs
from serving.cli.demo.keeping import as_typed
from serving.cli.demo.operating import Operator, monotonic_of, shadow_outcomes
from serving.cli.demo.progressing import lines_of
from serving.cli.demo.resisting import reread
from serving.cli.demo.story import WIDEST, Story, short
from serving.telemetry.clock import SystemClock
from tests.fakes.admin import AdminWorld
from tests.fakes.admin_server import SelfLoadingStore, served

METRICS = """\
# TYPE pointsman_shadow_pairs_total counter
pointsman_shadow_pairs_total{family="digits",outcome="agree",version="1.1.0"} 92.0
pointsman_shadow_pairs_total{family="digits",outcome="label",version="1.1.0"} 3.0
pointsman_shadow_pairs_total{family="digits",outcome="label",version="1.2.0"} 213.0
pointsman_shadow_pairs_total{family="customer-intent",outcome="agree",version="1.1.0"} 7.0
pointsman_epoch 4.0
"""


def test_a_story_without_a_terminal_is_plain_narrow_and_has_no_spinner() -> None:
    file = io.StringIO()
    story = Story(file)

    story.title("A demo", "which shows something. " * 12)
    story.section("One", "because it is the first. " * 12)
    story.command("pointsman families")
    with story.waiting("loading"):
        story.say("a sentence that goes on for a while, " * 6)
    story.verdict("all is well, and this is a long way to say it, " * 4, ok=True)
    story.verdict("a user fell back", ok=False)

    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) <= WIDEST
    assert not any(line != line.rstrip() or "\x1b" in line for line in lines)
    assert "1  One" in lines
    assert "  $ pointsman families" in lines
    assert "  ... loading" in lines
    assert any(line.startswith("  ok  all is well") for line in lines)
    assert "  !!  NOT AS TOLD: a user fell back" in lines


def test_a_command_is_never_broken_so_that_it_can_be_copied() -> None:
    file = io.StringIO()
    command = "pointsman predict digits '" + "0," * 100 + "'"

    Story(file).command(command)

    assert file.getvalue() == f"  $ {command}\n"


def test_a_drawing_is_shown_as_it_is() -> None:
    file = io.StringIO()

    Story(file).quote(["  [red]@@", "..@@"])

    assert file.getvalue().splitlines() == ["        [red]@@", "      ..@@"]


def test_a_path_is_as_short_as_it_can_be_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert short(tmp_path / "examples" / "build") == "examples/build"
    assert short(Path("/elsewhere")) == "/elsewhere"


def test_a_program_is_called_by_its_name_only_where_the_shell_finds_that_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "pointsman"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")

    assert as_typed(program) == "bin/pointsman"

    monkeypatch.setenv("PATH", str(program.parent))
    assert as_typed(program) == "pointsman"


def test_the_outcomes_of_one_shadow_are_read_from_the_metrics() -> None:
    assert shadow_outcomes(METRICS, "digits", "1.1.0") == {"agree": 92, "label": 3}
    assert shadow_outcomes(METRICS, "digits", "9.9.9") == {}


def test_a_shadow_is_told_by_what_differs_and_what_was_not_compared() -> None:
    lines = dict(lines_of(Pairs("1.1.0", {"label": 5, "number": 80, "agree": 15, "shed": 4, "timeout": 0})))

    assert list(lines) == [
        "pairs compared",
        "same label, same probabilities",
        "same label, another probability",
        "another label",
        "not compared (shed)",
    ]
    assert lines["another label"] == "5.0 % (5 of 100)"


def test_labels_are_reread_by_the_map_of_another_version() -> None:
    assert reread(["refund", "cancel"], other=["greet", "refund", "cancel"], own=["cancel", "greet", "refund"]) == ["cancel", "greet"]


def test_a_time_of_the_wall_clock_is_found_on_the_monotonic_one() -> None:
    clock = SystemClock()
    earlier = clock.now() - timedelta(seconds=3)

    assert monotonic_of(earlier.isoformat(), clock) == pytest.approx(clock.monotonic() - 3, abs=0.5)


def test_an_operator_tells_the_command_loads_the_version_and_waits_for_the_acks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.cli.loading.POLL_SECONDS", 0.01)
    world, file = AdminWorld(SystemClock(), store=SelfLoadingStore), io.StringIO()
    with served(world.app()) as url, AdminClient(url, "demo") as client:
        operator = Operator(url, client, Story(file))
        operator.load("digits", "1.0.0")
        done = operator.promote("digits", "1.0.0")

    assert done.settled >= done.asked
    assert ("promote 1.0.0", "demo", "") in world.actions
    assert "  $ pointsman promote digits 1.0.0\n" in file.getvalue()
    assert "digits@1.0.0 is loaded" in file.getvalue()


def test_only_the_end_of_a_long_output_is_told() -> None:
    assert last_lines("\n".join(map(str, range(100)))).splitlines() == [str(number) for number in range(100 - LAST_LINES, 100)]
    assert last_lines(" \n") == "(it said nothing)"


def test_all_that_was_not_as_told_is_in_the_sentence() -> None:
    failure = NotAsTold(["a user fell back", "2 requests failed"])

    assert str(failure) == "not as told: a user fell back; 2 requests failed"
    assert failure.exit_code == 1
    assert json.dumps(failure.hint)
