"""The commands of the component library: publish a component, list them, show one. They run here, without a server."""

from pathlib import Path
from typing import Annotated

import typer

from serving.cli.commands import Session, add_command
from serving.cli.component_rendering import render_component, render_components
from serving.cli.failures import EXIT_CODES
from serving.cli.options import DataOption, RegistryOption
from serving.cli.output import facts

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="A folder with a component.yaml and the files it names.")]
Reference = Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="A component, e.g. words@1.3.0; the newest without a version.")]


def register(app: typer.Typer) -> None:
    """Add the group with its commands."""
    group = typer.Typer(no_args_is_help=True)
    for function in (publish, list_, show):
        add_command(group, function, panel="Publish", remote=False)
    help_text = "Share pre- and postprocessing: `component publish`, `list` and `show`."
    app.add_typer(group, name="component", help=help_text, epilog=EXIT_CODES, rich_help_panel="Publish")


def publish(session: Session, directory: Directory, data: DataOption = None, registry: RegistryOption = None) -> None:
    """Publish a component under its name and version, for any version of any family to pin; it never changes."""
    from serving.cli.moving import moving  # noqa: PLC0415 - only few commands move anything
    from serving.cli.shelving import Shelves  # noqa: PLC0415 - imports onnxruntime

    shelves = Shelves(data, registry)
    with moving(session.output, f"publishing {directory.resolve().name}") as told:
        document = shelves.publish(directory, told)
    name = f"{document['name']}@{document['version']}"
    said = "published" if document["created"] else "was published before, with the same content"
    session.output.data(document, lambda: facts([("component", name), ("is", said), ("digest", document["digest"])]))
    session.output.note(f"next: pin it in a model.yaml, as `pre: {name}` under pipeline")


def list_(session: Session, data: DataOption = None, registry: RegistryOption = None) -> None:
    """List the components of the library."""
    from serving.cli.shelving import Shelves  # noqa: PLC0415 - imports onnxruntime

    document = {"components": Shelves(data, registry).listed()}
    session.output.data(document, lambda: render_components(document))


def show(session: Session, reference: Reference, data: DataOption = None, registry: RegistryOption = None) -> None:
    """Show a component: what it is, its files, and which versions pin exactly it."""
    from serving.cli.shelving import Shelves  # noqa: PLC0415 - imports onnxruntime

    document = Shelves(data, registry).shown(reference)
    session.output.data(document, lambda: render_component(document))
