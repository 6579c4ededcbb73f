"""What an author's folder is read with, whether it holds a bundle or a component: every file checked, measured and described."""

import os
import pwd
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from registry_client.errors import InvalidBundle, UnsafeGraph
from registry_client.files import Measured, measure, open_regular, refuse_foreign
from registry_client.graph_safety import refuse_unsafe
from registry_client.graphs import NotAGraph, read_graph
from registry_client.manifest import Artifact, Component, Role, component_digest
from registry_client.model_yaml import AuthoredComponent

# Fixed here, not asked of the system: the same bundle must give the same manifest on every machine.
_MEDIA_TYPES = {
    ".onnx": "application/onnx",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".md": "text/markdown",
    ".py": "text/x-python",
    ".txt": "text/plain",
    ".whl": "application/zip",
    ".yaml": "application/yaml",
}


def measured_file(directory: Path, path: str, role: Role, *, is_graph: bool) -> Measured:
    """Measure a file of a folder. Raises `InvalidBundle` for one that is not what its role says."""
    with open_regular(directory, path) as file:
        # A package may hold anything, native libraries and the pickles of its own tests: the lock vouches for it.
        if role is not Role.WHEEL:
            refuse_foreign(file, path, is_graph=is_graph)
        return measure(file)


def check_graph(directory: Path, path: str, listed: Collection[str], domains: Collection[str]) -> None:
    """Raise `InvalidBundle` for what is no graph, or one that must not be loaded."""
    try:
        refuse_unsafe(path, read_graph(directory / path), listed, domains)
    except NotAGraph as error:
        raise InvalidBundle(path, str(error), "export the model to ONNX") from error
    except UnsafeGraph as error:
        raise InvalidBundle(error.path, error.reason, error.hint) from error


def artifact_of(path: str, role: Role, measured: Measured) -> Artifact:
    """A file as manifests describe it."""
    media_type = _MEDIA_TYPES.get(PurePosixPath(path).suffix, "application/octet-stream")
    return Artifact(path=path, role=role, media_type=media_type, size=measured.size, sha256=measured.sha256)


def component_of(authored: AuthoredComponent, digests: Mapping[str, str]) -> Component:
    """A component as manifests describe it; `digests`: of each of its files, by path."""
    fields: dict[str, Any] = {**msgspec.structs.asdict(authored), "domains": authored.domains or msgspec.UNSET}
    identity = component_digest(msgspec.to_builtins(authored), {path: digests[path] for path in authored.files})
    return Component(**fields, sha256=identity)


def timestamp(now: datetime | None) -> str:
    """A moment as manifests write it; the clock's where none is given."""
    moment = now or datetime.now(UTC)  # noqa: TID251 - an author's command line has no Clock port; tests pass `now`
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def login_name() -> str:
    """Who publishes."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user often has no name
        return f"uid-{os.getuid()}"
