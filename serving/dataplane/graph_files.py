"""Opens the bundle's graphs, having made sure that onnxruntime will follow no reference to a file that the manifest does not list."""

import posixpath
from collections.abc import Callable, Collection
from pathlib import Path

from registry_client.errors import UnsafeGraph
from registry_client.graph_safety import refuse_unsafe
from registry_client.graphs import GraphFacts, NotAGraph, read_graph
from registry_client.manifest import Manifest
from serving.dataplane.faults import LoadFailed
from serving.dataplane.session import GraphSession, open_graph


def open_verified_graph(
    manifest: Manifest, path: str, path_of: Callable[[str], Path], *, label: str, domains: Collection[str] = ()
) -> GraphSession:
    """Open the graph at a bundle path. `domains`: those that its component asks for. Raises `LoadFailed`."""
    listed = {artifact.path for artifact in manifest.artifacts}
    if path not in listed:
        reason = f"{label}: the manifest's artifacts do not list its graph {path!r}"
        raise LoadFailed(reason)
    file = path_of(path)
    facts = _facts(file, label)
    try:
        refuse_unsafe(path, facts, listed, domains)
    except UnsafeGraph as error:
        reason = f"{label}: {error.reason}"
        raise LoadFailed(reason) from error
    for location in facts.external:
        # The manifest lists it, but onnxruntime would look where the graph says.
        inside = posixpath.normpath(posixpath.join(posixpath.dirname(path), location))
        place = file.parent / location
        if not place.is_file() or place.stat().st_nlink > 1 or not place.samefile(path_of(inside)):
            reason = f"{label} keeps tensors in {location!r}, which is not where the bundle has it"
            raise LoadFailed(reason)
    return open_graph(file, manifest.serving, label=label, domains=domains)


def _facts(file: Path, label: str) -> GraphFacts:
    try:
        return read_graph(file)
    except FileNotFoundError as error:
        reason = f"{label}: its file is not there"
        raise LoadFailed(reason) from error
    except NotAGraph as error:
        reason = f"{label}: {error}"
        raise LoadFailed(reason) from error
