"""Puts away what a rollout needs only while it goes on: once it is over, what was seen of it last stays in place of its checkpoint."""

import asyncio
from collections.abc import Callable, Collection, Sequence

import structlog

from serving.core.decisions import UnreadableLine, last_look
from serving.core.lifecycle import FamilyRecord
from serving.core.underway import Underway
from serving.ports import DecisionLog, Progress

log = structlog.get_logger()


class Archive:
    """One term's. `term` gives the fencing token, or raises `NotLeader`."""

    def __init__(self, decisions: DecisionLog, term: Callable[[], int]) -> None:
        self._log = decisions
        self._term = term
        self._known: frozenset[str] | None = None

    async def step(self, records: Collection[FamilyRecord]) -> None:
        """Put away what is over, when that is another than before. Raises `NotLeader` or `StoreUnavailable`."""
        going_on = frozenset(record.rollout.id for record in records if record.rollout is not None and not _is_over(record.rollout))
        if going_on == self._known:
            return
        for rollout in await self._log.unfinished():
            if rollout not in going_on:
                await self._finish(rollout)
        self._known = going_on

    async def _finish(self, rollout: str) -> None:
        seen = await asyncio.to_thread(seen_last, rollout, await self._log.read(rollout))
        if seen is not None:
            await self._log.finish(rollout, self._term(), seen)
            log.info("rollout_put_away", rollout=rollout)


def _is_over(underway: Underway) -> bool:
    """Whether nothing can follow any more: what is live can still be taken back, and would have to be decided again from its first line."""
    return underway.is_over and not underway.asked


def seen_last(rollout: str, lines: Sequence[bytes]) -> Progress | None:
    """What was seen last, by the log; None where that cannot be read, or nobody has looked."""
    try:
        found = last_look(lines)
    except UnreadableLine:
        return None
    return None if found is None else Progress(rollout, found.at, found.assessment, looks=found.looks)
