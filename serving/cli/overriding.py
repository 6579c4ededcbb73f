"""Breaking the glass: `pointsman override`, which needs neither the admin listener nor the state store, only this node's disk."""

from pathlib import Path
from typing import Annotated

import typer

from serving.cli.commands import Session, add_command
from serving.cli.failures import NotCarriedOut, WrongUse
from serving.cli.options import AnyFamily, ReasonOption
from serving.cli.rendering import render_override, render_overrides

MOST_LETTERS = 500
"""Of a reason; what else comes from a shell may be anything."""


def register(app: typer.Typer) -> None:
    """Add this command."""
    add_command(app, override, panel="Change who answers", remote=False)


def override(  # noqa: PLR0913 - one option each
    session: Session,
    family: AnyFamily = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="VERSION", help="Go back to this version, not the last one.", show_default=False)
    ] = None,
    reason: ReasonOption = "",
    *,
    clear: Annotated[str | None, typer.Option("--clear", metavar="ID", help="Take an override back.", show_default=False)] = None,
    show: Annotated[bool, typer.Option("--list", help="List the overrides of this node.", show_default=False)] = False,
    credential: Annotated[
        Path | None, typer.Option("--credential", metavar="FILE", help="The break-glass credential.", show_default="DATA/secrets")
    ] = None,
    data: Annotated[
        Path, typer.Option("--data", metavar="DIR", envvar="POINTSMAN_DATA", help="The data directory of the node's installation.")
    ] = Path("pointsman-data"),
) -> None:
    """Break the glass: roll a family back on this node while the state store, or the admin API, is down."""
    from serving.cli import breaking  # noqa: PLC0415 - what it needs of the stores would slow down every other command

    if show:
        listed = breaking.listed(data)
        session.output.data(listed, lambda: render_overrides(listed))
        return
    reason = plain(reason)
    if not reason:
        error = "breaking the glass needs a reason"
        raise WrongUse(error, 'say why: --reason "INC-123, wrong answers"')
    asked = breaking.Asked(plain(session.actor), reason, credential)
    if clear is not None:
        document = breaking.clear(data, clear, asked)
    elif family is not None:
        document = breaking.break_glass(data, family, to, asked)
    else:
        error = "which family?"
        raise WrongUse(error, "name one, or --list, or --clear ID")
    session.output.data(document, lambda: render_override(document))
    if document.get("waiting") or document.get("gateways") == []:
        raise NotCarriedOut(document["operation_id"], document["waiting"])


def plain(text: str) -> str:
    """One line of printable characters, no longer than the admin API takes."""
    return "".join(letter if letter.isprintable() else " " for letter in text)[:MOST_LETTERS].strip()
