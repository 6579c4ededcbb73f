"""The shelf of disagreeing pairs, kept in a dictionary."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class MemoryShelf:
    """One node's."""

    kept: dict[tuple[str, str], bytes] = field(default_factory=dict[tuple[str, str], bytes])

    def put(self, rollout: str, gateway: str, pairs: bytes) -> None:
        self.kept[rollout, gateway] = pairs

    def read(self, rollout: str) -> Sequence[bytes]:
        return [pairs for (name, _), pairs in sorted(self.kept.items()) if name == rollout]
