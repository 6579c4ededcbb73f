"""Stand-ins for what the request path talks to: an invoker that is answered by hand, and a recorder that remembers."""

from collections.abc import Callable
from dataclasses import dataclass, field

from serving.core.routing import Arm, Target
from serving.ports import Call, Failure, Reply


@dataclass
class Invoked:
    call: Call
    deadline: float
    done: Callable[[Reply], None]
    patient: bool


@dataclass
class HandInvoker:
    """Keeps every call until the test answers it."""

    invoked: list[Invoked] = field(default_factory=list)
    unreached: set[str] = field(default_factory=set)
    """The digests that no replica was ever reached of."""

    def invoke(self, call: Call, deadline: float, done: Callable[[Reply], None], *, patient: bool) -> None:
        self.invoked.append(Invoked(call, deadline, done, patient))

    def was_reached(self, digest: str) -> bool:
        return digest not in self.unreached

    def answer(self, reply: Reply) -> Invoked:
        """Answer the oldest call that waits."""
        invoked = self.invoked.pop(0)
        invoked.done(reply)
        return invoked


@dataclass
class MemoryRecorder:
    """Remembers what was recorded."""

    answers: list[tuple[str, Arm, Failure | None]] = field(default_factory=list)
    shadows: list[tuple[str, str]] = field(default_factory=list)
    refusals: list[tuple[str, str]] = field(default_factory=list)
    ratings: list[tuple[str, str]] = field(default_factory=list)
    deprecated: list[tuple[str, str]] = field(default_factory=list)

    def answered(self, target: Target, arm: Arm, seconds: float, failure: Failure | None) -> None:
        assert seconds >= 0
        self.answers.append((str(target.version), arm, failure))

    def deprecated_called(self, target: Target, consumer: str) -> None:
        self.deprecated.append((str(target.version), consumer))

    def shadowed(self, target: Target, outcome: str) -> None:
        self.shadows.append((str(target.version), outcome))

    def refused(self, family: str, why: str) -> None:
        self.refusals.append((family, why))

    def rated(self, family: str, outcome: str) -> None:
        self.ratings.append((family, outcome))
