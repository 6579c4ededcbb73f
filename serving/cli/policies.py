"""The commands about rollout policies: `lint` reads a file here, `show` asks which policy a family is under."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from serving.cli.commands import Session, add_command
from serving.cli.failures import NotFound, PolicyRefused
from serving.cli.options import FamilyName
from serving.cli.output import Json, facts, stack, table
from serving.control.policies.linting import Reading, read
from serving.control.policies.parsing import InvalidPolicy, parse_policy

File = Annotated[Path, typer.Argument(metavar="FILE", help="The policy, e.g. configs/policies/standard.yaml.")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(name="policy", help="Read rollout policies before anything is started with them.", no_args_is_help=True)
    group.callback()(_policy)
    add_command(group, lint, panel="Policies", remote=False)
    add_command(group, show, panel="Policies")
    app.add_typer(group, rich_help_panel="Publish")


def _policy() -> None:
    """Read rollout policies before anything is started with them."""


def lint(session: Session, file: File) -> None:
    """Check a rollout policy and explain what it comes to: each guard's part of the risk, and what each stage waits for."""
    try:
        reading = read(parse_policy(file.read_bytes()))
    except OSError as error:
        sentence = f"{file} cannot be read: {error.strerror}"
        raise NotFound(sentence, "name a file; configs/policies has three") from error
    except InvalidPolicy as error:
        raise PolicyRefused(file, str(error), error.hint) from error
    session.output.data(asdict(reading), lambda: _rendered(reading))
    for warning in reading.warnings:
        session.output.note(f"warning: {warning}")


def show(
    session: Session,
    family: FamilyName,
    version: Annotated[
        str, typer.Option("--for", metavar="VERSION", help="The candidate; by default the one tagged so, or else a MINOR step.")
    ] = "",
) -> None:
    """Tell which policy the family's next rollout would be under and where it comes from, and which one is pinned now."""
    with session.client() as client:
        found = client.get("families", family, "policy", version=version)
    session.output.data(found, lambda: _shown(found))


def _shown(found: Json) -> RenderableType:
    from yaml import safe_dump  # noqa: PLC0415 - only this command needs it

    following, pinned = found["next"], found["pinned"]
    whence = f"the track {following['name']}" if following["source"] == "track" else f"{following['name']}'s own"
    now = "none is afoot" if pinned is None else f"{pinned['digest']}, {pinned['rollout']}"
    return stack(
        facts(
            [
                ("next rollout", f"of {following['version']}, a {following['step'].upper()} step"),
                ("policy", whence),
                ("digest", following["digest"]),
                ("pinned now", now),
            ]
        ),
        "",
        Text(safe_dump(following["document"], sort_keys=False, default_flow_style=None, width=120).rstrip()),
    )


def _rendered(reading: Reading) -> RenderableType:
    risks = [(one.id, f"{one.share:.0%}", f"{one.alpha:.3%}", f"{one.beta:.3%}", one.harm_from, one.safe_from) for one in reading.guards]
    columns = ("guard", "share", "false HARM", "false SAFE", "bad for HARM", "good for SAFE")
    return stack(
        table(columns, risks),
        *(facts([(one.id, one.sentence)]) for one in reading.guards),
        "",
        *(facts([(f"stage {index}", stage)]) for index, stage in enumerate(reading.stages, 1)),
        "",
        facts([("digest", reading.digest)]),
    )
