"""The command that draws a rollout: chart."""

from pathlib import Path
from typing import Annotated

import typer

from serving.cli.commands import Session, add_command
from serving.cli.failures import CommandFailed, NoPlaceToWrite, NotFound, PolicyRefused, WrongUse
from serving.cli.options import AnyFamily
from serving.control.policies.parsing import InvalidPolicy, parse_pinned, parse_policy
from serving.core.charting import Chart, EmptyLog, chart_of
from serving.core.decisions import Opened, UnreadableLine, entry_of
from serving.core.policy import Pinned
from serving.core.rollout import EventRefused

FORMS = (".png", ".svg", ".pdf")


class NotDrawn(CommandFailed):
    """A log that no picture can be made of."""


def register(app: typer.Typer) -> None:
    """Add this command."""
    add_command(app, chart, panel="Rollouts")


def chart(
    session: Session,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where to: a name that ends in .png, .svg or .pdf.")],
    family: AnyFamily = None,
    rollout: Annotated[str, typer.Option("--rollout", metavar="ID", help="Which of its rollouts; the newest by default.")] = "",
    log: Annotated[Path | None, typer.Option("--log", metavar="FILE", help="A decision log instead.", show_default=False)] = None,
    policy: Annotated[
        Path | None, typer.Option("--policy", metavar="FILE", help="The policy, if the log does not hold it.", show_default=False)
    ] = None,
) -> None:
    """Draw a rollout: the candidate's share, each guard's evidence beside its thresholds, the verdicts, and what happened when."""
    if output.suffix not in FORMS:
        sentence = f"{output} ends in none of {', '.join(FORMS)}"
        raise WrongUse(sentence, "name a file that does, e.g. -o rollout.svg")
    lines = _lines(session, family, rollout, log)
    drawn = _chart(_policy(policy, lines), lines)
    _draw(drawn, output)
    document = {"file": str(output), "family": drawn.family, "version": drawn.version, "state": drawn.state.value}
    session.output.data(document, lambda: f"{output}: {drawn.family}@{drawn.version}, {drawn.state.value}")


def _lines(session: Session, family: str | None, rollout: str, log: Path | None) -> list[bytes]:
    if (family is None) == (log is None):
        sentence = "name a family, or a decision log with --log"
        raise WrongUse(sentence, "pointsman chart FAMILY -o rollout.svg")
    if log is not None:
        return _read(log).splitlines()
    with session.client() as client:
        document = client.get("families", str(family), "rollout", "log", rollout=rollout)
    return [str(line).encode() for line in document["lines"]]


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        sentence = f"{file} cannot be read: {error.strerror}"
        raise NotFound(sentence, "name a file") from error


def _policy(file: Path | None, lines: list[bytes]) -> Pinned:
    try:
        return parse_pinned(_held(lines)) if file is None else parse_policy(_read(file))
    except InvalidPolicy as error:
        raise PolicyRefused(file or Path("the policy in the log"), str(error), error.hint) from error


def _held(lines: list[bytes]) -> bytes:
    """The policy that a log holds in its first line."""
    try:
        first = entry_of(lines[0]) if lines else None
    except UnreadableLine as error:
        sentence = f"the decision log cannot be read: {error}"
        raise NotDrawn(sentence, "name the file of a decision log") from error
    if first is None:
        raise NotDrawn(str(EmptyLog()), "wait for the controller's first look")
    if not isinstance(first, Opened) or not first.policy:
        sentence = "the decision log does not hold its policy"
        raise NotDrawn(sentence, "name the policy that it went by with --policy")
    return first.policy.encode()


def _chart(pinned: Pinned, lines: list[bytes]) -> Chart:
    try:
        return chart_of(pinned, lines)
    except EmptyLog as error:
        raise NotDrawn(str(error), "wait for the controller's first look") from error
    except (UnreadableLine, EventRefused) as error:
        hint = "name the policy that it went by, and the program that wrote it"
        sentence = f"the decision log does not follow from the policy: {error}"
        raise NotDrawn(sentence, hint) from error


def _draw(drawn: Chart, output: Path) -> None:
    try:
        from serving.cli.drawing import draw  # noqa: PLC0415 - an extra, and half a second
    except ImportError as error:
        sentence = "drawing needs matplotlib"
        raise NotDrawn(sentence, "install it: pip install 'pointsman[chart]'") from error
    try:
        draw(drawn, output)
    except OSError as error:
        raise NoPlaceToWrite(output, error) from error
