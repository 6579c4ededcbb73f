"""The commands about the state store itself: how it stands, and what an operator says of one that went back."""

from typing import Annotated

import typer

from serving.cli.commands import Session, add_command
from serving.cli.rendering import render_reseeded, render_store

HELP = "Look at the state store itself, and say what one that went back shall go on from."


def register(app: typer.Typer) -> None:
    """Add the group and its commands."""
    store = typer.Typer(help=HELP, no_args_is_help=True)
    for function in (status, reseed):
        add_command(store, function, panel="Commands")
    app.add_typer(store, name="store", rich_help_panel="Look")


def status(session: Session) -> None:
    """Tell whether the store answers, how far it has come, and how far each gateway and this node have seen it come."""
    with session.client() as client:
        document = client.get("store")
    session.output.data(document, lambda: render_store(document))


def reseed(
    session: Session,
    source: Annotated[
        str, typer.Option("--from", metavar="snapshot|store", help="What the gateways serve by, or what the store holds now.")
    ],
    reason: Annotated[str, typer.Option("--reason", "-m", help="Why; written to the history.")],
) -> None:
    """Have a store that went back go on, under a higher fence: gateways take it up, and changes are possible again."""
    with session.client() as client:
        document = client.send("POST", ("store", "reseed"), body={"from": source, "reason": reason})
    session.output.data(document, lambda: render_reseeded(source, document))
