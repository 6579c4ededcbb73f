"""Appending and reading notes in the registry that is named."""

from pathlib import Path

import msgspec

from registry_client.errors import UnknownFamily, UnknownVersion
from serving.cli.auditing import open_registry
from serving.cli.failures import NotFound, WrongUse
from serving.cli.output import Json


def noted(reference: str, text: str | None, actor: str, data: Path | None, registry: str | None) -> Json:
    """Append a note, if there is a text, and give all notes of the version. Raises `NotFound` or `WrongUse`."""
    family, at, version = reference.partition("@")
    if not at:
        error = f"{reference} names no version"
        raise WrongUse(error, "write FAMILY@VERSION, e.g. digits@1.1.0")
    client = open_registry(data, registry)
    try:
        if text is not None:
            client.annotate(family, version, text, actor)
        notes = client.notes(family, version)
    except (UnknownFamily, UnknownVersion) as error:
        raise NotFound(str(error), "`pointsman registry audit` lists what is published there") from error
    return {"family": family, "version": version, "notes": [msgspec.to_builtins(note) for note in notes]}
