"""Publishes how far the audit has come, signed, so that a store that is cut off or written anew shows; and shows the audit whole."""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from serving.core.audit import AuditEntry
from serving.core.errors import HeadLogBroken, StoreUnavailable
from serving.core.heads import SignedHead, head_message
from serving.ports import Clock, HeadLog, HeadRecorder, HeadSigner, Mark, Snapshot, StateStore

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Publishing:
    """With what heads are published."""

    signer: HeadSigner
    log: HeadLog
    recorder: HeadRecorder


class Auditing:
    """Signs only what continues what it has signed before: a store that went back is not vouched for."""

    def __init__(self, store: StateStore, publishing: Publishing, clock: Clock, *, every: float = 1.0) -> None:
        """Of a store; heads are published at most once in `every` seconds."""
        self._store = store
        self._signer = publishing.signer
        self._log = publishing.log
        self._recorder = publishing.recorder
        self._clock = clock
        self._every = every
        self._seen = Snapshot()
        self._published: Mark | None = None
        self._trouble = ""

    async def run(self) -> None:
        """Publish until cancelled; trouble is logged when it begins and when it ends."""
        while True:
            try:
                await self.step()
            except (StoreUnavailable, HeadLogBroken) as error:
                if not self._trouble:
                    log.warning("audit_head_not_published", why=str(error))
                self._trouble = str(error)
            else:
                if self._trouble:
                    log.info("audit_head_published_again", epoch=self._seen.epoch)
                self._trouble = ""
            await self._store.changed(self._seen, self._every)

    async def step(self) -> None:
        """Publish the head if it is another than was published last. Raises `StoreUnavailable` or `HeadLogBroken`."""
        if self._published is None:
            await self._resume()
        await self._look()
        mark = self._seen.mark
        if mark != self._published and mark.epoch > 0:
            await self._log.append(self._signed(mark))
            self._published = mark
        self._recorder.audited(mark)

    async def head(self) -> SignedHead:
        """The newest head, signed now. Raises `StoreUnavailable`, `StoreWentBack` among them."""
        await self._look()
        return self._signed(self._seen.mark)

    async def heads(self, *, after: int, limit: int) -> Sequence[SignedHead]:
        """Published heads beyond an epoch, oldest first. Raises `HeadLogBroken`."""
        return [head for head in await self._log.read() if head.mark.epoch > after][:limit]

    async def entries(self, *, after: int, limit: int) -> Sequence[AuditEntry]:
        """Audit entries beyond an epoch, oldest first. Raises `StoreUnavailable`."""
        return await self._store.entries(after=after, limit=limit)

    async def _resume(self) -> None:
        """Go on from the newest head that was published before this process began: the store must continue it."""
        heads = await self._log.read()
        foreign = [head for head in heads if not self._signer.has_signed(head)]
        if foreign:
            log.warning("audit_heads_of_another_key", heads=len(foreign), first_epoch=foreign[0].mark.epoch)
        own = (head.mark for head in heads if self._signer.has_signed(head))
        newest = max(own, key=lambda mark: (mark.fence, mark.epoch), default=None)
        if newest is not None and self._seen.mark < newest:
            self._seen = Snapshot(fence=newest.fence, epoch=newest.epoch, head=newest.head)
        self._published = newest or Mark(0, -1, "")

    async def _look(self) -> None:
        self._seen = await self._store.poll(self._seen) or self._seen

    def _signed(self, mark: Mark) -> SignedHead:
        now = self._clock.now()
        return SignedHead(mark, now, self._signer.public_key, self._signer.sign(head_message(mark, now)))
