"""How a function becomes a command: it receives a session and its own parameters, and gets --json (and --admin) for nothing."""

import inspect
import os
import pwd
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serving.cli.failures import EXIT_CODES, WrongUse
from serving.cli.output import Output

if TYPE_CHECKING:
    from serving.cli.client import AdminClient

_FAMILY = re.compile(r"[a-z0-9-]{1,63}")
DEFAULT_ADMIN = "http://127.0.0.1:8081"

JsonFlag = Annotated[bool, typer.Option("--json", help="Print the answer as one JSON document.", show_default=False)]
ANSWERED = "stdout has its document already"
"""The note on an error behind a command's answer: such as that a change stands, but not every gateway serves it yet."""

ADMIN_HELP = "The admin listener, if not the usual one."


def family_name(text: str | None) -> str | None:
    """What can be a family's name, or None. Raises typer's `BadParameter`."""
    if text is None or _FAMILY.fullmatch(text):
        return text
    name, at, version = text.partition("@")
    msg = f"{text!r} is no family's name; " + (f"write {name} {version}" if at else "those are lower-case words joined by dashes")
    raise typer.BadParameter(msg)


FamilyName = Annotated[str, typer.Argument(metavar="FAMILY", help="The model family, e.g. digits.", callback=family_name)]
VersionName = Annotated[str, typer.Argument(metavar="VERSION", help="The version, e.g. 1.1.0.")]
OneVersion = Annotated[str, typer.Argument(metavar="FAMILY", help="The model family, or at once FAMILY@VERSION, e.g. digits@1.1.0.")]
ItsVersion = Annotated[str | None, typer.Argument(metavar="[VERSION]", help="The version, e.g. 1.1.0.", show_default=False)]


@dataclass(frozen=True, slots=True)
class Globals:
    """The options that stand before the command."""

    admin: str
    actor: str
    is_admin_named: bool = False
    """Whether somebody named the listener, by option or environment; otherwise it is the usual one."""


@dataclass(frozen=True, slots=True)
class Session:
    """What a command works with."""

    admin: str
    actor: str
    output: Output
    is_admin_named: bool = False

    def client(self) -> "AdminClient":
        """Open the way to the admin listener; use it in a `with`."""
        from serving.cli.client import AdminClient  # noqa: PLC0415 - half of the time that a command takes which needs no server

        return AdminClient(self.admin, self.actor)


def user_name() -> str:
    """Who sits at the terminal, in the characters an actor may have."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return "operator"
    return re.sub(r"[^A-Za-z0-9._@-]", "-", name).lstrip("-._@") or "operator"


def one_version(family: str, version: str | None) -> tuple[str, str]:
    """What `FAMILY VERSION` and `FAMILY@VERSION` name alike. Raises `WrongUse` where no version is named, or two."""
    name, at, behind = family.partition("@")
    if bool(at) == (version is not None):
        error = f"{family} names no version" if version is None else f"{family} {version} names two versions"
        raise WrongUse(error, "write FAMILY VERSION or FAMILY@VERSION, e.g. digits@1.1.0")
    return name, behind if version is None else version


def add_command(app: typer.Typer, function: Callable[..., None], *, panel: str, remote: bool = True, admin_help: str = ADMIN_HELP) -> None:
    """Make `function(session, ...)` a command of its name. `remote`: it talks to the admin listener, so it takes --admin too."""

    def run(ctx: typer.Context, *, json_output: bool = False, admin: str | None = None, **parameters: Any) -> None:  # noqa: ANN401 - the function's own
        given = ctx.obj if isinstance(ctx.obj, Globals) else Globals(DEFAULT_ADMIN, user_name())
        named = given.is_admin_named or admin is not None
        output = Output(as_json=json_output)
        try:
            function(Session(admin or given.admin, given.actor, output, named), **parameters)
        except Exception as error:
            if output.has_answered:
                error.add_note(ANSWERED)
            raise

    run.__signature__ = _signature(function, admin_help if remote else None)  # type: ignore[attr-defined] # typer reads it
    run.__annotations__ = {}
    run.__doc__ = function.__doc__
    app.command(function.__name__.removesuffix("_"), rich_help_panel=panel, epilog=EXIT_CODES)(run)


def _signature(function: Callable[..., None], admin_help: str | None) -> inspect.Signature:
    own = list(inspect.signature(function).parameters.values())[1:]
    keyword = inspect.Parameter.KEYWORD_ONLY
    shared = [inspect.Parameter("json_output", keyword, default=False, annotation=JsonFlag)]
    if admin_help is not None:
        option = Annotated[str | None, typer.Option("--admin", metavar="URL", help=admin_help, show_default=False)]
        shared.append(inspect.Parameter("admin", keyword, default=None, annotation=option))
    context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    return inspect.Signature([context, *own, *shared])
