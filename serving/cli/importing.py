"""Making a bundle of a model that another system keeps: `import`. It runs here, without a server."""

from pathlib import Path
from typing import Annotated

import typer

from registry_client.errors import InvalidReference, RegistryError
from registry_client.references import Exact, parse_reference
from serving.cli.commands import Session, add_command
from serving.cli.failures import NotFound, NotImported, WrongUse
from serving.cli.output import facts

Source = Annotated[Path, typer.Argument(metavar="DIR", help="An MLmodel folder, a model of a Triton repository, or numbered folders.")]
Target = Annotated[Path, typer.Argument(metavar="BUNDLE", help="The folder to make; it must not be there yet.")]
Called = Annotated[str, typer.Option("--as", metavar="FAMILY@VERSION", help="What it is called here; a number is no version.")]
TaskType = Annotated[str, typer.Option("--task", metavar="TYPE", help="What it is asked to do, e.g. classification.")]
Number = Annotated[int | None, typer.Option("--number", metavar="N", min=0, help="Which version of several.", show_default="the highest")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    add_command(app, import_, panel="Publish", remote=False)


_HOW = "write --as FAMILY@MAJOR.MINOR.PATCH, e.g. digits@1.0.0"


def import_(session: Session, source: Source, bundle: Target, called: Called, task: TaskType, number: Number = None) -> None:
    """Make a bundle of a model that lies in another system's folder, if it is ONNX already; nothing is converted or unpickled."""
    from registry_client.importing.taking import Order, import_model  # noqa: PLC0415 - jsonschema, 60 ms
    from serving.cli.moving import moving  # noqa: PLC0415 - only few commands move anything

    family, version = _name(called)
    if not source.is_dir():
        error = f"there is no folder {source}"
        raise NotFound(error, "name the folder that holds MLmodel, config.pbtxt or numbered folders")
    try:
        with moving(session.output, f"importing {called}") as told:
            imported = import_model(Order(source, family, version, task, number), bundle, told)
    except RegistryError as error:
        raise NotImported(source, str(error), error.hint) from error
    for warning in imported.warnings:
        session.output.note(f"warning: {warning}")
    manifest, found = imported.bundle.manifest, imported.found
    document = {
        "family": family,
        "version": version,
        "bundle": str(bundle),
        "layout": found.layout,
        "origin": found.origin,
        "files": [artifact.path for artifact in manifest.artifacts],
        "warnings": list(imported.warnings),
    }
    session.output.data(document, lambda: facts([(called, f"from {found.layout}"), ("bundle", str(bundle))]))
    session.output.note(f"next: write golden examples, then pointsman check {bundle}")


def _name(called: str) -> tuple[str, str]:
    try:
        reference = parse_reference(called)
    except InvalidReference as error:
        raise WrongUse(str(error), _HOW) from error
    if not isinstance(reference.selector, Exact):
        error_text = f"{called!r} names no one version"
        raise WrongUse(error_text, _HOW)
    return reference.family, str(reference.selector.version)
