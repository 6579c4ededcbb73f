"""Whether the nodes of a cluster can serve: each is asked on the spot, before anything is started on it."""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

from serving.bootstrap.between import Between, settled
from serving.bootstrap.layout import CannotServe, Layout
from serving.dataplane import nodes
from serving.dataplane.handshake import UnusableSecret
from serving.dataplane.nodes import Node
from serving.dataplane.trust import UnusableCertificate
from serving.telemetry.prometheus import is_in_use, prepare_directory

FINGERPRINT = "fingerprint"
"""The purpose of what tells whether two secrets are one."""

AGAIN_S = 30.0
"""Before a node that could not serve is asked again."""

SURVEY_S = 60.0
"""How long the nodes may take to answer; the first answer of a node starts a Python there and imports Ray."""


class UnfitNode(CannotServe):
    """A node of the cluster on which nothing can be started."""

    hint = "every node needs the same release of pointsman, the registry, and the secret, at the same paths: see docs/cluster.md"

    def __init__(self, node: Node, complaint: str) -> None:
        super().__init__(f"node {node.address} cannot serve: {complaint}")


@dataclass(frozen=True, slots=True)
class Question:
    """What every node must be able to answer."""

    layout: Layout
    between: Between
    release: str
    fingerprint: bytes
    """Of the secret: that the file is there is not enough, all must have the same."""


class Surveyor:
    """Knows which nodes can serve; new ones are asked, and those that could not are asked again after a while."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._known: dict[Node, tuple[str, float]] = {}

    def complaints(self, living: Sequence[Node]) -> Mapping[Node, str]:
        """What is wrong with each node; an empty text where nothing is. New complaints are told to the person at the terminal."""
        now = time.monotonic()
        due = [node for node in living if node not in self._known or (self._known[node][0] and now - self._known[node][1] > AGAIN_S)]
        for node, answer in nodes.run_on_each(due, partial(complaint, self._question), SURVEY_S).items():
            found = answer if isinstance(answer, str) else _why(answer)
            if found and self._known.get(node, ("", 0.0))[0] != found:
                print(UnfitNode(node, found), file=sys.stderr, flush=True)  # noqa: T201
            self._known[node] = (found, now)
        return {node: self._known[node][0] for node in living}


def complaint(question: Question) -> str:
    """What is wrong with this node; run on it."""
    release = version("pointsman")
    if release != question.release:
        return f"it has release {release} and not {question.release}"
    folder = question.layout.registry.folder
    if folder is not None and not _is_readable(folder):
        return f"the registry {folder} cannot be read there; it must be a folder that all nodes share"
    try:
        if question.between.key(FINGERPRINT) != question.fingerprint:
            return f"its {question.between.secret} is another than the one here"
        question.between.trust()
        own = settled(question.layout, clustered=True)
        if not is_in_use(own.metrics):
            own.forget_gateways()
            prepare_directory(own.metrics)
    except (UnusableSecret, UnusableCertificate, CannotServe) as error:
        return str(error)
    return ""


def _is_readable(registry: Path) -> bool:
    try:
        next(registry.iterdir(), None)
    except OSError:
        return False
    return True


def _why(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__
