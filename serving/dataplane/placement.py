"""Where the replicas of a version are put: as many as it shall have, on as many nodes as there are, so that no node holds them all."""

from dataclasses import dataclass
from math import ceil

from serving.dataplane import nodes


@dataclass(frozen=True, slots=True)
class Placement:
    """How many replicas each version has, and the resource of the nodes that may hold them."""

    replicas: int = 1
    resource: str | None = None

    def most_per_node(self) -> int | None:
        """How many replicas of a version one node may hold, by the nodes that are there now; None where it does not matter."""
        if self.replicas == 1:
            return None
        return ceil(self.replicas / max(1, len(nodes.alive(self.resource))))
