"""Whether this machine runs what a version says it runs on: `serving.runtime`, a range for each runtime."""

import platform
from collections.abc import Mapping
from importlib import metadata

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from serving.dataplane.faults import LoadFailed

PYTHON = "python"
"""The only one that is no installed distribution."""


def refuse_other_runtimes(runtime: Mapping[str, str]) -> None:
    """Raise `LoadFailed` unless each runtime is installed here in a version of its range, pre-releases included."""
    for name, wanted in runtime.items():
        installed = platform.python_version() if name == PYTHON else _installed(name)
        if installed is None:
            reason = f"it runs on {name} {wanted}, which is not installed here"
            raise LoadFailed(reason)
        if not _range(name, wanted).contains(installed, prereleases=True):
            reason = f"it runs on {name} {wanted}, and here is {installed}"
            raise LoadFailed(reason)


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except (metadata.PackageNotFoundError, ValueError):
        return None


def _range(name: str, wanted: str) -> SpecifierSet:
    try:
        return SpecifierSet(wanted)
    except InvalidSpecifier as error:
        reason = f"serving.runtime says {name} {wanted!r}, which is no range of versions"
        raise LoadFailed(reason) from error
