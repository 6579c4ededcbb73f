"""The command that shows where production and a shadow disagreed."""

import json
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from serving.cli.commands import Session, add_command
from serving.cli.options import FamilyName
from serving.cli.output import Json, facts, moment, plural, stack

_LONGEST = 2000
"""Characters of a request or an answer that a terminal is shown; `--json` has all of it."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    add_command(app, pairs, panel="Rollouts")


def pairs(
    session: Session,
    family: FamilyName,
    *,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="How many, the newest first.")] = 10,
) -> None:
    """Show requests that production and the rollout's shadow answered differently, as far as the policy has gateways keep some."""
    with session.client() as client:
        found = client.get("families", family, "rollout", "pairs")
    session.output.data({**found, "pairs": found["pairs"][:limit]}, lambda: render_pairs(found, limit))


def render_pairs(found: Json, limit: int) -> RenderableType:
    """The pairs, and what was left out of them."""
    all_of_them = found["pairs"]
    shown = [part for pair in all_of_them[:limit] for part in _pair(pair)]
    return stack(Text(_summary(found, min(limit, len(all_of_them)))), *shown)


def _summary(found: Json, shown: int) -> str:
    rollout, count, keep, redact = found["rollout"], len(found["pairs"]), found["keep_pairs"], found["redact"]
    if not keep:
        return f"{rollout} keeps no pairs: its policy has no keep_pairs"
    hidden = f"redacted: {', '.join(redact)}" if redact else "nothing is redacted"
    if not count:
        return f"{rollout} has no pair that disagreed yet on this node; {hidden}"
    return f"{rollout}: {shown} of {plural(count, 'kept pair')} that disagreed, of this node's gateways ({keep} each); {hidden}"


def _pair(pair: Json) -> list[RenderableType]:
    heading = Text(f"{moment(pair['at'])}  {pair['outcome']}", style="bold")
    return ["", heading, facts([(name, _document(pair[name])) for name in ("request", "production", "candidate")])]


def _document(value: Any) -> str:  # noqa: ANN401 - any JSON document
    match value:
        case {"not_shown": str(why)} if len(value) == 1:
            return f"(not shown: {why})"
        case _:
            text = json.dumps(value, ensure_ascii=False)
            return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters; all with --json)"
