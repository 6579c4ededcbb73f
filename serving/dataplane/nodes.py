"""The nodes of the Ray cluster: which one this process runs on, which are alive, and how something is run or kept on one of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

T = TypeVar("T")

SLIVER = 0.001
"""How much of a node's own resource pins a replica to it: the least that Ray counts, so that any number fits."""


@dataclass(frozen=True, slots=True, order=True)
class Node:
    """One node: the address by which the others reach it, and Ray's own name for this life of it."""

    address: str
    ident: str
    resources: frozenset[str] = field(default=frozenset(), compare=False)


def here() -> Node:
    """The node that this process runs on."""
    return Node(ray.util.get_node_ip_address(), ray.get_runtime_context().get_node_id())


def alive(resource: str | None) -> Sequence[Node]:
    """The nodes that Ray has heard of lately, those with a certain resource if one is named; asks Ray's head."""
    living = [Node(node["NodeManagerAddress"], node["NodeID"], frozenset(node["Resources"])) for node in ray.nodes() if node["Alive"]]
    return sorted(node for node in living if resource is None or resource in node.resources)


def pinned_to(node: Node) -> Mapping[str, float]:
    """The resources that keep a replica on one node."""
    return {f"node:{node.address}": SLIVER}


def pinned_to_any(resource: str | None) -> Mapping[str, float]:
    """The resources that keep a replica on the nodes with a certain resource."""
    return {} if resource is None else {resource: SLIVER}


def run_on_each(nodes: Sequence[Node], function: Callable[[], T], seconds: float) -> Mapping[Node, T | Exception]:
    """Run a function on every node, and gather what it gives, or why it gave nothing in time."""
    remote: Any = ray.remote(num_cpus=0, max_retries=0)(_call)  # Ray is untyped
    running = {
        node: remote.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node.ident, soft=False)).remote(function) for node in nodes
    }
    ray.wait(list(running.values()), num_returns=len(running), timeout=seconds)
    return {node: _result(reference) for node, reference in running.items()}


def _call(function: Callable[[], T]) -> T:
    return function()


def _result(reference: Any) -> Any:  # noqa: ANN401 - a reference of Ray's to whatever the function gives
    try:
        return ray.get(reference, timeout=0)
    except GetTimeoutError:
        ray.cancel(reference, force=True)
        return TimeoutError("it did not answer in time")
    except RayError as error:
        return error
