"""Sweeping a node: asks the admin listener what is needed, and takes away the copies and environments of everything else."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from registry_client.manifest import Manifest
from registry_client.sweeping import CacheSweep, Swept
from serving.cli.configuring import read_settings
from serving.cli.failures import NotFound
from serving.cli.output import Json
from serving.dataplane.environments.recipe import key_of, needs_environment
from serving.dataplane.environments.shelf import Environments


def data_folder(data: Path | None) -> Path:
    """The data directory that is named. Raises `NotFound` where there is none: nothing would be swept, and nothing said."""
    folder = read_settings(data=data).data
    if not folder.is_dir():
        error = f"there is no data directory {folder}"
        raise NotFound(error, "name that of the node's installation with --data or POINTSMAN_DATA")
    return folder


def sweep(data: Path, keep: Json, *, is_rehearsal: bool) -> Json:
    """Sweep a data directory, leaving what the listener says is needed; what was taken, or would be."""
    settings = read_settings(data=data)
    now = time.time()  # noqa: TID251 - compared with what the file system says
    cache = CacheSweep(settings.data / "cache", {one["digest"] for one in keep["versions"]}, now, is_rehearsal)
    taken = list(cache.run())
    environments = Environments(settings.environments)
    taken += environments.sweep(set(_environments(cache.manifests)), now, is_rehearsal=is_rehearsal)
    return {
        "data": str(settings.data),
        "rehearsal": is_rehearsal,
        "freed": sum(swept.size for swept in taken),
        "taken": [_document(swept) for swept in taken],
        "needed": keep["versions"],
    }


def _environments(manifests: Mapping[str, Manifest]) -> Iterator[str]:
    for manifest in manifests.values():
        lock = manifest.pipeline.lock
        if lock is not None and needs_environment(manifest):
            yield key_of(lock.python, lock.sha256)


def _document(swept: Swept) -> Json:
    return {"kind": swept.kind, "name": swept.name, "bytes": swept.size}
