"""What was counted already, kept in a set: as the node's table does, without the memory that gateways share."""

from collections.abc import Collection
from dataclasses import dataclass, field

from serving.ports import Claims


@dataclass
class MemoryClaims:
    """One table."""

    opened: float
    claimed: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])

    def claim(self, number: int, window: int) -> bool:
        is_first = (number, window) not in self.claimed
        self.claimed.add((number, window))
        return is_first

    def close(self) -> None:
        pass


@dataclass
class MemoryRoom:
    """All tables of a node: who is given the same room is on the same node."""

    tables: dict[str, MemoryClaims] = field(default_factory=dict[str, MemoryClaims])

    def open(self, name: str, now: float) -> Claims:
        return self.tables.setdefault(name, MemoryClaims(now))

    def keep(self, names: Collection[str]) -> None:
        self.tables = {name: table for name, table in self.tables.items() if name in names}
