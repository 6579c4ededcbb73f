"""Plain counters of one gateway, per target and arm: what the controller judges and the dashboards' gauges show."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from serving.core.routing import Arm, Target
from serving.ports import ArmCounts, Failure


@dataclass(slots=True)
class Tally:
    """What one target has done in one arm since the gateway started."""

    target: Target
    arm: Arm
    requests: int = 0
    failures: dict[Failure, int] = field(default_factory=dict)
    failures_in_a_row: int = 0
    in_flight: int = 0
    answered_at: float = 0.0
    """When the latest answer was given, in monotonic seconds."""

    def answered(self, failure: Failure | None, now: float) -> None:
        """Count one answer; the caller's own mistakes neither continue nor break a row of failures."""
        self.requests += 1
        self.answered_at = now
        if failure is None:
            self.failures_in_a_row = 0
            return
        self.failures[failure] = self.failures.get(failure, 0) + 1
        if failure is not Failure.CLIENT:
            self.failures_in_a_row += 1

    def counts(self) -> ArmCounts:
        """The counters as the report carries them."""
        return ArmCounts(self.target, self.arm, self.requests, dict(self.failures), self.failures_in_a_row)


class Tallies:
    """All tallies of a gateway; they live as long as it does, so what they say is cumulative."""

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, Arm], Tally] = {}

    def of(self, target: Target, arm: Arm) -> Tally:
        """The tally of a target in an arm, made at first use."""
        key = (target.digest, arm)
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._tallies[key] = Tally(target, arm)
        return tally

    def find(self, digest: str, arm: Arm) -> Tally | None:
        """The tally of a version in an arm, if it ever played that part here."""
        return self._tallies.get((digest, arm))

    def requests(self) -> int:
        """All requests answered so far."""
        return sum(tally.requests for tally in self._tallies.values())

    def __iter__(self) -> Iterator[Tally]:
        return iter(self._tallies.values())
