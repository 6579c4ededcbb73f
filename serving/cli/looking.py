"""The commands that only look: families, show, versions, history, gateways, leader."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from serving.cli.commands import Session, add_command
from serving.cli.failures import CommandFailed, WrongUse
from serving.cli.options import AnyFamily, FamilyName
from serving.cli.rendering import (
    render_families,
    render_family,
    render_gateways,
    render_history,
    render_leader,
    render_past,
    render_version,
    render_versions,
)

if TYPE_CHECKING:
    from serving.cli.client import AdminClient


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for function in (families, show, versions, history, gateways, leader):
        add_command(app, function, panel="Look")


def families(session: Session) -> None:
    """List the families, and what each has in production."""
    with session.client() as client:
        document = client.get("families")
    session.output.data(document, lambda: render_families(document))


def show(
    session: Session,
    family: FamilyName,
    version: Annotated[str | None, typer.Argument(metavar="[VERSION]", help="One version of it.", show_default=False)] = None,
    at: Annotated[str | None, typer.Option("--at", metavar="TIME", help="As it was then: 2030-01-02T03:04:05Z", show_default=False)] = None,
) -> None:
    """Show a family: what is in production, since when, by whom and why, and what a rollback would do; or how it was at a time.

    With a version: where that comes from, and who vouches for it.
    """
    with session.client() as client:
        if version is not None:
            if at is not None:
                error = "--at shows a family, not a version"
                raise WrongUse(error, "leave out one of the two")
            described = client.get("families", family, "versions", version)
            session.output.data(described, lambda: render_version(described))
            return
        if at is None:
            document = client.get("families", family)
            document["notes"] = _notes(client, document)
            session.output.data(document, lambda: render_family(document))
            return
        past = client.get("families", family, at=at)
    session.output.data(past, lambda: render_past(past))


def _notes(client: "AdminClient", document: dict[str, Any]) -> list[Any]:
    """What was noted about the versions that have a part in the family; nothing where the registry is away."""
    production = document["production"]
    names = [] if production is None else [production["version"]]
    names += [one["version"] for one in (*document["canaries"], *document["shadows"])] + document["previous"]
    try:
        found = [client.get("families", document["family"], "versions", name, "notes") for name in dict.fromkeys(names)]
    except CommandFailed:
        return []
    return [note for one in found for note in one["notes"]]


def versions(session: Session, family: FamilyName) -> None:
    """List a family's versions with their tags and whether they are loaded."""
    with session.client() as client:
        document = client.get("families", family, "versions")
    session.output.data(document, lambda: render_versions(document))


def history(
    session: Session,
    family: AnyFamily = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many changes, the newest first.")] = 20,
) -> None:
    """Tell who changed what, when and why; the newest first."""
    with session.client() as client:
        path = ("history",) if family is None else ("families", family, "history")
        document = client.get(*path, limit=limit)
    session.output.data(document, lambda: render_history(document))


def gateways(session: Session) -> None:
    """List the gateways and the epoch each serves."""
    with session.client() as client:
        document = client.get("gateways")
    session.output.data(document, lambda: render_gateways(document))


def leader(session: Session) -> None:
    """Tell which controller leads."""
    with session.client() as client:
        document = client.get("leader")
    session.output.data(document, lambda: render_leader(document))
