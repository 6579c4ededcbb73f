"""The commands for those who make models: check a bundle, publish it. Both run here, without a server."""

from pathlib import Path
from typing import Annotated

import typer

from serving.cli.commands import Session, add_command
from serving.cli.failures import BundleRefused, telling_if_interrupted
from serving.cli.options import DataOption, RegistryOption
from serving.cli.output import facts
from serving.cli.rendering import render_verdict
from serving.cli.tagging import ADMIN_HELP

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="The bundle: a folder with a model.yaml and the files it names.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for function in (check, publish):
        add_command(app, function, panel="Publish", admin_help=ADMIN_HELP)


def check(session: Session, directory: Directory, data: DataOption = None, registry: RegistryOption = None) -> None:
    """Load a bundle, run its golden examples, and see whether its number tells the truth about what changed."""
    from serving.cli.checking import check_directory, unread_document  # noqa: PLC0415 - imports onnxruntime

    try:
        verdict, _ = check_directory(session, directory, data, registry)
    except BundleRefused as refused:
        if session.output.as_json:  # who reads documents gets one
            session.output.document(unread_document(refused))
        raise
    document = verdict.document()
    session.output.data(document, lambda: render_verdict(document))
    verdict.refuse(directory)


def publish(session: Session, directory: Directory, data: DataOption = None, registry: RegistryOption = None) -> None:
    """Check a bundle and publish it; what is published never changes, and the same bytes again are fine."""
    from serving.cli.checking import Level, check_directory, publish_bundle  # noqa: PLC0415 - imports onnxruntime
    from serving.cli.moving import moving  # noqa: PLC0415 - only few commands move anything

    verdict, client = check_directory(session, directory, data, registry)
    # Of a version that is refused the refusal tells the rest, with every change that it is refused for.
    shown = {Level.WARNING} if verdict.fault is not None else {Level.WARNING, Level.NOTE}
    for finding in verdict.findings:
        if finding.level in shown:
            session.output.note(f"{finding.level.value}: {finding.text}")
    verdict.refuse(directory)
    bundle = verdict.bundle
    name = f"{bundle.manifest.family}@{bundle.manifest.version}"
    hint = "publish it again: the same bytes change nothing"
    with (
        telling_if_interrupted(f"{name} is published whole, or not at all", hint),
        moving(session.output, f"publishing {name}") as told,
    ):
        published = publish_bundle(bundle, client, directory, verdict.judgement, told)
    document = {**verdict.document(), "created": published.created, "digest": published.manifest_digest}
    said = "published" if published.created else "was published before, with the same content"
    session.output.data(document, lambda: facts([("version", name), ("is", said), ("digest", published.manifest_digest)]))
    session.output.note(
        f"next: pointsman promote {name.replace('@', ' ')}, or bring it to its callers stage by stage with shadow, canary or start"
    )
