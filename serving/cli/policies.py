"""The commands about rollout policies. They run here, without a server."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from serving.cli.commands import Session, add_command
from serving.cli.failures import NotFound, PolicyRefused
from serving.cli.output import facts, stack, table
from serving.control.policies.linting import Reading, read
from serving.control.policies.parsing import InvalidPolicy, parse_policy

File = Annotated[Path, typer.Argument(metavar="FILE", help="The policy, e.g. configs/policies/standard.yaml.")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(name="policy", help="Read rollout policies before anything is started with them.", no_args_is_help=True)
    group.callback()(_policy)
    add_command(group, lint, panel="Policies", remote=False)
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
