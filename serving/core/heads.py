"""Heads of the audit chain, signed and published, so that an audit that was cut off or written anew shows against them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import rfc8785

from serving.core.audit import BEGINNING, AuditEntry, ChainVerdict, Mark, verify_chain


@dataclass(frozen=True, slots=True)
class SignedHead:
    """How far the audit had come at some time, by the word of whoever holds the key; keys and signatures are hexadecimal."""

    mark: Mark
    signed_at: datetime
    public_key: str
    signature: str


def head_message(mark: Mark, signed_at: datetime) -> bytes:
    """What is signed: the canonical JSON (RFC 8785) of the mark and the time."""
    stamp = signed_at.astimezone(UTC).isoformat(timespec="microseconds")
    return rfc8785.dumps({"fence": mark.fence, "epoch": mark.epoch, "head": mark.head, "signed_at": stamp})


def head_number(head: str) -> int:
    """The first 48 bits of a head: a number that every monitoring system keeps exactly, so that its history witnesses the chain."""
    return int(head[:12], 16)


class ChainCheck:
    """Verifies an audit that is read in pages, oldest first, against the heads that were published of it."""

    def __init__(self, heads: Iterable[Mark] = ()) -> None:
        self._heads = sorted(set(heads))
        self.verdict = ChainVerdict(0, BEGINNING)

    def take(self, page: Sequence[AuditEntry]) -> ChainVerdict:
        """Follow one more page; what does not hold once never holds again."""
        if not page:
            return self.verdict
        last = page[-1].epoch
        due = [head for head in self._heads if head.epoch <= last]
        self._heads = [head for head in self._heads if head.epoch > last]
        return self._join(page, due)

    def finish(self) -> ChainVerdict:
        """That was all of it: heads that are left lie beyond its end."""
        return self._join((), self._heads)

    def _join(self, page: Sequence[AuditEntry], heads: Sequence[Mark]) -> ChainVerdict:
        before = self.verdict
        if before.holds:
            found = verify_chain(page, start=before.mark, heads=heads)
            self.verdict = replace(found, entries=before.entries + found.entries, reseeds=(*before.reseeds, *found.reseeds))
        return self.verdict
