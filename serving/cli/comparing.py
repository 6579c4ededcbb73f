"""The commands for those who ask what changed: diff runs two published versions here, upgrade asks the admin listener."""

from typing import Annotated

import typer

from serving.cli.commands import Session, add_command
from serving.cli.comparison_rendering import render_diff, render_upgrade
from serving.cli.options import DataOption, FamilyName, NoRun, RegistryOption

OldVersion = Annotated[str, typer.Argument(metavar="A", help="A published version, e.g. 1.0.0.")]
NewVersion = Annotated[str, typer.Argument(metavar="B", help="Another one.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    add_command(app, diff, panel="Publish", remote=False)
    add_command(app, upgrade, panel="Look")


def diff(  # noqa: PLR0913 - one option each
    session: Session,
    family: FamilyName,
    old: OldVersion,
    new: NewVersion,
    data: DataOption = None,
    registry: RegistryOption = None,
    *,
    no_run: NoRun = False,
) -> None:
    """Compare two published versions: their interfaces, and what both answer to the golden examples of both."""
    from serving.cli.auditing import diff_of, open_shelf  # noqa: PLC0415 - imports onnxruntime

    with session.output.progress(f"comparing {family} {old} and {new}") as say:
        document = diff_of(family, old, new, open_shelf(data, registry, say, run=not no_run))
    session.output.data(document, lambda: render_diff(document))


def upgrade(
    session: Session,
    family: FamilyName,
    old: Annotated[str, typer.Argument(metavar="FROM", help="The version that you call now.")],
    new: Annotated[str | None, typer.Argument(metavar="[TO]", help="The one to go to; production by default.", show_default=False)] = None,
) -> None:
    """Tell what an upgrade asks of you: nothing (low), to evaluate again (re-evaluate), or to change your code (migrate)."""
    query = {"from": old} if new is None else {"from": old, "to": new}
    with session.client() as client:
        document = client.get("families", family, "upgrade", **query)
    session.output.data(document, lambda: render_upgrade(document))
