"""The route register's laws: does what its clients saw, and what it holds in the end, fit one order of events that keeps real time?

A route register gives every change the next revision of its family and the next epoch of all, and remembers which operation it was. So
the order of events is written down by the register itself, and checking it needs no search: one pass over the chain, one over the reads.
A client that never learned what became of a change (`UNKNOWN`) is believed either way.

What is refuted here: lost updates, changes applied twice, acknowledged changes that are gone, stale or torn reads, revisions or epochs
used twice, gaps in the audit, refusals that lie.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate
from math import inf

import msgspec


class Outcome(StrEnum):
    """What a client learned of its change."""

    COMMITTED = "committed"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Flip(msgspec.Struct, frozen=True, gc=False, tag=True):
    """One operation, however often it was sent: from its first invocation to the answer that settled it (monotonic seconds)."""

    operation: str
    family: str
    expected: int
    """The revision it was decided on."""
    value: str
    began: float
    ended: float = inf
    outcome: Outcome = Outcome.UNKNOWN
    epoch: int = 0
    revision: int = 0
    """What it was committed as or, when it was refused, what it was told that the family is at."""


Content = Mapping[str, tuple[int, str]]
"""Revision and value of every family."""


class Read(msgspec.Struct, frozen=True, gc=False, tag=True):
    """One look at everything."""

    began: float
    ended: float
    epoch: int
    content: Content
    fence: int = 1
    head: str = ""
    """The hash of the newest audit entry, as the read told it."""


class Lookup(msgspec.Struct, frozen=True, gc=False, tag=True):
    """One question what became of an operation; `epoch` is None when the register knew nothing of it."""

    operation: str
    began: float
    ended: float
    epoch: int | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the register's audit, read when everything was over."""

    epoch: int
    family: str
    revision: int
    operation: str
    value: str


@dataclass(frozen=True, slots=True)
class History:
    """Everything that clients did and saw."""

    flips: Sequence[Flip] = ()
    reads: Sequence[Read] = ()
    lookups: Sequence[Lookup] = ()


class Law(StrEnum):
    """What a violation breaks."""

    EPOCHS_HAVE_NO_GAP = "epochs have no gap"
    REVISIONS_RISE_BY_ONE = "revisions rise by one"
    AN_OPERATION_HAPPENS_ONCE = "an operation happens once"
    NOTHING_HAPPENS_UNASKED = "nothing happens unasked"
    WHAT_WAS_ACKNOWLEDGED_STANDS = "what was acknowledged stands"
    WHAT_WAS_REFUSED_LEAVES_NOTHING = "what was refused leaves nothing"
    A_REFUSAL_TELLS_THE_TRUTH = "a refusal tells the truth"
    COMPARE_AND_SET_COMPARES = "compare-and-set compares"
    ORDER_KEEPS_REAL_TIME = "order keeps real time"
    A_READ_IS_OF_ONE_EPOCH = "a read is of one epoch"
    A_READ_IS_NOT_STALE = "a read is not stale"
    A_READ_IS_NOT_FROM_THE_FUTURE = "a read is not from the future"


@dataclass(frozen=True, slots=True)
class Violation:
    """One contradiction."""

    law: Law
    what: str

    def __str__(self) -> str:
        return f"{self.law}: {self.what}"


def check(history: History, chain: Sequence[Entry]) -> list[Violation]:
    """Every contradiction between what clients saw and the register's own chain, oldest entry first."""
    asked = {flip.operation: flip for flip in history.flips}
    order = _Order.of(chain, asked)
    return [
        *_broken_chain(chain),
        *_unasked(chain, asked),
        *_broken_answers(history.flips, order),
        *_broken_order(order),
        *_broken_reads(history.reads, order),
        *_broken_lookups(history.lookups, order),
    ]


@dataclass(frozen=True, slots=True)
class _Order:
    """The chain with the time that each entry can have happened in, and what is looked up in it."""

    chain: Sequence[Entry]
    spans: Sequence[tuple[float, float]]
    of_operation: Mapping[str, int]
    of_revision: Mapping[tuple[str, int], int]
    acknowledged: tuple[Sequence[float], Sequence[int]] = field(default=((), ()))
    """The times at which entries were acknowledged, rising, with the newest epoch acknowledged by then."""

    @classmethod
    def of(cls, chain: Sequence[Entry], asked: Mapping[str, Flip]) -> "_Order":
        spans = [_span(asked.get(entry.operation)) for entry in chain]
        ended = sorted((ended, entry.epoch) for (_, ended), entry in zip(spans, chain, strict=True) if ended < inf)
        newest = list(accumulate((epoch for _, epoch in ended), max))
        return cls(
            chain,
            spans,
            {entry.operation: index for index, entry in enumerate(chain)},
            {(entry.family, entry.revision): index for index, entry in enumerate(chain)},
            ([at for at, _ in ended], newest),
        )

    def newest_acknowledged_before(self, at: float) -> int:
        """The newest epoch that some client knew to be committed before a moment; 0 when there is none."""
        times, newest = self.acknowledged
        index = bisect_left(times, at)
        return newest[index - 1] if index else 0


def _span(flip: Flip | None) -> tuple[float, float]:
    if flip is None:
        return -inf, inf
    return flip.began, flip.ended if flip.outcome is Outcome.COMMITTED else inf


def _broken_chain(chain: Sequence[Entry]) -> Iterator[Violation]:
    revisions: dict[str, int] = {}
    operations = dict[str, int]()
    for epoch, entry in enumerate(chain, start=1):
        if entry.epoch != epoch and (epoch == 1 or chain[epoch - 2].epoch + 1 != entry.epoch):
            yield Violation(Law.EPOCHS_HAVE_NO_GAP, f"place {epoch} of the audit has epoch {entry.epoch}")
        due = revisions.get(entry.family, 0) + 1
        if entry.revision != due:
            yield Violation(Law.REVISIONS_RISE_BY_ONE, f"epoch {entry.epoch}: {entry.family} is at {entry.revision}, due was {due}")
        revisions[entry.family] = entry.revision
        if entry.operation in operations:
            both = f"epochs {operations[entry.operation]} and {entry.epoch}"
            yield Violation(Law.AN_OPERATION_HAPPENS_ONCE, f"{entry.operation} stands at {both}")
        operations[entry.operation] = entry.epoch


def _unasked(chain: Sequence[Entry], asked: Mapping[str, Flip]) -> Iterator[Violation]:
    for entry in chain:
        flip = asked.get(entry.operation)
        if flip is None:
            yield Violation(Law.NOTHING_HAPPENS_UNASKED, f"epoch {entry.epoch}: nobody asked for {entry.operation}")
        elif (entry.family, entry.value) != (flip.family, flip.value):
            yield Violation(Law.NOTHING_HAPPENS_UNASKED, f"epoch {entry.epoch}: {entry.operation} asked for {flip.family}={flip.value}")


def _broken_answers(flips: Iterable[Flip], order: _Order) -> Iterator[Violation]:
    for flip in flips:
        index = order.of_operation.get(flip.operation)
        entry = None if index is None else order.chain[index]
        if entry is not None and entry.revision != flip.expected + 1:
            decided = f"decided on revision {flip.expected}, written as {entry.revision}"
            yield Violation(Law.COMPARE_AND_SET_COMPARES, f"{flip.operation}: {decided}")
        match flip.outcome:
            case Outcome.COMMITTED:
                if entry is None or (entry.epoch, entry.revision) != (flip.epoch, flip.revision):
                    said = f"{flip.operation} was acknowledged as epoch {flip.epoch}, revision {flip.revision}"
                    yield Violation(Law.WHAT_WAS_ACKNOWLEDGED_STANDS, f"{said}; the audit has {entry}")
            case Outcome.REFUSED:
                if entry is not None:
                    yield Violation(Law.WHAT_WAS_REFUSED_LEAVES_NOTHING, f"{flip.operation} was refused; the audit has {entry}")
                yield from _lying_refusal(flip, order)
            case Outcome.UNKNOWN:
                pass


def _lying_refusal(flip: Flip, order: _Order) -> Iterator[Violation]:
    told = f"{flip.operation}, decided on revision {flip.expected}, was refused for {flip.revision}"
    if flip.revision == flip.expected:
        yield Violation(Law.A_REFUSAL_TELLS_THE_TRUTH, told)
        return
    came = order.of_revision.get((flip.family, flip.revision))
    if flip.revision and (came is None or order.spans[came][0] > flip.ended):
        yield Violation(Law.A_REFUSAL_TELLS_THE_TRUTH, f"{told}, which {flip.family} was not at yet")
    went = order.of_revision.get((flip.family, flip.revision + 1))
    if went is not None and order.spans[went][1] < flip.began:
        yield Violation(Law.A_REFUSAL_TELLS_THE_TRUTH, f"{told}, which {flip.family} was not at any more")


def _broken_order(order: _Order) -> Iterator[Violation]:
    latest, by = -inf, None
    for entry, (began, ended) in zip(order.chain, order.spans, strict=True):
        if by is not None and ended < latest:
            yield Violation(Law.ORDER_KEEPS_REAL_TIME, f"{entry.operation} was over before {by.operation} began, and is ordered after it")
        if began > latest:
            latest, by = began, entry


def _broken_reads(reads: Sequence[Read], order: _Order) -> Iterator[Violation]:
    ordered = sorted(reads, key=lambda read: read.ended)
    ends, newest = [read.ended for read in ordered], list(accumulate((read.epoch for read in ordered), max))
    for read in reads:
        known = bisect_left(ends, read.began)
        due = max(order.newest_acknowledged_before(read.began), newest[known - 1] if known else 0)
        if read.epoch < due:
            yield Violation(Law.A_READ_IS_NOT_STALE, f"a read gave epoch {read.epoch} when {due} was known to somebody")
    yield from _wrong_reads(sorted(reads, key=lambda read: read.epoch), order)


def _wrong_reads(reads: Sequence[Read], order: _Order) -> Iterator[Violation]:
    content: dict[str, tuple[int, str]] = {}
    begun, place = -inf, 0
    epochs = [entry.epoch for entry in order.chain]
    for read in reads:
        for index in range(place, bisect_right(epochs, read.epoch)):
            entry = order.chain[index]
            content[entry.family] = (entry.revision, entry.value)
            begun, place = max(begun, order.spans[index][0]), index + 1
        if content != read.content:
            yield Violation(Law.A_READ_IS_OF_ONE_EPOCH, f"a read of epoch {read.epoch} gave {read.content}, the audit has {content}")
        if read.ended < begun or (read.epoch and read.epoch not in epochs[place - 1 : place]):
            yield Violation(Law.A_READ_IS_NOT_FROM_THE_FUTURE, f"a read gave epoch {read.epoch} before anybody asked for it")


def _broken_lookups(lookups: Iterable[Lookup], order: _Order) -> Iterator[Violation]:
    for lookup in lookups:
        index = order.of_operation.get(lookup.operation)
        found = None if index is None else order.chain[index].epoch
        if lookup.epoch is None and index is not None and order.spans[index][1] < lookup.began:
            yield Violation(Law.A_READ_IS_NOT_STALE, f"{lookup.operation} was acknowledged, and then not known")
        if lookup.epoch is not None and lookup.epoch != found:
            yield Violation(Law.WHAT_WAS_ACKNOWLEDGED_STANDS, f"{lookup.operation} was shown at epoch {lookup.epoch}; the audit: {found}")
