"""What an environment is made of: a version of Python and the pins of a lock, with the wheels that came along."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from registry_client.locks import Pin, parse_lock
from registry_client.manifest import ComponentKind, Manifest, Role

PathOf = Callable[[str], Path]
"""Where a path of a bundle lies on this machine."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One environment. Versions with equal locks share it, whatever their families."""

    python: str
    lock: str
    """The lock's sha256."""
    pins: tuple[Pin, ...]
    wheels: Path | None = None
    """The folder that all packages come from; None where an index is asked."""

    @property
    def key(self) -> str:
        """Its name on this machine."""
        return key_of(self.python, self.lock)


def key_of(python: str, lock: str) -> str:
    """The name of an environment; `lock`: the sha256 of its lock."""
    return f"{python}-{lock}"


def needs_environment(manifest: Manifest) -> bool:
    """Whether a version runs code in an environment of its own: locked Python components."""
    kinds = {component.kind for component in manifest.pipeline.components}
    return manifest.pipeline.lock is not None and ComponentKind.PYTHON in kinds


def recipe_of(manifest: Manifest, path_of: PathOf) -> Recipe | None:
    """The environment that a version needs, if it does. Raises `InvalidBundle` where its lock cannot be read."""
    lock = manifest.pipeline.lock
    if lock is None or not needs_environment(manifest):
        return None
    pins = parse_lock(path_of(lock.requirements).read_bytes(), lock.requirements)
    wheels = next((path_of(artifact.path).parent.absolute() for artifact in manifest.of_role(Role.WHEEL)), None)
    return Recipe(lock.python, lock.sha256, pins, wheels)
