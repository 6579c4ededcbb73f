import re
import shlex
from collections.abc import Iterator

import typer.main
import yaml

from serving.cli.app import build
from serving.cli.failures import EXIT_CODES, ExitCode
from tests.unit.docs.documents import DOCUMENTS, ROOT, inline_code, read, rows, shell_lines

ENDS = {"|", ">", "&&", "||", ";", "&", "done"}


def commands(line: str) -> Iterator[list[str]]:
    """Every call of pointsman in a line of shell, as arguments."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word in ENDS or word.startswith(";"):
            if words[:1] == ["pointsman"]:
                yield words[1:]
            words = []
        elif word not in {"do", "then"}:
            words.append(word)


def quoted_commands() -> list[tuple[str, str]]:
    found = [(str(path.relative_to(ROOT)), line) for path in DOCUMENTS for line in shell_lines(path.read_text(encoding="utf-8"))]
    for path in DOCUMENTS:
        prose = inline_code(path.read_text(encoding="utf-8"))
        found += [(str(path.relative_to(ROOT)), code) for code in prose if code.startswith("pointsman ")]
    alerts = yaml.safe_load(read("configs/prometheus/alerts.yaml"))["groups"][0]["rules"]
    found += [("alerts.yaml", re.sub(r"\{\{.*?\}\}", "digits", rule["annotations"]["action"])) for rule in alerts]
    return [(where, line) for where, line in found if "pointsman " in line]


def fault(arguments: list[str]) -> str | None:
    """What the program would say against these arguments; a name alone only has to be a command."""
    known = typer.main.get_command(build()).commands  # type: ignore[attr-defined] # a group
    # FAMILY stands for a name, and is none.
    name, *rest = ["digits" if word == "FAMILY" else word for word in arguments]
    if name not in known:
        return f"there is no command {name}"
    try:
        if rest:
            known[name].make_context(name, rest)
    except Exception as error:  # noqa: BLE001 - typer's errors have no public base
        return str(error)
    return None


def test_every_command_in_the_documents_exists_with_these_options() -> None:
    faults = [f"{where}: {line}: {fault(call)}" for where, line in quoted_commands() for call in commands(line) if fault(call)]

    assert faults == []


def test_every_command_is_documented() -> None:
    # given
    known = set(typer.main.get_command(build()).commands)  # type: ignore[attr-defined] # a group

    # when
    named = {arguments[0] for _, line in quoted_commands() for arguments in commands(line) if arguments}

    # then
    assert known - named == set()


def test_the_make_targets_in_the_documents_exist() -> None:
    # given
    targets = set(re.findall(r"^([a-z]+):", read("Makefile"), re.MULTILINE))

    # when
    named = {
        found for path in DOCUMENTS for found in re.findall(r"(?:^\$ |`)make ([a-z]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }

    # then
    assert named - targets == set()


def test_the_exit_codes_are_those_of_the_program() -> None:
    documented = {int(code): meaning for code, meaning in rows(read("docs/operations.md"), "## Exit codes")}

    assert set(documented) == {int(code) for code in ExitCode}
    assert all(str(code) in EXIT_CODES for code in documented)
