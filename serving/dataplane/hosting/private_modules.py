"""Imports a component's own files under names that exist once in a process, so that no two components' modules ever meet.

Files import each other relatively (`from .tokens import split`). What is compiled are the very bytes that were held against their digests:
all files are read once, before the first is imported, and one that is imported late, by the first request say, comes from memory. Always
from source: a cached .pyc is not what was digested.
Read by the component host too, in environments that hold nothing of this server's: it may import the standard library only.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from itertools import count
from pathlib import Path
from types import CodeType, ModuleType

_PREFIX = "_pointsman_component_"
_loads = count()


class ChangedSource(Exception):
    """A file that is not, or no longer, what the manifest names."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path.name} is not what the manifest names")


@dataclass(frozen=True)
class Source:
    """A module's file, as it was when it was held against its digest."""

    path: Path
    content: bytes


def read_sources(modules: Mapping[str, Path], digests: Mapping[Path, str]) -> dict[str, Source]:
    """Read the files of modules. Raises `ChangedSource`, or `OSError`."""
    sources = {name: Source(path, path.read_bytes()) for name, path in modules.items()}
    for source in sources.values():
        if sha256(source.content).hexdigest() != digests[source.path]:
            raise ChangedSource(source.path)
    return sources


class _FromMemory(SourceFileLoader):
    def __init__(self, fullname: str, source: Source) -> None:
        super().__init__(fullname, str(source.path))
        self._source = source.content

    def get_code(self, fullname: str) -> CodeType:
        """Compile what was read, whatever lies at its path or in __pycache__ by now."""
        return self.source_to_code(self._source, self.get_filename(fullname))


class _PrivateModules(MetaPathFinder):
    """Finds exactly the files that the manifest lists, under a name that exists once in this process."""

    def __init__(self, package: str, sources: Mapping[str, Source]) -> None:
        self._sources = {f"{package}.{name}": source for name, source in sources.items()}
        parents = {".".join(name.split(".")[:depth]) for name in sources for depth in range(1, name.count(".") + 1)}
        self._packages = {f"{package}.{parent}" for parent in parents} - self._sources.keys()

    def find_spec(self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:  # noqa: ARG002 - importlib's signature
        if fullname in self._packages:
            return ModuleSpec(fullname, None, is_package=True)
        source = self._sources.get(fullname)
        return None if source is None else spec_from_file_location(fullname, source.path, loader=_FromMemory(fullname, source))


def import_private(sources: Mapping[str, Source], name: str, digest: str) -> ModuleType:
    """Import one of a component's modules, by their names without a package. Whatever importing it raises passes through."""
    package = f"{_PREFIX}{digest[:12]}_{next(_loads)}"
    root = ModuleType(package)
    root.__path__ = []
    finder = _PrivateModules(package, sources)
    sys.modules[package] = root
    sys.meta_path.append(finder)
    try:
        return import_module(f"{package}.{name}")
    except BaseException:
        sys.meta_path.remove(finder)
        for imported in [known for known in sys.modules if known == package or known.startswith(f"{package}.")]:
            del sys.modules[imported]
        raise
