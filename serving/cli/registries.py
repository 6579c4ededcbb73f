"""The commands about a registry as a whole: `registry audit`. They read its directory, without a server."""

import typer

from serving.cli.commands import Session, add_command
from serving.cli.comparison_rendering import render_audit
from serving.cli.failures import EXIT_CODES, CommandFailed
from serving.cli.options import DataOption, NoRun, OneFamily, RegistryOption
from serving.cli.output import plural


def register(app: typer.Typer) -> None:
    """Add the group with its commands."""
    registry = typer.Typer(no_args_is_help=True)
    add_command(registry, audit, panel="Publish", remote=False)
    app.add_typer(
        registry, name="registry", help="Look at a registry as a whole: `registry audit`.", epilog=EXIT_CODES, rich_help_panel="Publish"
    )


def audit(
    session: Session,
    data: DataOption = None,
    registry: RegistryOption = None,
    family: OneFamily = None,
    *,
    no_run: NoRun = False,
) -> None:
    """Judge every version that is published as if it were published now, whether its number tells the truth.

    Exit code 1 when one declares less than it changed, repeats another, does not load, or is not what its manifest says.
    """
    from serving.cli.auditing import FAULTS, audit_registry, open_shelf  # noqa: PLC0415 - imports onnxruntime

    found = []
    with session.output.progress("auditing") as say:
        for audited in audit_registry(open_shelf(data, registry, say, run=not no_run), family):
            say(f"{audited.family}@{audited.version}: {audited.verdict}")
            found.append(audited)
    faults = [audited for audited in found if audited.verdict in FAULTS]
    document = {"ok": not faults, "was_run": not no_run, "versions": [audited.document() for audited in found]}
    session.output.data(document, lambda: render_audit(document))
    if faults:
        error = f"{plural(len(faults), 'version')} of {len(found)} did not pass: " + ", ".join(
            f"{one.family}@{one.version}" for one in faults
        )
        raise CommandFailed(error, "published versions never change: publish an honest successor, and tag these deprecated")
