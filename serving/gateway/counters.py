"""Plain counters of a rollout on one gateway, as its report carries them: one set for each arm, and one for the pairs."""

from dataclasses import dataclass, field

from serving.core.totals import ArmTotals, PairTotals
from serving.ports import Failure

MARGIN = 1.1
"""How many times as long the slower of two answers must have taken for the pair to have a winner; less is the machine's noise."""


@dataclass(slots=True)
class ArmCounter:
    """One arm. `edges` are seconds; whoever pins others counts from nothing against them."""

    edges: tuple[float, ...] = ()
    trials: int = 0
    failures: int = 0
    mistakes: int = 0
    slow: list[int] = field(default_factory=list)

    def pin(self, edges: tuple[float, ...]) -> None:
        """Count against these edges from now on."""
        if edges != self.edges:
            self.edges, self.slow = edges, [0] * len(edges)

    def answered(self, failure: Failure | None, seconds: float) -> None:
        """Count one trial. What ran out of time is slower than every edge, however little of it there was."""
        self.trials += 1
        if failure is not None:
            self.failures += 1
        if self.edges:
            is_late = failure is Failure.TIMEOUT
            for index, edge in enumerate(self.edges):
                if is_late or seconds > edge:
                    self.slow[index] += 1

    def totals(self) -> ArmTotals:
        """The counters as they are."""
        return ArmTotals(trials=self.trials, failures=self.failures, mistakes=self.mistakes, slow=tuple(self.slow))


@dataclass(slots=True)
class PairCounter:
    """What became of the copies: every one offered was compared, shed, too large, timed out or failed, or is still under way."""

    offered: int = 0
    compared: int = 0
    disagreed: int = 0
    slower: int = 0
    faster: int = 0
    shed: int = 0
    oversize: int = 0
    timed_out: int = 0
    failed: int = 0

    def agreed(self, *, agrees: bool, seconds: float, primary: float) -> None:
        """Count a pair that was compared; both took so many seconds."""
        self.compared += 1
        self.disagreed += not agrees
        if seconds > primary * MARGIN:
            self.slower += 1
        elif primary > seconds * MARGIN:
            self.faster += 1

    @property
    def ended(self) -> int:
        """How many are no longer under way."""
        return self.compared + self.shed + self.oversize + self.timed_out + self.failed

    def totals(self) -> PairTotals:
        """The counters as they are."""
        return PairTotals(
            self.offered,
            self.compared,
            self.disagreed,
            self.slower,
            self.faster,
            self.shed,
            self.oversize,
            self.timed_out,
            self.failed,
        )
