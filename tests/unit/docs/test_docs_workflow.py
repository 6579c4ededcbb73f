"""The ready workflow for a model's repository: well-formed, its commands exist, and its steps do what they say when they are run."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer.main
import yaml

from serving.cli.app import build
from tests.unit.docs.documents import ROOT, read
from tests.unit.registry_client.sketches import Linear

WORKFLOW = "docs/ci/check-model.yaml"
JOB_KEYS = {"runs-on", "timeout-minutes", "env", "steps", "permissions", "needs", "strategy", "if"}
STEP_KEYS = {"name", "uses", "with", "run", "if", "env", "id", "shell", "working-directory", "continue-on-error", "timeout-minutes"}
EXPRESSIONS = {"vars.POINTSMAN_ADMIN", "vars.POINTSMAN_PACKAGE", "vars.POINTSMAN_REGISTRY"}


class _Core(yaml.SafeLoader):
    """YAML 1.2's booleans: `on` is a word."""


_Core.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":bool") or first in "tTfF"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    if first not in "oOyYnN"
}


def workflow() -> Any:
    return yaml.load(read(WORKFLOW), _Core)  # noqa: S506 - a subclass of SafeLoader


def steps() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = workflow()["jobs"]["check"]["steps"]
    return found


def test_it_has_the_form_of_a_workflow() -> None:
    document = workflow()

    assert document.keys() == {"name", "on", "permissions", "jobs"}
    assert document["permissions"] == {"contents": "read"}
    for job in document["jobs"].values():
        assert job.keys() <= JOB_KEYS
        assert job["timeout-minutes"] <= 30


def test_every_step_either_uses_a_pinned_action_or_runs_something() -> None:
    for step in steps():
        assert step.keys() <= STEP_KEYS
        assert ("uses" in step) != ("run" in step)
        assert re.fullmatch(r"actions/[a-z-]+@v\d+", step.get("uses", "actions/none@v0"))


def test_only_the_variables_that_it_explains_are_used() -> None:
    text = read(WORKFLOW)

    assert set(re.findall(r"\$\{\{ (.+?) \}\}", text)) == EXPRESSIONS
    assert all(f"#   {name.removeprefix('vars.')}" in text for name in EXPRESSIONS)


def test_its_commands_exist_with_these_options() -> None:
    group = typer.main.get_command(build()).commands  # type: ignore[attr-defined] # a group
    lines = [line.strip() for step in steps() for line in step.get("run", "").splitlines() if line.strip().startswith("pointsman ")]

    assert lines
    for line in lines:
        _, name, *rest = shlex.split(line.partition("|")[0])
        group[name].make_context(name, rest)


@pytest.mark.parametrize(("version", "code", "verdict"), [("1.1.0", 0, "may be published"), ("1.0.1", 1, "cannot be published")])
def test_its_steps_judge_a_bundle_and_say_what_was_found(tmp_path: Path, version: str, code: int, verdict: str) -> None:
    # given: 1.0.0 is published, and the repository holds a retrained model
    program = tmp_path / "bin" / "pointsman"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m serving "$@"\n')
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{program.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    environment |= {"BUNDLE": "bundle", "RUNNER_TEMP": str(tmp_path / "temp"), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}
    registry = tmp_path / "registry"
    published = Linear().write(tmp_path / "published", "1.0.0")
    Linear(bias=np.zeros(3)).write(tmp_path / "repository" / "bundle", version)
    arguments = ["publish", str(published), "--registry", str(registry), "--data", str(tmp_path / "data")]
    subprocess.run([str(program), *arguments], check=True, env=environment, capture_output=True)

    # when
    scripts = [step["run"].replace("${{ vars.POINTSMAN_REGISTRY }}", str(registry)) for step in steps() if "run" in step][1:]
    done = [
        subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path / "repository", env=environment, capture_output=True, check=False)
        for script in scripts
    ]

    # then
    assert [each.returncode for each in done] == [code, 0], done
    assert json.loads((tmp_path / "repository" / "verdict.json").read_text())["version"] == version
    assert f"sketch {version}: {verdict}" in (tmp_path / "summary.md").read_text()
