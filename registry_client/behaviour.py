"""What of a version answers requests, as one digest: versions that differ in nothing else behave alike. Pure, as the manifest is."""

import hashlib
from typing import Any

import rfc8785

from registry_client.manifest import Component, Manifest, Role


def behaviour_digest(manifest: Manifest, graph: str) -> str:
    """The identity of what answers; `graph`: the digest of what the model computes. Names, words and figures are left out."""
    digests = {artifact.path: artifact.sha256 for artifact in manifest.artifacts}
    pipeline = manifest.pipeline
    identity = {
        "graph": graph,
        "weights": {artifact.path: artifact.sha256 for artifact in manifest.of_role(Role.WEIGHTS)},
        "pre": _what_runs(pipeline.pre, digests),
        "post": _what_runs(pipeline.post, digests),
        "lock": None if pipeline.lock is None else [pipeline.lock.python, pipeline.lock.sha256],
        "providers": list(manifest.serving.providers),
    }
    return hashlib.sha256(rfc8785.dumps(identity)).hexdigest()


def _what_runs(component: Component | None, digests: dict[str, str]) -> dict[str, Any] | None:
    if component is None:
        return None
    files = {path: digests[path] for path in component.files}
    return {"kind": component.kind.value, "entry": component.entry, "config": component.config, "files": files}
