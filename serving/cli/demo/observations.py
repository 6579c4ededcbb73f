"""What the demo's clients saw, and what follows from it: shares, loyalty, accuracy, first and last answers. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

OK = 200
LOST = 0
"""The status of a request whose connection broke, or that was not answered in time."""

FALLBACK = "fallback"


@dataclass(frozen=True, slots=True)
class Answer:
    """One request and its answer, in monotonic seconds. `right` is None where there is no label to judge."""

    family: str
    user: str
    sent: float
    received: float
    status: int
    version: str = ""
    reason: str = ""
    epoch: int = 0
    right: bool | None = None

    @property
    def is_good(self) -> bool:
        """Whether it is an answer to the question, from a version that says which it is."""
        return self.status == OK and self.version != "" and self.reason != "" and self.epoch > 0 and self.right is not None


@dataclass(frozen=True, slots=True)
class Rate:
    """So many of so many."""

    part: int
    whole: int

    @property
    def percent(self) -> float:
        """100 times the part of the whole; 0 of nothing."""
        return 100 * self.part / self.whole if self.whole else 0.0

    def __str__(self) -> str:
        """For people: `97.5 % (195 of 200)`."""
        return f"{self.percent:.1f} % ({self.part:,} of {self.whole:,})"


def share_of(answers: Sequence[Answer], version: str) -> Rate:
    """How many of the answers a version gave."""
    return Rate(sum(answer.version == version for answer in answers), len(answers))


def accuracy_of(answers: Iterable[Answer], version: str) -> Rate:
    """How many of a version's answers were right."""
    own = [answer for answer in answers if answer.version == version]
    return Rate(sum(answer.right is True for answer in own), len(own))


def users_of(answers: Iterable[Answer], version: str) -> frozenset[str]:
    """The users that a version answered."""
    return frozenset(answer.user for answer in answers if answer.version == version)


def wavering(answers: Iterable[Answer]) -> frozenset[str]:
    """The users that were answered by more than one version."""
    first: dict[str, str] = {}
    return frozenset(answer.user for answer in answers if first.setdefault(answer.user, answer.version) != answer.version)


def lost(before: Iterable[Answer], after: Sequence[Answer], version: str) -> frozenset[str]:
    """The users that a version had before, and that another one answered afterwards."""
    others = frozenset(answer.user for answer in after if answer.version != version)
    return users_of(before, version) & others


def fallbacks(answers: Iterable[Answer]) -> tuple[Answer, ...]:
    """The answers of production to requests that a canary had failed, in the order they came."""
    return tuple(sorted((answer for answer in answers if answer.reason == FALLBACK), key=lambda answer: answer.received))


def last_answer(answers: Iterable[Answer], version: str, since: float) -> float:
    """When the last answer of a version came, in seconds after `since`; 0 where none came later."""
    return max((answer.received - since for answer in answers if answer.version == version and answer.received > since), default=0.0)


def end_of_routes(answers: Sequence[Answer], epoch: int, since: float) -> float:
    """When the last answer came that was routed as before `epoch`, in seconds after `since`.

    Where none came later than `since`, when the first one came that was routed as from `epoch` on: it was over by then.
    """
    later = [answer for answer in answers if answer.received > since and answer.epoch]
    old = [answer.received - since for answer in later if answer.epoch < epoch]
    new = [answer.received - since for answer in later if answer.epoch >= epoch]
    return max(old) if old else min(new, default=0.0)


def asked_later(answers: Iterable[Answer], version: str, since: float) -> int:
    """How many requests a version answered that were sent after a moment."""
    return sum(answer.version == version and answer.sent > since for answer in answers)
