"""Python components: a factory in the bundle's own files, loaded into a private package so that no two versions' modules ever meet.

Files import each other relatively (`from .tokens import split`). Always compiled from source: a cached .pyc is not what was digested.
"""

import sys
from collections.abc import Callable, Sequence
from copy import deepcopy
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from itertools import count
from os.path import commonpath
from pathlib import Path, PurePosixPath
from types import CodeType, ModuleType

from registry_client.manifest import Component
from serving.dataplane.components.transform import Names, Tensors
from serving.dataplane.faults import LoadFailed

_PREFIX = "_pointsman_component_"
_loads = count()


class PythonTransform:
    """What the factory made."""

    def __init__(self, function: Callable[[Tensors], object]) -> None:
        self._function = function

    def __call__(self, tensors: Tensors) -> Tensors:
        """Run it, and refuse an answer that is no mapping of names to tensors."""
        answer = self._function(tensors)
        if not isinstance(answer, dict):
            msg = f"it must return a dict of arrays, not {type(answer).__name__}"
            raise TypeError(msg)
        return answer

    def trace(self, names: Names) -> None:
        """Only running it can tell."""


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


def load_python(component: Component, path_of: Callable[[str], Path], *, label: str) -> PythonTransform:
    """Import the entry and call its factory with the config. Raises `LoadFailed`."""
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
    try:
        module = _import(component, {name: path_of(path) for name, path in modules.items()}, chosen[0])
        function: object = getattr(module, factory_name)(deepcopy(component.config))
    except (Exception, SystemExit) as error:
        reason = f"{label}: {component.entry} failed to load: {type(error).__name__}: {error}"
        raise LoadFailed(reason) from error
    if not callable(function):
        reason = f"{label}: {component.entry} must return a function of tensors, not {type(function).__name__}"
        raise LoadFailed(reason)
    return PythonTransform(function)


def _import(component: Component, files: dict[str, Path], name: str) -> ModuleType:
    package = f"{_PREFIX}{component.sha256[:12]}_{next(_loads)}"
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


def _dotted(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".")


def _module_names(paths: Sequence[str]) -> dict[str, str]:
    """Each Python file's module name, relative to the deepest folder that holds all of them."""
    sources = [path for path in paths if path.endswith(".py")]
    if not sources:
        return {}
    folder = commonpath([str(PurePosixPath(path).parent) for path in sources])
    return {_dotted(str(PurePosixPath(path).relative_to(folder))): path for path in sources}
