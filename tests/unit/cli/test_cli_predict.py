import json
from pathlib import Path

import pytest

from tests.fakes.admin import AdminWorld
from tests.fakes.admin_server import PublicListener
from tests.fakes.terminal import Terminal, says_why

Public = tuple[PublicListener, str]


def test_the_answer_goes_to_stdout_and_who_gave_it_to_stderr(public: Public) -> None:
    listener, url = public

    result = Terminal("").run("predict", "digits", '{"pixels": [1, 2]}', "--url", url)

    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == {"label": "7"}
    assert result.stderr.split() == ["version", "1.0.0", "reason", "production", "epoch", "3"]
    assert listener.seen == [("/v1/families/digits/predict", {"pixels": [1, 2]}, None)]


def test_a_selector_and_a_key_are_passed_on(public: Public) -> None:
    listener, url = public

    Terminal("").run("predict", "digits", "{}", "--version", "^1.0", "--user-id", "ada", "--url", url)

    assert listener.seen == [("/v1/families/digits/versions/%5E1.0/predict", {}, "ada")]


def test_the_public_listener_is_asked_of_the_admin_listener(world: AdminWorld, public: Public, terminal: Terminal) -> None:
    _, url = public

    asked = terminal.run("predict", "digits", "{}")
    given = terminal.run("predict", "digits", "{}", "--url", url)

    assert asked.exit_code == 3
    assert world.public_url in asked.stderr
    assert given.exit_code == 0


@pytest.mark.parametrize(
    ("status", "hint"), [(404, "`pointsman versions digits` list what"), (400, "/v2/models/digits describes what it takes")]
)
def test_a_refused_request_gets_a_hint_that_fits(public: Public, status: int, hint: str) -> None:
    listener, url = public
    listener.refusal = (status, {"error": "no"})

    result = Terminal("").run("predict", "digits", "{}", "--url", url)

    assert "error: no" in result.stderr
    assert hint in result.stderr


def test_a_request_comes_from_a_file_or_stdin(public: Public, tmp_path: Path) -> None:
    listener, url = public
    file = tmp_path / "request.json"
    file.write_text('{"from": "file"}')

    Terminal("").run("predict", "digits", f"@{file}", "--url", url)
    Terminal("").run("predict", "digits", "-", "--url", url, stdin='{"from": "stdin"}')

    assert [body for _, body, _ in listener.seen] == [{"from": "file"}, {"from": "stdin"}]


@pytest.mark.parametrize("text", ["{", "", "hello", "[" * 100_000])
def test_a_request_that_is_no_json_is_wrong_usage(public: Public, text: str) -> None:
    result = Terminal("").run("predict", "digits", text, "--url", public[1])

    assert result.exit_code == 2
    assert says_why(result.stderr)


def test_a_file_that_is_not_there_is_not_found(public: Public) -> None:
    result = Terminal("").run("predict", "digits", "@/no/such/file", "--url", public[1])

    assert result.exit_code == 4
    assert says_why(result.stderr)


@pytest.mark.parametrize(("status", "code"), [(400, 2), (404, 4), (429, 1), (503, 1)])
def test_a_refusal_is_told_with_its_exit_code(public: Public, status: int, code: int) -> None:
    listener, url = public
    listener.refusal = (status, {"error": "input pixels has shape [2], the interface says [64]"})

    result = Terminal("").run("predict", "digits", "{}", "--url", url)

    assert result.exit_code == code
    assert says_why(result.stderr)
    assert "input pixels" in result.stderr


def test_json_is_printed_on_one_line(public: Public) -> None:
    result = Terminal("").run("predict", "digits", "{}", "--url", public[1], "--json")

    assert result.stdout == '{"label": "7"}\n'
