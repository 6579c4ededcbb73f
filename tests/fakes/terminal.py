"""A terminal: runs command lines of the program inside this process."""

import json
from dataclasses import dataclass
from typing import Any

from typer.testing import CliRunner, Result

from serving.cli.app import build

PROGRAM = build()


@dataclass
class Terminal:
    """Eighty columns without colour, whose user is ada; `url` is her admin listener."""

    url: str

    def run(self, *words: str, stdin: str | None = None) -> Result:
        environment = {"POINTSMAN_ADMIN": self.url, "POINTSMAN_ACTOR": "ada", "COLUMNS": "80", "TERM": "dumb", "NO_COLOR": "1"}
        return CliRunner().invoke(PROGRAM, list(words), input=stdin, env=environment)

    def json(self, *words: str) -> Any:
        result = self.run(*words, "--json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)


def says_why(stderr: str) -> bool:
    """Whether what was said ends in an error and a hint, and shows nothing of the inside."""
    *_, error, hint = stderr.splitlines()
    return error.startswith("error: ") and hint.startswith("hint: ") and "Traceback" not in stderr
