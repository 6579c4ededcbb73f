"""The command that makes room on a node: `gc`. It never touches the registry, and knows from the server what must stay."""

from collections import Counter
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from serving.cli.commands import Session, add_command
from serving.cli.options import DataOption
from serving.cli.output import facts, plural, stack, table

MIB = 2**20

Days = Annotated[int, typer.Option("--keep-days", min=0, metavar="DAYS", help="How long a production that was left stays a way back.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would go, and take nothing away.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the command."""
    add_command(app, gc, panel="Run")


def gc(session: Session, data: DataOption = None, keep_days: Days = 30, *, dry_run: DryRun = False) -> None:
    """Make room on this node: take away cached copies and environments of versions that nobody needs.

    What answers, is loaded, may be gone back to, was in production of late, or carries a tag stays; published versions are never touched.
    """
    from serving.cli.sweeping import data_folder, sweep  # noqa: PLC0415 - imports what the dataplane needs

    folder = data_folder(data)
    with session.client() as client:
        keep = client.get("keep", days=keep_days)
    with session.output.progress("sweeping"):
        document = sweep(folder, keep, is_rehearsal=dry_run)
    session.output.data(document, lambda: _render(document))


def _render(document: dict[str, Any]) -> RenderableType:
    counted = Counter(one["kind"] for one in document["taken"])
    what = ", ".join(plural(count, kind) for kind, count in sorted(counted.items())) or "nothing"
    rows = [(f"{one['family']}@{one['version']}", "; ".join(one["reasons"])) for one in document["needed"]]
    told = facts(
        [
            ("would go" if document["rehearsal"] else "gone", what),
            ("bytes", f"{document['freed'] / MIB:.1f} MiB"),
            ("from", document["data"]),
        ]
    )
    return stack(told, table(("stays", "because"), rows)) if rows else told
