"""The commands about the ledger, `ledger list` and `ledger verify`: what each published version was when it was first seen here."""

import typer
from rich.console import RenderableType

from serving.cli.commands import Session, add_command
from serving.cli.failures import EXIT_CODES, NotAsFirstSeen
from serving.cli.options import DataOption, OneFamily, RegistryOption
from serving.cli.output import Json, facts, moment, stack, table

HELP = "Look at what each published version was when it was first seen here, and whether it still is."
_SHORT = 12


def register(app: typer.Typer) -> None:
    """Add the group with its commands."""
    ledger = typer.Typer(no_args_is_help=True)
    for function in (list_, verify):
        add_command(ledger, function, panel="Commands", remote=False)
    app.add_typer(ledger, name="ledger", help=HELP, epilog=EXIT_CODES, rich_help_panel="Look")


def list_(session: Session, data: DataOption = None, registry: RegistryOption = None, family: OneFamily = None) -> None:
    """List every version that was seen from here, and those that were found to be another one later. Asks no registry."""
    from serving.cli.sights import Seen  # noqa: PLC0415 - imports onnxruntime

    document = Seen(data, registry, family).document()
    session.output.data(document, lambda: _render_list(document))


def verify(session: Session, data: DataOption = None, registry: RegistryOption = None, family: OneFamily = None) -> None:
    """Ask the registry whether each version is still what it was when it was first seen. Exit code 1 when one is not.

    Manifests are compared, which name every file by its digest; the files are hashed whenever they are loaded.
    """
    from serving.cli.sights import Seen  # noqa: PLC0415 - imports onnxruntime

    found = list[Json]()
    with session.output.progress("verifying") as say:
        for one in Seen(data, registry, family).compared():
            say(f"{one['family']}@{one['version']}: {one['standing']}")
            found.append(one)
    faults = [one for one in found if one["standing"] != "same"]
    document = {"ok": not faults, "versions": found}
    session.output.data(document, lambda: _render_verified(document))
    if faults:
        raise NotAsFirstSeen([f"{one['family']}@{one['version']}" for one in faults])


def _render_list(document: Json) -> RenderableType:
    rows = [(f"{one['family']}@{one['version']}", one["digest"][:_SHORT], moment(one["at"])) for one in document["sights"]]
    if not rows:
        return facts([("ledger", "no version of this registry was seen from here yet")])
    told = [
        (
            "VIOLATION",
            f"{one['family']}@{one['version']} was {one['digest'][:_SHORT]} and was found to be {one['found'][:_SHORT]} at {one['at']}",
        )
        for one in document["violations"]
    ]
    return stack(table(("version", "digest", "first seen (UTC)"), rows), facts(told))


def _render_verified(document: Json) -> RenderableType:
    rows = [(f"{one['family']}@{one['version']}", one["digest"][:_SHORT], one["standing"], one["why"]) for one in document["versions"]]
    return table(("version", "digest", "is", "why"), rows) if rows else "no version of this registry was seen from here yet"
