import errno
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from typer import Context
from typer.core import TyperGroup
from typer.main import get_command

from serving.cli.app import URGENT, build
from tests.fakes.admin import AdminWorld
from tests.fakes.admin_server import PublicListener
from tests.fakes.terminal import Terminal, says_why

REMOTE = [
    "families",
    "show",
    "versions",
    "history",
    "gateways",
    "canary",
    "shadow",
    "promote",
    "rollback",
    "release",
    "tag",
    "untag",
    "predict",
    "publish",
    "check",
    "upgrade",
]
AUDIT = ["audit verify", "audit export", "audit head"]
COMMANDS = ["serve", "demo", "diff", "registry audit", *REMOTE]


@pytest.mark.parametrize("command", [*COMMANDS, *AUDIT])
def test_a_command_explains_itself(command: str) -> None:
    result = Terminal("").run(*command.split(), "--help")

    assert result.exit_code == 0
    assert f"Usage: pointsman {command}" in result.stdout
    assert "Exit codes: 0 done" in result.stdout
    assert "--json" in result.stdout
    assert ("--admin" in result.stdout) == (command in [*REMOTE, *AUDIT]) or command == "serve"
    assert all(len(line) <= 80 for line in result.stdout.splitlines())


def test_the_program_explains_itself_and_its_exit_codes() -> None:
    result = Terminal("").run("--help")

    assert result.exit_code == 0
    assert all(command.split()[0] in result.stdout for command in COMMANDS)
    assert "5 conflict" in result.stdout


@pytest.mark.parametrize(
    "words", [("canari",), ("canary",), ("canary", "digits", "1.0.0"), ("--bogus",), ("families", "--jsn"), ("history", "-n", "0")]
)
def test_wrong_usage_is_told_and_ends_in_a_hint(words: tuple[str, ...]) -> None:
    result = Terminal("").run(*words)

    assert result.exit_code == 2
    assert says_why(result.stderr)
    assert not result.stdout


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("canary", "--json"), 2),
        (("families", "--json"), 3),
        (("check", "/nowhere", "--json"), 4),
        (("show", "a/b", "--json"), 2),
        (("policy", "lint", "--json", "/nowhere"), 4),
    ],
)
def test_with_json_a_failure_is_a_document_too(words: tuple[str, ...], code: int) -> None:
    result = Terminal("http://127.0.0.1:1").run(*words)

    document = json.loads(result.stdout)
    assert (result.exit_code, document["exit_code"]) == (code, code)
    assert f"error: {document['error']}\nhint: {document['hint']}\n" in result.stderr


def test_a_failure_behind_an_answer_leaves_the_answer_as_the_only_document(terminal: Terminal, world: AdminWorld) -> None:
    world.runs("1.0.0")
    terminal.run("promote", "digits", "1.0.0")

    result = terminal.run("readiness", "digits", "--json")

    assert result.exit_code == 1
    assert json.loads(result.stdout)["proven"] is False
    assert says_why(result.stderr)


def test_a_full_disk_is_no_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("serving.cli.client.AdminClient", full)
    result = Terminal("").run("families")

    assert result.exit_code == 1
    assert says_why(result.stderr)
    assert "error: input or output: No space left on device" in result.stderr


def test_who_has_read_enough_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr("serving.cli.client.AdminClient", gone)
    result = Terminal("").run("families")

    assert (result.exit_code, result.output) == (1, "")


def test_the_public_listener_is_not_taken_for_the_admin_listener(public: tuple[PublicListener, str]) -> None:
    listener, url = public
    listener.refusal = (404, {"error": "no such path: /v1/families"})

    result = Terminal(url).run("store", "reseed", "--from", "store", "--reason", "mistaken")

    assert result.exit_code == 3
    assert "is not the admin listener: no such path" in result.stderr
    assert "--admin" in result.stderr


def test_a_mistyped_command_gets_the_one_that_is_near() -> None:
    assert "Did you mean 'canary'?" in Terminal("").run("canari").stderr


def test_an_interrupt_is_no_failure_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("serving.cli.client.AdminClient", interrupted)
    result = Terminal("").run("families")

    assert result.exit_code == 130
    assert "Traceback" not in result.output


def test_an_interrupt_while_the_program_is_still_read_shows_no_trace() -> None:
    script = (
        "import builtins, signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # what runs in the background of a shell ignores it
        "import serving.__main__ as program\n"
        "real = builtins.__import__\n"
        "def slow(name, *rest):\n"
        "    if name == 'serving.cli.app': signal.raise_signal(signal.SIGINT)\n"
        "    return real(name, *rest)\n"
        "builtins.__import__ = slow\n"
        "program.main()"
    )

    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert (result.returncode, result.stderr) == (130, "")


def test_a_bug_shows_no_trace_but_keeps_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(*_: object) -> None:
        msg = "not foreseen"
        raise LookupError(msg)

    monkeypatch.setattr("serving.cli.client.AdminClient", broken)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    result = Terminal("").run("families")

    assert result.exit_code == 1
    assert says_why(result.stderr)
    [trace] = tmp_path.iterdir()
    assert "LookupError: not foreseen" in trace.read_text()


def test_the_settings_of_serve_are_checked_before_anything_starts() -> None:
    result = Terminal("").run("serve", "--port", "8081")

    assert result.exit_code == 2
    assert says_why(result.stderr)


@pytest.mark.parametrize("text", [None, "port: [", "port: many", "prot: 8080", "\udcff", "- 1"])
def test_a_configuration_that_cannot_be_used_is_told(tmp_path: Path, text: str | None) -> None:
    config = tmp_path / "gateway.yaml"
    if text is not None:
        config.write_bytes(text.encode(errors="surrogateescape"))

    result = Terminal("").run("serve", "--config", str(config))

    assert result.exit_code == 2
    assert says_why(result.stderr)


def test_the_program_starts_without_the_heavy_libraries() -> None:
    script = (
        "import sys; from serving.cli.app import build; build()\n"
        "heavy = {'ray', 'onnxruntime', 'sklearn', 'numpy', 'fastapi', 'pydantic', 'structlog'}\n"
        "heavy |= {'serving.bootstrap', 'serving.dataplane', 'serving.ports'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )

    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("command", URGENT)
def test_an_urgent_command_is_the_same_when_it_is_imported_almost_alone(command: str) -> None:
    whole, alone = get_command(build()), get_command(build(command))
    assert isinstance(whole, TyperGroup)
    assert isinstance(alone, TyperGroup)

    assert len(alone.commands) < len(whole.commands)
    helps = [group.commands[command].get_usage(Context(group.commands[command])) for group in (alone, whole)]
    parameters = [[repr(one.opts) for one in group.commands[command].params] for group in (alone, whole)]
    assert helps[0] == helps[1]
    assert parameters[0] == parameters[1]


def test_an_override_is_ordered_without_what_only_talks_to_servers() -> None:
    script = (
        "import sys; from serving.cli.app import build; build('override'); import serving.cli.breaking\n"
        "print(sorted({'httpx', 'yaml', 'redis', 'apsw', 'cryptography'} & set(sys.modules)))"
    )

    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "[]"
