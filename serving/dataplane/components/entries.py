"""The entry of a Python component: which of its files to import, under which names, and what to call in it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os.path import commonpath
from pathlib import Path, PurePosixPath

from registry_client.manifest import Component, Manifest
from serving.dataplane.faults import LoadFailed


@dataclass(frozen=True, slots=True)
class BundleFiles:
    """Where a version's files lie on this machine, and the sha256 that its manifest names for each, by their paths in the bundle."""

    path_of: Callable[[str], Path]
    digests: Mapping[str, str]

    @classmethod
    def of(cls, manifest: Manifest, path_of: Callable[[str], Path]) -> "BundleFiles":
        """Those of a manifest."""
        return cls(path_of, {artifact.path: artifact.sha256 for artifact in manifest.artifacts})


@dataclass(frozen=True, slots=True)
class Entry:
    """A factory in a component's own files. `modules`: where each module lies, by its name; `digests`: of all that it may read."""

    component: Component
    module: str
    factory: str
    modules: dict[str, Path]
    digests: dict[Path, str]


def entry_of(component: Component, bundle: BundleFiles, *, label: str) -> Entry:
    """Find it. Raises `LoadFailed` for one that the files do not hold."""
    module_name, _, factory_name = (component.entry or "").partition(":")
    if not module_name or not factory_name.isidentifier():
        reason = f"{label}: entry must be 'module:factory', not {component.entry!r}"
        raise LoadFailed(reason)
    modules = _module_names(component.files)
    chosen = [name for name, path in modules.items() if module_name in {name, _dotted(path)}]
    if not chosen:
        reason = (
            f"{label}: entry {component.entry!r} names a module that its files do not hold; they hold {', '.join(modules) or 'no .py file'}"
        )
        raise LoadFailed(reason)
    places = {name: bundle.path_of(path) for name, path in modules.items()}
    digests = {bundle.path_of(path): bundle.digests[path] for path in component.files}
    return Entry(component, chosen[0], factory_name, places, digests)


def _dotted(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".")


def _module_names(paths: Sequence[str]) -> dict[str, str]:
    """Each Python file's module name, relative to the deepest folder that holds all of them."""
    sources = [path for path in paths if path.endswith(".py")]
    if not sources:
        return {}
    folder = commonpath([str(PurePosixPath(path).parent) for path in sources])
    return {_dotted(str(PurePosixPath(path).relative_to(folder))): path for path in sources}
