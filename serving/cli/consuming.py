"""The commands about who calls a family: `consumers add`, `consumers remove`, `consumers list`."""

from typing import Annotated

import typer
from rich.console import RenderableType

from serving.cli.commands import Session, add_command
from serving.cli.failures import EXIT_CODES
from serving.cli.options import FamilyName, ReasonOption
from serving.cli.output import Json, table
from serving.cli.rendering import render_changed

HELP = "Register who calls a family, and which versions they can take."

ConsumerName = Annotated[str, typer.Argument(metavar="NAME", help="What the consumer says in X-Consumer, e.g. billing.")]


def register(app: typer.Typer) -> None:
    """Add the group with its commands."""
    consumers = typer.Typer(no_args_is_help=True)
    for function in (add, remove, list_):
        add_command(consumers, function, panel="Commands")
    app.add_typer(consumers, name="consumers", help=HELP, epilog=EXIT_CODES, rich_help_panel="Change who answers")


def add(
    session: Session,
    family: FamilyName,
    name: ConsumerName,
    versions: Annotated[str, typer.Argument(metavar="RANGE", help="The versions that it can take: ^1.2, ~1.2.3 or 1.x.")],
    reason: ReasonOption = "",
) -> None:
    """Register a consumer, or change its range: no version outside it is promoted without an override."""
    with session.client() as client:
        changed = client.change("PUT", family, "consumers", name, body={"range": versions, "reason": reason})
    session.output.data(changed, lambda: render_changed(f"{family}: {name} can take {versions}", changed))


def remove(session: Session, family: FamilyName, name: ConsumerName, reason: ReasonOption = "") -> None:
    """Register a consumer no longer."""
    with session.client() as client:
        changed = client.change("DELETE", family, "consumers", name, query={"reason": reason})
    session.output.data(changed, lambda: render_changed(f"{family}: {name} is no consumer any more", changed))


def list_(session: Session, family: FamilyName) -> None:
    """List the consumers of a family, and how often each called deprecated versions."""
    with session.client() as client:
        document = client.get("families", family)
    calls = [(one["version"], one["callers"] or {}) for one in document["deprecated"]]
    rows = [(name, wanted, _calls(name, calls)) for name, wanted in document["consumers"].items()]
    if others := _calls("other", calls):
        rows.append(("(others)", "", others))
    told = {
        "family": document["family"],
        "consumers": [
            {"name": name, "range": wanted, "calls": dict(_counted(name, calls))} for name, wanted in document["consumers"].items()
        ],
        "others": dict(_counted("other", calls)),
    }
    session.output.data(told, lambda: _render(rows))


def _counted(name: str, calls: list[tuple[str, Json]]) -> list[tuple[str, int]]:
    return [(version, int(callers[name])) for version, callers in calls if name in callers]


def _calls(name: str, calls: list[tuple[str, Json]]) -> str:
    return ", ".join(f"{version}: {count}" for version, count in _counted(name, calls))


def _render(rows: list[tuple[str, str, str]]) -> RenderableType:
    return (
        table(("consumer", "can take", "calls to deprecated versions"), rows) if rows else "nobody is registered: pointsman consumers add"
    )
