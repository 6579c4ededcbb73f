"""What gateways count of a rollout that is afoot: who plays which arm, and by what an answer is sorted. A part of the family's route."""

from dataclasses import dataclass
from datetime import timedelta

from serving.core.policy import MirrorLimits, Unit
from serving.core.rules import Bins


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What two answers to one request may differ in and still agree. `atol`: numbers, absolutely; `rank`: of a list's order."""

    atol: float = 1e-3
    is_label_exact: bool = True
    rank: float = 1.0


@dataclass(frozen=True, slots=True)
class Rewards:
    """What feedback a guard looks at: scores from `low` to `high`, at most `delay` after the answer (none: however late)."""

    low: float = 0.0
    high: float = 1.0
    delay: timedelta = timedelta()

    def scaled(self, score: float) -> float:
        """A score as a fraction of the range."""
        return (score - self.low) / (self.high - self.low)


@dataclass(frozen=True, slots=True)
class Watch:
    """What a gateway needs to know of one rollout. `candidate` and `production` are digests, whatever tags they carry by now."""

    rollout: str
    candidate: str
    production: str
    stage: int = 0
    is_shadow: bool = False
    """Whether no caller is answered by the candidate: then its trials are the copies that it is sent."""
    counts_keyless: bool = True
    """Whether an answer to a request without a routing key is a trial: only what could have been either arm's is."""
    unit: Unit = Unit()  # noqa: RUF009 - frozen
    limits: MirrorLimits = MirrorLimits()  # noqa: RUF009 - frozen
    tolerance: Tolerance = Tolerance()
    edges: tuple[float, ...] = ()
    """Seconds; none until they are pinned."""
    wants_edges: bool = False
    """Whether some guard looks at latencies, and no edges are pinned yet."""
    bins: Bins | None = None
    """What answers are sorted into, where a guard asks."""
    classes: tuple[str, ...] = ()
    """Labels, or the bounds of bins as text; none until they are pinned."""
    checks_answers: bool = False
    """Whether a guard asks for answers that are invalid, or the same whatever is asked."""
    keep_pairs: int = 0
    """Disagreeing pairs that are kept for operators, without what `redact` (JSON pointers) leads to."""
    redact: tuple[str, ...] = ()
    rewards: Rewards | None = None
    """None where no guard looks at feedback."""

    @property
    def wants_classes(self) -> bool:
        """Whether answers are to be sorted, and nothing is pinned yet that they could be sorted into."""
        return self.bins is not None and not self.classes
