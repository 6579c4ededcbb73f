"""Imports a component's own files under names that exist once in a process, so that no two components' modules ever meet.

Files import each other relatively (`from .tokens import split`). Always compiled from source: a cached .pyc is not what was digested.
Read by the component host too, in environments that hold nothing of this server's: it may import the standard library only.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from itertools import count
from pathlib import Path
from types import CodeType, ModuleType

_PREFIX = "_pointsman_component_"
_loads = count()


class _FromSource(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        """Compile the file itself, whatever lies in __pycache__."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


class _PrivateModules(MetaPathFinder):
    """Finds exactly the files that the manifest lists, under a name that exists once in this process."""

    def __init__(self, package: str, files: dict[str, Path]) -> None:
        self._files = {f"{package}.{name}": path for name, path in files.items()}
        parents = {".".join(name.split(".")[:depth]) for name in files for depth in range(1, name.count(".") + 1)}
        self._packages = {f"{package}.{parent}" for parent in parents} - self._files.keys()

    def find_spec(self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:  # noqa: ARG002 - importlib's signature
        if fullname in self._packages:
            return ModuleSpec(fullname, None, is_package=True)
        file = self._files.get(fullname)
        return None if file is None else spec_from_file_location(fullname, file, loader=_FromSource(fullname, str(file)))


def import_private(files: dict[str, Path], name: str, digest: str) -> ModuleType:
    """Import one of a component's modules, by their names without a package. Whatever importing it raises passes through."""
    package = f"{_PREFIX}{digest[:12]}_{next(_loads)}"
    root = ModuleType(package)
    root.__path__ = []
    finder = _PrivateModules(package, files)
    sys.modules[package] = root
    sys.meta_path.append(finder)
    try:
        return import_module(f"{package}.{name}")
    except BaseException:
        sys.meta_path.remove(finder)
        for imported in [known for known in sys.modules if known == package or known.startswith(f"{package}.")]:
            del sys.modules[imported]
        raise
