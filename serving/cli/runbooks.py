"""The commands that prepare a rollback: runbook and readiness."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from serving.cli.commands import Session, add_command
from serving.cli.failures import NoPlaceToWrite, NoWayBack
from serving.cli.options import FamilyName
from serving.cli.output import facts


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for function in (runbook, readiness):
        add_command(app, function, panel="Look")


def runbook(
    session: Session,
    family: FamilyName,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it there.", show_default=False)] = None,
) -> None:
    """Write the runbook of a family's rollback, in Markdown, from the policy in force: who may, signals, exact commands, whom to tell."""
    with session.client() as client:
        document = client.get("families", family, "runbook")
    text = str(document["text"])
    if output is not None:
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            raise NoPlaceToWrite(output, error) from error
        session.output.note(f"written to {output}")
    elif session.output.as_json:
        session.output.document(document)
    else:
        # As it is: it is to be read elsewhere, and must not be wrapped to this terminal.
        sys.stdout.write(text)


def readiness(session: Session, family: FamilyName) -> None:
    """Tell whether a rollback would work now. Exit code 1 when it is not proven."""
    with session.client() as client:
        document = client.get("families", family, "readiness")
    shown = [("proven", "yes" if document["proven"] else "no"), ("", document["sentence"]), ("digest", document["digest"][:12])]
    session.output.data(document, lambda: facts(shown))
    if not document["proven"]:
        raise NoWayBack(family, document["faults"])
