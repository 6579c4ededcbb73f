"""The nodes of the Ray cluster: which one this process runs on, and which are alive."""

from collections.abc import Sequence
from dataclasses import dataclass

import ray


@dataclass(frozen=True, slots=True, order=True)
class Node:
    """One node: the address by which the others reach it, and Ray's own name for this life of it."""

    address: str
    ident: str


def here() -> Node:
    """The node that this process runs on."""
    return Node(ray.util.get_node_ip_address(), ray.get_runtime_context().get_node_id())


def alive() -> Sequence[Node]:
    """The nodes that Ray has heard of lately, in the order of their addresses; asks Ray's head."""
    return sorted(Node(node["NodeManagerAddress"], node["NodeID"]) for node in ray.nodes() if node["Alive"])
