from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from registry_client.bundle import Bundle
from registry_client.golden import parse_golden
from registry_client.manifest import Role
from serving.dataplane.engine import VersionEngine
from serving.dataplane.golden_run import run_golden
from serving.ports import Call, CallKind, Reply

Json = dict[str, Any]


@dataclass(frozen=True)
class Opened:
    """A bundle that is loaded and answers."""

    bundle: Bundle
    engine: VersionEngine

    def golden_failures(self) -> list[str]:
        """What its own golden examples find wrong with it."""
        [golden] = self.bundle.manifest.of_role(Role.GOLDEN)
        return run_golden(self.engine, parse_golden(self.bundle.files[golden.path].read_bytes()))

    def replies(self, requests: Sequence[Json]) -> Sequence[Reply]:
        """The replies to requests that arrive together."""
        return self.engine.run([Call(CallKind.PREDICT, "", msgspec.json.encode(request)) for request in requests])

    def answers(self, requests: Sequence[Json]) -> list[Json]:
        """The answers to requests that all succeed."""
        replies = self.replies(requests)
        assert {reply.status for reply in replies} == {200}
        return [msgspec.json.decode(reply.body) for reply in replies]

    def labels(self, requests: Sequence[Json]) -> list[object]:
        """The label of each answer."""
        return [answer["label"] for answer in self.answers(requests)]


@dataclass(frozen=True)
class Traffic:
    """Held-out requests and the true label of each."""

    requests: list[Json]
    truth: list[object]


Opening = Callable[[str], Opened]
"""Opens a bundle by its path under the build folder."""

TrafficOf = Callable[[str], Traffic]


def agreement(some: Sequence[object], others: Sequence[object]) -> float:
    """The share of places where both say the same."""
    return sum(one == other for one, other in zip(some, others, strict=True)) / len(some)
