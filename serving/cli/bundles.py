"""The commands for those who make models: check a bundle, publish it. Both run here, without a server."""

from pathlib import Path
from typing import Annotated

import typer

from serving.cli.commands import Session, add_command
from serving.cli.failures import BundleRefused
from serving.cli.output import facts
from serving.cli.rendering import render_verdict
from serving.cli.running import DataOption, RegistryOption

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="The bundle: a folder with a model.yaml and the files it names.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    add_command(app, check, panel="Publish", remote=False)
    add_command(app, publish, panel="Publish", remote=False)


def check(session: Session, directory: Directory, data: DataOption = None, registry: RegistryOption = None) -> None:
    """Load a bundle, run its golden examples, and compare its interface with the published version before it."""
    from serving.cli.checking import judge_bundle, read_bundle, registry_at  # noqa: PLC0415 - imports onnxruntime
    from serving.cli.configuring import read_settings  # noqa: PLC0415 - pydantic-settings, 200 ms

    settings = read_settings(data=data, registry=registry)
    with session.output.progress(f"checking {directory}"):
        bundle = read_bundle(directory)
        verdict = judge_bundle(bundle, registry_at(settings.registry_path, settings.data / "cache"))
    document = verdict.document()
    session.output.data(document, lambda: render_verdict(document))
    if verdict.fault is not None:
        raise BundleRefused(directory, verdict.fault.text, verdict.fault.hint)


def publish(session: Session, directory: Directory, data: DataOption = None, registry: RegistryOption = None) -> None:
    """Check a bundle and publish it; what is published never changes, and the same bytes again are fine."""
    from serving.cli.checking import judge_bundle, publish_bundle, read_bundle, registry_at  # noqa: PLC0415 - as above
    from serving.cli.configuring import read_settings  # noqa: PLC0415 - as above

    settings = read_settings(data=data, registry=registry)
    client = registry_at(settings.registry_path, settings.data / "cache")
    with session.output.progress(f"checking {directory}"):
        bundle = read_bundle(directory)
        verdict = judge_bundle(bundle, client)
    for finding in verdict.findings:
        session.output.note(f"{finding.level.value}: {finding.text}")
    if verdict.fault is not None:
        raise BundleRefused(directory, verdict.fault.text, verdict.fault.hint)
    published = publish_bundle(bundle, client, directory)
    name = f"{bundle.manifest.family}@{bundle.manifest.version}"
    document = {**verdict.document(), "created": published.created, "digest": published.manifest_digest}
    said = "published" if published.created else "was published before, with the same content"
    session.output.data(document, lambda: facts([(name, said), ("digest", published.manifest_digest)]))
    session.output.note(f"next: pointsman promote {name.replace('@', ' ')}, or first canary or shadow it")
