"""Plain counters of a rollout on one gateway, as its report carries them: one set for each arm, and one for the pairs."""

from bisect import bisect_right
from dataclasses import dataclass, field

from serving.core.rules import Bins
from serving.core.statistics import Sums
from serving.core.totals import MARGIN, ArmTotals, PairTotals
from serving.core.watches import Watch
from serving.ports import Failure, Said


class Sorter:
    """Into which class an answer falls: its label's, or its score's between the bounds; the last one is for whatever has no other."""

    def __init__(self, bins: Bins | None, classes: tuple[str, ...]) -> None:
        self.pinned = (bins, classes)
        self.classes = len(classes) + 1 if classes else 0
        """How many there are; none while nothing is pinned."""
        self._bounds = [float(bound) for bound in classes] if bins is Bins.DECILES else []
        self._labels = {label: place for place, label in enumerate(classes)} if bins is Bins.CLASSES else {}

    @classmethod
    def of(cls, watch: Watch, before: "Sorter") -> "Sorter":
        """That of a watch; the same as before where nothing else is pinned."""
        return before if before.pinned == (watch.bins, watch.classes) else cls(watch.bins, watch.classes)

    def place(self, said: Said) -> int | None:
        """The class; None where the answer does not say."""
        if said.label is not None and self._labels:
            return self._labels.get(said.label, self.classes - 1)
        return bisect_right(self._bounds, said.score) if said.score is not None and self._bounds else None


UNSORTED = Sorter(None, ())


@dataclass(slots=True)
class ArmCounter:
    """One arm. `edges` are seconds; whoever pins others counts from nothing against them."""

    edges: tuple[float, ...] = ()
    trials: int = 0
    failures: int = 0
    mistakes: int = 0
    odd: int = 0
    slow: list[int] = field(default_factory=list)
    sorter: Sorter = UNSORTED
    classes: list[int] = field(default_factory=list)
    rewards: Sums = field(default_factory=Sums)
    again: int = 0
    """Answers to units that were counted already."""
    keyless: int = 0
    """Answers to whoever is in no arm, for want of a routing key."""

    def pin(self, edges: tuple[float, ...], sorter: Sorter) -> None:
        """Count against these edges and into these classes from now on."""
        if edges != self.edges:
            self.edges, self.slow = edges, [0] * len(edges)
        if sorter is not self.sorter:
            self.sorter, self.classes = sorter, [0] * sorter.classes

    def answered(self, failure: Failure | None, seconds: float, said: Said | None) -> None:
        """Count one trial. What ran out of time is slower than every edge, however little of it there was."""
        self.trials += 1
        if failure is not None:
            self.failures += 1
        elif said is not None:
            self.odd += said.is_odd
            place = self.sorter.place(said)
            if place is not None:
                self.classes[place] += 1
        if self.edges:
            is_late = failure is Failure.TIMEOUT
            for index, edge in enumerate(self.edges):
                if is_late or seconds > edge:
                    self.slow[index] += 1

    def rated(self, reward: float) -> None:
        """Take in a reward of 0 to 1."""
        self.rewards += Sums(1, reward, reward * reward)

    def totals(self) -> ArmTotals:
        """The counters as they are."""
        slow, classes = tuple(self.slow), tuple(self.classes)
        counted = self.trials, self.failures, self.mistakes, self.odd
        return ArmTotals(*counted, slow, classes, self.rewards, self.again, self.keyless)


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
