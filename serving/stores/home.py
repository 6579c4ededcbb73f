"""Where a node keeps what works without the store: for the processes that serve, and for whoever breaks the glass."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class NodeHome:
    """The files of one node."""

    data: Path

    @property
    def snapshot(self) -> Path:
        """The newest routes this node has seen."""
        return self.data / "state" / "routes.snapshot"

    @property
    def overrides(self) -> Path:
        """The rollbacks that an operator decides on this node."""
        return self.data / "override"

    @property
    def break_glass_key(self) -> Path:
        """The credential that signs them."""
        return self.data / "secrets" / "break-glass.key"
