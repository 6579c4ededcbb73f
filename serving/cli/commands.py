"""How a function becomes a command: it receives a session and its own parameters, and gets --json (and --admin) for nothing."""

import inspect
import os
import pwd
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serving.cli.failures import EXIT_CODES
from serving.cli.output import Output

if TYPE_CHECKING:
    from serving.cli.client import AdminClient

DEFAULT_ADMIN = "http://127.0.0.1:8081"

JsonFlag = Annotated[bool, typer.Option("--json", help="Print the answer as one JSON document.", show_default=False)]
ANSWERED = "stdout has its document already"
"""The note on an error behind a command's answer: such as that a change stands, but not every gateway serves it yet."""

ADMIN_HELP = "The admin listener, if not the usual one."


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
