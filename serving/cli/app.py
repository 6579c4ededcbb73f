"""The `pointsman` program: its commands, its global options, and how every failure is told and becomes an exit code."""

import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any, Protocol, runtime_checkable

import typer
from typer.core import TyperGroup

from registry_client.errors import RegistryError, UnknownComponent, UnknownFamily, UnknownVersion
from serving.cli.commands import ANSWERED, DEFAULT_ADMIN, Globals, user_name
from serving.cli.failures import EXIT_CODES, OUT_OF_REACH, CommandFailed, ExitCode, refused_by_system
from serving.cli.output import Output

HELP = "Serve models by version: canary, shadow, promote, and roll back in under a second."


@runtime_checkable
class UsageProblem(Protocol):
    """What typer raises about the command line, whichever copy of click it carries."""

    exit_code: int

    def format_message(self) -> str:
        """The sentence."""
        ...


class Program(TyperGroup):
    """The group of all commands: tells every failure as `error:` and `hint:` on stderr, never as a traceback."""

    def main(self, args: Sequence[str] | None = None, *more: Any, **extra: Any) -> Any:  # noqa: ANN401 - typer's own signature
        """Run a command line and leave with its exit code."""
        words = sys.argv[1:] if args is None else list(args)
        inside = {**extra, "standalone_mode": False}
        if not extra.get("standalone_mode", True):
            return super().main(words, *more, **inside)
        try:
            result = super().main(words, *more, **inside)
        except (KeyboardInterrupt, typer.Abort):
            sys.exit(ExitCode.INTERRUPTED)
        except BrokenPipeError:  # who reads has seen enough; what is still to be written goes nowhere
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(ExitCode.FAILED)
        except Exception as error:  # noqa: BLE001 - the top of the program
            sys.exit(tell(error, as_document="--json" in words and ANSWERED not in getattr(error, "__notes__", ())))
        sys.exit(result if isinstance(result, int) else ExitCode.DONE)


def tell(error: Exception, *, as_document: bool) -> int:
    """Say on stderr what went wrong and what to do about it; the exit code to leave with. `as_document`: on stdout, too."""
    sentence, hint, code = _described(error)
    typer.echo(f"error: {sentence}\nhint: {hint}", err=True)
    if as_document:
        with suppress(OSError):  # a stdout that takes nothing may be what went wrong
            Output(as_json=True).document({"error": sentence, "hint": hint, "exit_code": int(code)})
    return code


def _described(error: Exception) -> tuple[str, str, ExitCode]:
    if isinstance(error, CommandFailed):
        return str(error), error.hint, error.exit_code
    if isinstance(error, UsageProblem):
        return error.format_message(), _usage_hint(error), ExitCode.USAGE
    if isinstance(error, RegistryError):
        code = ExitCode.NOT_FOUND if isinstance(error, UnknownFamily | UnknownVersion | UnknownComponent) else ExitCode.FAILED
        return str(error), error.hint or "`pointsman registry audit` looks at all that the registry has", code
    if isinstance(error, OSError) and error.strerror:
        return refused_by_system(error), OUT_OF_REACH, ExitCode.FAILED
    return f"{type(error).__name__}: {error}", f"this is a bug; its trace is in {_keep_trace(error)}", ExitCode.FAILED


def _usage_hint(error: UsageProblem) -> str:
    context = getattr(error, "ctx", None)
    path = getattr(context, "command_path", "pointsman")
    return f"`{path} --help` explains the command"


def _keep_trace(error: Exception) -> str:
    with tempfile.NamedTemporaryFile("w", prefix="pointsman-", suffix=".log", delete=False) as file:
        file.write("".join(traceback.format_exception(error)))
    return file.name


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it with the flag's value
    if wanted:
        typer.echo(f"pointsman {program_version()}")
        raise typer.Exit


def program_version() -> str:
    """The installed version; a checkout that was never installed has none."""
    try:
        return version("pointsman")
    except PackageNotFoundError:
        return "unreleased"


def main_options(
    ctx: typer.Context,
    admin: Annotated[str, typer.Option("--admin", metavar="URL", envvar="POINTSMAN_ADMIN", help="The admin listener.")] = DEFAULT_ADMIN,
    actor: Annotated[
        str | None,
        typer.Option(
            "--actor", metavar="NAME", envvar="POINTSMAN_ACTOR", help="Whom the history names; you by default.", show_default=False
        ),
    ] = None,
    *,
    print_version: Annotated[  # noqa: ARG001 - its callback does the work
        bool, typer.Option("--version", help="Print the program's version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Keep the global options for the commands."""
    source = ctx.get_parameter_source("admin")
    ctx.obj = Globals(admin, actor or user_name(), is_admin_named=source is not None and source.name != "DEFAULT")


MODULES = (
    "running",
    "bundles",
    "importing",
    "policies",
    "components",
    "noting",
    "comparing",
    "registries",
    "ledgers",
    "vouching",
    "looking",
    "telling",
    "runbooks",
    "proving",
    "rolling",
    "pairs",
    "charting",
    "promoting",
    "changing",
    "drilling",
    "consuming",
    "verifying",
    "overriding",
    "storing",
    "cleaning",
    "predicting",
)
"""Where the commands are, in the order in which the help names them."""

URGENT = {"override": "overriding", "rollback": "changing", "serve": "running", "verify": "verifying"}
"""The commands that must not wait for what the others import: a rollback is counted from its typing, an outage to its end."""


def build(command: str | None = None) -> typer.Typer:
    """The program with all its commands; with as few as possible when it is started for an urgent one."""
    app = typer.Typer(
        name="pointsman",
        cls=Program,
        help=HELP,
        epilog=EXIT_CODES,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(help=HELP, epilog=EXIT_CODES)(main_options)
    for module in (URGENT[command],) if command in URGENT else MODULES:
        import_module(f"serving.cli.{module}").register(app)
    return app
