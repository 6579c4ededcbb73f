"""Python components without a lock: a factory in the bundle's own files, loaded into this process, with this server's packages."""

from collections.abc import Callable
from copy import deepcopy

from registry_client.manifest import Component
from serving.dataplane.components.entries import BundleFiles, entry_of
from serving.dataplane.components.transform import Names, Tensors
from serving.dataplane.faults import LoadFailed
from serving.dataplane.hosting.private_modules import import_private, read_sources


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


def load_python(component: Component, bundle: BundleFiles, *, label: str) -> PythonTransform:
    """Import the entry and call its factory with the config. Raises `LoadFailed`."""
    entry = entry_of(component, bundle, label=label)
    try:
        module = import_private(read_sources(entry.modules, entry.digests), entry.module, component.sha256)
        function: object = getattr(module, entry.factory)(deepcopy(component.config))
    except (Exception, SystemExit) as error:
        reason = f"{label}: {component.entry} failed to load: {type(error).__name__}: {error}"
        raise LoadFailed(reason) from error
    if not callable(function):
        reason = f"{label}: {component.entry} must return a function of tensors, not {type(function).__name__}"
        raise LoadFailed(reason)
    return PythonTransform(function)
