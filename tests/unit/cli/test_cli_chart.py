import asyncio
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import httpx
import pytest

from serving.telemetry.clock import SystemClock
from tests.fakes.admin import AdminWorld
from tests.fakes.admin_server import served
from tests.fakes.rollout_world import ROOT, World, track
from tests.fakes.terminal import Terminal, says_why

TERMINAL = Terminal("")
POLICY = ROOT / "configs" / "policies" / "standard.yaml"


@pytest.fixture
def kept(log: Path) -> Iterator[Terminal]:
    """The admin API of an installation that has this log, with its policy inside, of a rollout of digits."""
    world = AdminWorld(SystemClock())
    world.runs("1.0.0", "1.1.0")
    with served(world.app()) as url:
        terminal = Terminal(url)
        assert terminal.run("promote", "digits", "1.0.0", "--no-wait").exit_code == 0
        started = httpx.post(f"{url}/v1/families/digits/rollout", json={"version": "1.1.0"}, trust_env=False)
        assert started.status_code == 200, started.text
        name = httpx.get(f"{url}/v1/families/digits/rollout", trust_env=False).json()["id"]
        for line in log.read_bytes().splitlines():
            asyncio.run(world.rollouts.append(name, 1, line))
        yield terminal


@pytest.fixture
def log(tmp_path: Path) -> Path:
    world = World(track("standard"), trials=4000)
    world.start()
    for _ in range(30):
        world.advance()
    file = tmp_path / "rollout.jsonl"
    file.write_bytes(b"".join(line + b"\n" for line in world.log))
    return file


def chart(log: Path, output: Path, policy: Path = POLICY) -> list[str]:
    return ["chart", "--log", str(log), "--policy", str(policy), "-o", str(output)]


def test_an_svg_has_every_guard_with_its_words_in_it(log: Path, tmp_path: Path) -> None:
    output = tmp_path / "rollout.svg"

    result = TERMINAL.run(*chart(log, output))

    assert result.exit_code == 0, result.stderr
    assert "digits@1.1.0" in " ".join(result.stdout.split())
    root = ET.fromstring(output.read_text())  # noqa: S314 - our own file
    comments = output.read_text()
    assert root.tag.endswith("svg")
    for words in ("digits@1.1.0", "errors", "p99", "drift", "disagreement", "start (ada)"):
        assert f"<!-- {words} -->" in comments


def test_a_family_is_drawn_by_its_name(kept: Terminal, tmp_path: Path) -> None:
    output = tmp_path / "rollout.png"

    result = kept.run("chart", "digits", "-o", str(output))

    assert result.exit_code == 0, result.stderr
    assert output.read_bytes().startswith(b"\x89PNG")


def test_a_rollout_that_there_is_not_is_said_to_be_that(kept: Terminal, tmp_path: Path) -> None:
    result = kept.run("chart", "digits", "--rollout", "digits-9.9.9-1", "-o", str(tmp_path / "x.svg"))

    assert result.exit_code == 4
    assert says_why(result.stderr)


@pytest.mark.parametrize("given", [(), ("digits", "--log", "x.jsonl")])
def test_a_chart_is_of_a_family_or_of_a_file(given: tuple[str, ...], tmp_path: Path) -> None:
    result = TERMINAL.run("chart", *given, "-o", str(tmp_path / "x.svg"))

    assert result.exit_code == 2
    assert says_why(result.stderr)


def test_a_log_holds_the_policy_that_it_went_by(log: Path, tmp_path: Path) -> None:
    assert TERMINAL.run("chart", "--log", str(log), "-o", str(tmp_path / "x.svg")).exit_code == 0


def test_the_same_log_gives_the_same_bytes(log: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "1.svg", tmp_path / "2.svg"
    for output in (first, second):
        assert TERMINAL.run(*chart(log, output)).exit_code == 0

    assert first.read_bytes() == second.read_bytes()


def test_a_png_is_one(log: Path, tmp_path: Path) -> None:
    output = tmp_path / "rollout.png"

    document = TERMINAL.json(*chart(log, output))

    assert output.read_bytes().startswith(b"\x89PNG")
    assert document == {"file": str(output), "family": "digits", "version": "1.1.0", "state": "ramping"}


@pytest.mark.parametrize(
    ("broken", "code"),
    [({"output": "x.gif"}, 2), ({"log": "missing"}, 4), ({"policy": "missing"}, 4), ({"output": "no/such/folder/x.svg"}, 1)],
)
def test_what_cannot_be_drawn_is_said_with_a_hint(log: Path, tmp_path: Path, broken: dict[str, str], code: int) -> None:
    given = {"log": log, "output": tmp_path / "x.svg", "policy": POLICY} | {name: tmp_path / value for name, value in broken.items()}

    result = TERMINAL.run(*chart(**given))

    assert result.exit_code == code
    assert says_why(result.stderr)


def test_a_log_of_another_policy_is_said_to_be_that(log: Path, tmp_path: Path) -> None:
    result = TERMINAL.run(*chart(log, tmp_path / "x.svg", ROOT / "configs" / "policies" / "fast.yaml"))

    assert result.exit_code == 1
    assert "another policy" in result.stderr


def test_an_empty_log_is_not_drawn(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.touch()

    result = TERMINAL.run(*chart(empty, tmp_path / "x.svg"))

    assert result.exit_code == 1
    assert "no lines yet" in result.stderr
