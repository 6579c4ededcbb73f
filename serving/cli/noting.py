"""The command that notes what was found out about a published version, and shows what was noted. It runs here, without a server."""

from pathlib import Path
from typing import Annotated, Any

import typer

from serving.cli.commands import Session, add_command
from serving.cli.note_rendering import render_notes
from serving.cli.options import DataOption, RegistryOption

Reference = Annotated[str, typer.Argument(metavar="FAMILY@VERSION", help="A published version, e.g. digits@1.1.0.")]
Text = Annotated[str | None, typer.Argument(metavar="[TEXT]", help="What to note; shows the notes without it.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the command."""
    add_command(app, note, panel="Publish", remote=False)


def note(session: Session, reference: Reference, text: Text = None, data: DataOption = None, registry: RegistryOption = None) -> None:
    """Note what was found out about a published version, which itself never changes; notes are appended and never edited."""
    document = _noted(session.actor, reference, text, data, registry)
    session.output.data(document, lambda: render_notes(document))


def _noted(actor: str, reference: str, text: str | None, data: Path | None, registry: str | None) -> dict[str, Any]:
    from serving.cli.remarks import noted  # noqa: PLC0415 - imports onnxruntime

    return noted(reference, text, actor, data, registry)
