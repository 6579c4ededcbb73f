"""The audit trail: one entry for each change, chained by hashes so that whoever reads it can tell whether anything was changed since.

An entry's hash covers the hash of the entry before. So no entry can be edited, taken out or moved without breaking the chain; an end
that was cut off, or a chain that was written anew, shows against a mark that somebody else kept.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any

import rfc8785

GENESIS = "0" * 64
"""What stands for the hash of the entry before the first."""

RESEED = "reseed"
"""The action by which an operator declares what a store shall go on from; it alone raises the fence."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a store was seen to have come. Of two with the same fence and epoch, neither is older."""

    fence: int
    """The fencing epoch: raised by a re-seed alone."""
    epoch: int
    """How many changes there were; -1 when nothing was seen yet."""
    head: str
    """The hash of the newest audit entry, or `GENESIS`."""

    def __lt__(self, other: "Mark") -> bool:
        """Whether this one is older."""
        return (self.fence, self.epoch) < (other.fence, other.epoch)

    def __str__(self) -> str:
        """For sentences: `epoch 12 (fence 1, head 0f4c0f4c)`."""
        return f"epoch {self.epoch} (fence {self.fence}, head {self.head[:8]})"


BEGINNING = Mark(1, 0, GENESIS)
"""Where every store begins."""

NOTHING_SEEN = Mark(1, -1, GENESIS)
"""The mark of whoever has not read a store yet; every store continues it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One change, by whom and why. `before` and `after` are the parts of the record that differ, for people."""

    epoch: int
    family: str
    """Empty in a re-seed, which concerns all of them."""
    revision: int
    at: datetime
    actor: str
    action: str
    reason: str
    before: Mapping[str, object]
    after: Mapping[str, object]
    operation_id: str
    signal: str = ""
    """What set it off, when not a person: the guard or tripwire."""
    fence: int = 1
    record: bytes = field(default=b"", repr=False)
    """The family's whole document after the change, of all families after a re-seed; empty in entries from before records were kept."""
    previous: str = GENESIS
    """The hash of the entry before."""
    hash: str = ""

    @property
    def mark(self) -> Mark:
        """How far a store has come whose newest entry this is."""
        return Mark(self.fence, self.epoch, self.hash)


def entry_hash(entry: AuditEntry) -> str:
    """SHA-256 over the canonical JSON (RFC 8785) of everything but the hash itself; the record goes in by its own SHA-256."""
    document: dict[str, Any] = {
        "action": entry.action,
        "actor": entry.actor,
        "after": entry.after,
        "at": entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "before": entry.before,
        "epoch": entry.epoch,
        "family": entry.family,
        "fence": entry.fence,
        "operation_id": entry.operation_id,
        "previous": entry.previous,
        "reason": entry.reason,
        "record": sha256(entry.record).hexdigest(),
        "revision": entry.revision,
        "signal": entry.signal,
    }
    return sha256(rfc8785.dumps(document)).hexdigest()


def reseed_marks(store: Mark, seen: Mark) -> Mapping[str, object]:
    """What a re-seed notes as its `before`: where the store stood, and how far it was seen to have come; both stay provable."""
    return {"store": _plain(store), "seen": _plain(seen)}


class Flaw(StrEnum):
    """What is wrong with a chain."""

    EDITED = "edited"
    MISSING = "missing"
    REORDERED = "reordered"
    TRUNCATED = "truncated"


@dataclass(frozen=True, slots=True)
class ChainVerdict:
    """How far a chain holds. `epoch` is the first one that does not, and `sentence` says what is wrong with it."""

    entries: int
    mark: Mark
    """The newest that can be believed."""
    reseeds: tuple[int, ...] = ()
    """The epochs at which an operator declared what the store goes on from: what was lost before them is explained, not hidden."""
    flaw: Flaw | None = None
    epoch: int | None = None
    sentence: str = ""

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return self.flaw is None


class _Broken(Exception):
    def __init__(self, flaw: Flaw, epoch: int, sentence: str) -> None:
        self.flaw, self.epoch, self.sentence = flaw, epoch, sentence


def verify_chain(entries: Sequence[AuditEntry], *, start: Mark = BEGINNING, heads: Iterable[Mark] = ()) -> ChainVerdict:
    """Follow the entries, oldest first, from `start` on; `heads` are marks that somebody else kept of this very chain.

    Without heads, a chain whose end was cut off, or that was written anew from some entry on, cannot be told from an honest one.
    """
    walk = _Walk(entries, start)
    try:
        for entry in entries:
            walk.step(entry)
        for head in sorted(heads):
            walk.refuse_other_head(head)
    except _Broken as broken:
        return ChainVerdict(walk.steps, walk.mark, tuple(walk.reseeds), broken.flaw, broken.epoch, broken.sentence)
    return ChainVerdict(walk.steps, walk.mark, tuple(walk.reseeds))


class _Walk:
    """The way along a chain, as far as it holds."""

    def __init__(self, entries: Sequence[AuditEntry], start: Mark) -> None:
        self._entries = entries
        self._start = start
        self.mark = start
        self.steps = 0
        self.reseeds: dict[int, int] = {}
        """Epoch of each re-seed, with the epoch at which the store stood before it."""
        self._hashes = {start.epoch: start}

    def step(self, entry: AuditEntry) -> None:
        if entry.hash != entry_hash(entry):
            raise _Broken(Flaw.EDITED, entry.epoch, f"the entry of epoch {entry.epoch} was edited: its content does not give its hash")
        if entry.action == RESEED and entry.fence != self.mark.fence:
            self._follow_reseed(entry)
        else:
            self._follow(entry)
        self.mark = self._hashes[entry.epoch] = entry.mark
        self.steps += 1

    def _follow(self, entry: AuditEntry) -> None:
        wanted = self.mark.epoch + 1
        if entry.epoch != wanted:
            raise self._gap(entry, wanted)
        if (entry.previous, entry.fence) != (self.mark.head, self.mark.fence):
            sentence = f"the entry of epoch {entry.epoch} does not follow from the one before: one of them was replaced"
            raise _Broken(Flaw.EDITED, entry.epoch, sentence)

    def _follow_reseed(self, entry: AuditEntry) -> None:
        if entry.before.get("store") != _plain(self.mark):
            raise self._gap(entry, self.mark.epoch + 1)
        seen = _mark(entry.before.get("seen"))
        follows = seen is not None and seen.head == entry.previous and max(seen, self.mark) < entry.mark and seen.epoch < entry.epoch
        if not follows or entry.epoch <= self.mark.epoch:
            raise _Broken(Flaw.EDITED, entry.epoch, f"the re-seed of epoch {entry.epoch} does not follow from what it says it replaced")
        self.reseeds[entry.epoch] = self.mark.epoch

    def _gap(self, entry: AuditEntry, wanted: int) -> _Broken:
        if entry.epoch <= self.mark.epoch or any(other.epoch == wanted for other in self._entries):
            sentence = f"the entry of epoch {entry.epoch} stands where epoch {wanted} belongs"
            return _Broken(Flaw.REORDERED, min(wanted, entry.epoch), sentence)
        return _Broken(
            Flaw.MISSING, wanted, f"after epoch {self.mark.epoch} comes epoch {entry.epoch}: the entry of epoch {wanted} is missing"
        )

    def refuse_other_head(self, head: Mark) -> None:
        """Raise unless the chain leads through the head, or a re-seed says that the store no longer had it."""
        if head.epoch <= self._start.epoch or self._is_replaced(head):
            return
        held = self._hashes.get(head.epoch)
        if held is None:
            sentence = f"the chain ends at {self.mark}, but a head of {head} was published: the end was cut off"
            raise _Broken(Flaw.TRUNCATED, self.mark.epoch + 1, sentence)
        if held != head:
            sentence = f"the chain leads through {held}, but {head} was published: it was written anew"
            raise _Broken(Flaw.EDITED, head.epoch, sentence)

    def _is_replaced(self, head: Mark) -> bool:
        return any(stood < head.epoch < epoch for epoch, stood in self.reseeds.items())


def _plain(mark: Mark) -> dict[str, object]:
    return {"fence": mark.fence, "epoch": mark.epoch, "head": mark.head}


def _mark(document: object) -> Mark | None:
    match document:
        case {"fence": int(fence), "epoch": int(epoch), "head": str(head)}:
            return Mark(fence, epoch, head)
        case _:
            return None
