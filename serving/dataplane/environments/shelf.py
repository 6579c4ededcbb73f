"""Where environments are kept on this machine: built once for each lock, whole or not at all.

ENVIRONMENTS/3.11-<sha256 of the lock>/        one environment: a virtual environment, and environment.json with its inventory
ENVIRONMENTS/3.11-<sha256 of the lock>.lock    held by whoever builds it; the system lets go of it when the builder dies
ENVIRONMENTS/3.11-<sha256 of the lock>.part/   what is being built; counts for nothing
"""

import fcntl
import os
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from registry_client.errors import InvalidBundle
from registry_client.files import make_directory, sync_directory
from registry_client.manifest import Manifest
from registry_client.sweeping import FRESH_S, Swept, remove, size_of
from serving.dataplane.environments.builder import Builder, Say, python_of
from serving.dataplane.environments.faults import EnvironmentFailed
from serving.dataplane.environments.inventory import NAME as INVENTORY
from serving.dataplane.environments.inventory import Inventory, files_of, is_sound, write_inventory
from serving.dataplane.environments.recipe import PathOf, Recipe, recipe_of

log = structlog.get_logger()


def _to_nobody(_progress: str) -> None:
    """Where nobody watches."""


class Environments:
    """The environments of one machine. Safe among processes, and under kill -9 at any point; every call may block for minutes."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    def python_for(self, manifest: Manifest, path_of: PathOf, say: Say = _to_nobody) -> Path | None:
        """The interpreter for a version's Python components, built if need be; None for a version without a lock.

        Raises `EnvironmentFailed`.
        """
        try:
            recipe = recipe_of(manifest, path_of)
        except InvalidBundle as error:
            raise EnvironmentFailed(str(error)) from error
        return None if recipe is None else self.ready(recipe, say)

    def ready(self, recipe: Recipe, say: Say = _to_nobody) -> Path:
        """The interpreter of an environment that was verified a moment ago. Raises `EnvironmentFailed`."""
        folder = self._root / recipe.key
        if is_sound(folder, recipe):
            return python_of(folder)
        try:
            make_directory(self._root)
            with self._alone(recipe.key, say) as held:
                if not is_sound(folder, recipe):
                    self._build(recipe, folder, Builder(self._root / f"{recipe.key}.part", held), say)
        except OSError as error:
            reason = f"the environment cannot be built in {self._root}: {error.strerror or error}"
            raise EnvironmentFailed(reason) from error
        return python_of(folder)

    def sweep(self, needed: Collection[str], now: float, *, is_rehearsal: bool = False) -> Iterator[Swept]:
        """Take away the environments whose keys are not needed, and say which; those that are fresh or being built are left."""
        for folder in sorted(self._root.iterdir() if self._root.is_dir() else []):
            built = folder / INVENTORY
            if folder.name in needed or not built.is_file() or now - built.stat().st_mtime < FRESH_S:
                continue
            swept = Swept("environment", folder.name, size_of(folder))
            if not is_rehearsal:
                with self._alone(folder.name, _to_nobody):
                    remove(folder)
            yield swept

    def _build(self, recipe: Recipe, folder: Path, builder: Builder, say: Say) -> None:
        if folder.exists():
            log.warning("environment_damaged", environment=recipe.key)
        started = time.monotonic()
        shutil.rmtree(builder.folder, ignore_errors=True)
        try:
            builder.build(recipe, say)
            seconds = round(time.monotonic() - started, 3)
            inventory = Inventory(recipe.python, recipe.lock, tuple(map(str, recipe.pins)), seconds, files_of(builder.folder))
            write_inventory(builder.folder, inventory)
            _put(builder.folder, folder)
        finally:
            shutil.rmtree(builder.folder, ignore_errors=True)
        log.info("environment_built", environment=recipe.key, packages=len(recipe.pins), seconds=seconds)

    @contextmanager
    def _alone(self, key: str, say: Say) -> Iterator[int]:
        """Held while building. uv inherits it: should this process be killed, the next one waits until uv is gone, too."""
        descriptor = os.open(self._root / f"{key}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("waiting for another process that builds the environment")
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)


def _put(whole: Path, folder: Path) -> None:
    """Rename it to its name. What was there, damaged, goes; whoever runs in it finds the new files under the old names."""
    if folder.exists():
        damaged = whole.with_suffix(".damaged")
        shutil.rmtree(damaged, ignore_errors=True)
        folder.rename(damaged)
        whole.rename(folder)
        shutil.rmtree(damaged, ignore_errors=True)
    else:
        whole.rename(folder)
    sync_directory(folder.parent)
