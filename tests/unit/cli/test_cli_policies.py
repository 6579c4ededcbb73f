import json
import re
from pathlib import Path

import pytest

from tests.fakes.terminal import Terminal, says_why
from tests.unit.docs.documents import ROOT

TERMINAL = Terminal("")
STANDARD = ROOT / "configs" / "policies" / "standard.yaml"


def test_lint_explains_how_the_risk_is_split_and_what_each_stage_waits_for() -> None:
    result = TERMINAL.run("policy", "lint", str(STANDARD))

    assert result.exit_code == 0, result.stderr
    assert "0.333%" in result.stdout
    assert "quarter: 25.00% of callers" in " ".join(result.stdout.split())
    assert not result.stderr


def test_lint_warns_of_what_can_be_used_and_hardly_is_meant(tmp_path: Path) -> None:
    quiet = tmp_path / "quiet.yaml"
    quiet.write_text(re.sub(r"^tell: .*$", "tell: {on: []}", STANDARD.read_text(), flags=re.MULTILINE))

    result = TERMINAL.run("policy", "lint", str(quiet))

    assert result.exit_code == 0, result.stderr
    assert "warning: tell.on: nobody is told of anything" in result.stderr


def test_lint_gives_the_same_as_json() -> None:
    result = TERMINAL.run("policy", "lint", str(STANDARD), "--json")

    document = json.loads(result.stdout)
    assert [guard["id"] for guard in document["guards"]][:2] == ["errors", "p99"]
    assert sum(guard["alpha"] for guard in document["guards"]) == pytest.approx(0.01)
    assert len(document["digest"]) == 64


def test_a_policy_that_cannot_be_used_is_exit_code_1_with_the_field_and_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(STANDARD.read_text(encoding="utf-8").replace("stages:", "stagse:"), encoding="utf-8")

    result = TERMINAL.run("policy", "lint", str(file))

    assert result.exit_code == 1
    assert says_why(result.stderr)
    assert "stagse: there is no such field" in result.stderr
    assert "did you mean 'stages'?" in result.stderr


def test_a_file_that_is_not_there_is_exit_code_4(tmp_path: Path) -> None:
    result = TERMINAL.run("policy", "lint", str(tmp_path / "none.yaml"))

    assert result.exit_code == 4
    assert says_why(result.stderr)
