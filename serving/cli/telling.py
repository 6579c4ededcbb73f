"""The command about who is told: webhooks, and a test of whether notices arrive."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from serving.cli.commands import Session, add_command
from serving.cli.failures import NotTold
from serving.cli.output import moment, table

TEST_SECONDS = 5.0


def register(app: typer.Typer) -> None:
    """Add this command."""
    add_command(app, webhooks, panel="Look")


def webhooks(
    session: Session,
    *,
    test: Annotated[bool, typer.Option("--test", help="Tell everybody a test, and see whether it arrives.", show_default=False)] = False,
) -> None:
    """List who is told of rollouts, and what is still on its way to them or never arrived."""
    with session.client() as client:
        document = client.send("POST", ("webhooks", "test"), body={"wait": TEST_SECONDS}) if test else client.get("webhooks")
    lines: Sequence[dict[str, Any]] = document["webhooks"]
    session.output.data(document, lambda: _rendered(lines))
    if not lines:
        session.output.note("nobody is told: name `webhooks` in the settings")
    missing = [str(line["name"]) for line in lines if line["waiting"] or line["given_up"]]
    if test and missing:
        raise NotTold(missing)


def _rendered(lines: Sequence[dict[str, Any]]) -> RenderableType:
    columns = ("webhook", "waiting", "given up", "the oldest waiting", "since", "tried")
    rows: list[tuple[object, ...]] = []
    for line in lines:
        oldest = min(line["waiting"], key=lambda letter: letter["at"], default=None)
        about = ("", "", "") if oldest is None else (oldest["text"], moment(oldest["at"]), oldest["tried"])
        rows.append((line["name"], len(line["waiting"]), len(line["given_up"]), *about))
    return table(columns, rows)
