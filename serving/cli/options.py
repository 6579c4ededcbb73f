"""The arguments and options that several commands take, so that they are called, described and checked alike."""

import re
from pathlib import Path
from typing import Annotated

import typer

from serving.cli.failures import WrongUse

_FAMILY = re.compile(r"[a-z0-9-]{1,63}")


def family_name(text: str | None) -> str | None:
    """What can be a family's name, or None. Raises typer's `BadParameter`."""
    if text is None or _FAMILY.fullmatch(text):
        return text
    name, at, version = text.partition("@")
    msg = f"{text!r} is no family's name; " + (f"write {name} {version}" if at else "those are lower-case words joined by dashes")
    raise typer.BadParameter(msg)


FamilyName = Annotated[str, typer.Argument(metavar="FAMILY", help="The model family, e.g. digits.", callback=family_name)]
AnyFamily = Annotated[
    str | None, typer.Argument(metavar="[FAMILY]", help="One family, e.g. digits.", show_default=False, callback=family_name)
]
VersionName = Annotated[str, typer.Argument(metavar="VERSION", help="The version, e.g. 1.1.0.")]
OneVersion = Annotated[str, typer.Argument(metavar="FAMILY", help="The model family, or at once FAMILY@VERSION, e.g. digits@1.1.0.")]
ItsVersion = Annotated[str | None, typer.Argument(metavar="[VERSION]", help="The version, e.g. 1.1.0.", show_default=False)]

DataOption = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Where everything is kept; made when missing.", show_default="pointsman-data")
]
RegistryOption = Annotated[
    str | None,
    typer.Option(
        "--registry",
        metavar="PLACE",
        help="The published versions: a folder, s3://, oci://, mlflow+https://.",
        show_default="DATA/registry",
    ),
]
ReasonOption = Annotated[str, typer.Option("--reason", "-m", help="Why; written to the history.", show_default=False)]
LoadTimeout = Annotated[float, typer.Option("--timeout", min=0, metavar="SECONDS", help="How long the version may take to load.")]
OneFamily = Annotated[str | None, typer.Option("--family", metavar="NAME", help="One family only.", show_default=False)]
NoRun = Annotated[bool, typer.Option("--no-run", help="Compare the manifests only; run nothing.", show_default=False)]


def one_version(family: str, version: str | None) -> tuple[str, str]:
    """What `FAMILY VERSION` and `FAMILY@VERSION` name alike. Raises `WrongUse` where no version is named, or two."""
    name, at, behind = family.partition("@")
    if bool(at) == (version is not None):
        error = f"{family} names no version" if version is None else f"{family} {version} names two versions"
        raise WrongUse(error, "write FAMILY VERSION or FAMILY@VERSION, e.g. digits@1.1.0")
    return name, behind if version is None else version
