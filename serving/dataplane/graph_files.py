"""Opens the bundle's graphs from memory: onnxruntime opens no file, so what it computes with cannot be changed behind its back.

By name it would map weights into memory, and a write into their file would change the answers of a version that serves.
"""

import posixpath
from collections.abc import Callable, Collection
from pathlib import Path

from registry_client.errors import UnsafeGraph
from registry_client.graph_safety import refuse_unsafe
from registry_client.graphs import NotAGraph, inspect_graph
from registry_client.manifest import Manifest
from serving.dataplane.faults import LoadFailed
from serving.dataplane.session import GraphContent, GraphSession, open_graph


def open_verified_graph(
    manifest: Manifest, path: str, path_of: Callable[[str], Path], *, label: str, domains: Collection[str] = ()
) -> GraphSession:
    """Open the graph at a bundle path. `domains`: those that its component asks for. Raises `LoadFailed`."""
    listed = {artifact.path for artifact in manifest.artifacts}
    if path not in listed:
        reason = f"{label}: the manifest's artifacts do not list its graph {path!r}"
        raise LoadFailed(reason)
    file = path_of(path)
    try:
        model = file.read_bytes()
        facts = inspect_graph(memoryview(model))
        refuse_unsafe(path, facts, listed, domains)
    except FileNotFoundError as error:
        reason = f"{label}: its file is not there"
        raise LoadFailed(reason) from error
    except NotAGraph as error:
        reason = f"{label}: {error}"
        raise LoadFailed(reason) from error
    except UnsafeGraph as error:
        reason = f"{label}: {error.reason}"
        raise LoadFailed(reason) from error
    weights = {}
    for location in facts.external:
        inside = path_of(posixpath.normpath(posixpath.join(posixpath.dirname(path), location)))
        weights[location] = _weights(file.parent / location, inside, location, label)
    return open_graph(GraphContent(model, weights), manifest.serving, label=label, domains=domains)


def _weights(place: Path, inside: Path, location: str, label: str) -> bytes:
    """The content of `inside`, the file that the manifest lists, if it is also the one at `place`, where the graph says it is."""
    if not place.is_file() or place.stat().st_nlink > 1 or not place.samefile(inside):
        reason = f"{label} keeps tensors in {location!r}, which is not where the bundle has it"
        raise LoadFailed(reason)
    return inside.read_bytes()
