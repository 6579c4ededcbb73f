"""Why an environment cannot be had, each with its own sentence and what to do about it.

LoadFailed
└── EnvironmentFailed       it cannot be built
    ├── NoSuchPython        this machine lacks the version of Python
    ├── PackageFailed       one package cannot be installed
    └── Incomplete          the lock leaves out what its packages need
"""

from registry_client.locks import Pin
from serving.dataplane.faults import LoadFailed


class EnvironmentFailed(LoadFailed):
    """An environment that cannot be built."""

    hint = "the lock and its packages must fit this machine; `pointsman check DIR` builds the same environment"


class NoSuchPython(EnvironmentFailed):
    """The version of Python that a lock names is not installed."""

    hint = "install that Python, or lock the components for one that is there"

    def __init__(self, python: str) -> None:
        super().__init__(f"the environment needs Python {python}, which this machine does not have")


class PackageFailed(EnvironmentFailed):
    """A package that cannot be installed; the sentence names it and its place in the lock."""

    def __init__(self, pin: Pin, place: str, reason: str) -> None:
        self.pin = pin
        super().__init__(f"the environment cannot be built: {pin} ({place}): {reason}")


class Incomplete(EnvironmentFailed):
    """Every package was installed, but some need others that the lock does not pin."""

    hint = "lock all that is needed: uv pip compile --generate-hashes follows every dependency"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the environment is incomplete: {reason}")
