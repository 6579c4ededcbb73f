"""The decision logs and the board of rollouts in Redis: a list for each rollout, and beside it the token that wrote to it last."""

from collections.abc import Mapping, Sequence
from typing import Self

from serving.core.errors import NotLeader
from serving.ports import Checkpoint, Progress, Tail
from serving.stores.checkpoint_encoding import checkpoint_from_document, checkpoint_to_document
from serving.stores.progress import progress_from_document, progress_to_document, seen_in
from serving.stores.redis import scripts
from serving.stores.redis.connection import Wire
from serving.stores.redis.keys import Keys
from serving.stores.redis.plan import RedisPlan

PAGE = 1000
"""Lines in one answer: about three megabytes."""


class RedisRollouts:
    """The `DecisionLog` and `RolloutBoard` of several nodes."""

    def __init__(self, wire: Wire, keys: Keys) -> None:
        self._wire = wire
        self._keys = keys

    @classmethod
    def open(cls, plan: RedisPlan) -> Self:
        """Logs that connect when they are first asked."""
        return cls(Wire(plan), Keys(plan.prefix))

    async def close(self) -> None:
        """Hang up."""
        await self._wire.close()

    async def append(self, rollout: str, token: int, line: bytes) -> None:
        """Add a line. Raises `NotLeader`."""
        keys = [self._keys.log_of(rollout), self._keys.logs]
        if not await self._wire.script(scripts.LOG, keys, rollout, token, line):
            raise NotLeader(token)

    async def read(self, rollout: str) -> Sequence[bytes]:
        """Its lines."""
        return await self._behind(rollout, 0)

    async def keep(self, rollout: str, token: int, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint. Raises `NotLeader`."""
        keys = [self._keys.checkpoints, self._keys.logs]
        if not await self._wire.script(scripts.KEEP, keys, rollout, token, checkpoint_to_document(checkpoint)):
            raise NotLeader(token)

    async def tail(self, rollout: str) -> Tail:
        """The checkpoint, and its last line and those behind it."""
        found = await self._wire.call("HGET", self._keys.checkpoints, rollout)
        document = None if found is None else checkpoint_from_document(found)
        if document is None:
            return Tail(None, await self.read(rollout))
        return Tail(document.checkpoint(), await self._behind(rollout, document.lines - 1))

    async def _behind(self, rollout: str, start: int) -> Sequence[bytes]:
        """The lines from a place on. In pages: all of a long log would not come within the time that one answer has."""
        lines: list[bytes] = []
        while True:
            place = start + len(lines)
            page = await self._wire.call("LRANGE", self._keys.log_of(rollout), place, place + PAGE - 1)
            lines += page
            if len(page) < PAGE:
                return tuple(lines)

    async def rollouts(self) -> Sequence[str]:
        """Those that have a log."""
        found = await self._wire.call("HGETALL", self._keys.logs)
        return sorted(name.decode("utf-8", "replace") for name in found)

    async def ends(self, rollout: str) -> Sequence[bytes]:
        """Its first line and its last."""
        key = self._keys.log_of(rollout)
        first, last = await self._wire.call("LRANGE", key, 0, 0), await self._wire.call("LRANGE", key, -1, -1)
        return (*first, *last)

    async def unfinished(self) -> Sequence[str]:
        """Those that a checkpoint is kept of."""
        found = await self._wire.script(scripts.UNFINISHED, [self._keys.logs, self._keys.checkpoints])
        return sorted(name.decode("utf-8", "replace") for name in found)

    async def finish(self, rollout: str, token: int, seen: Progress) -> None:
        """Keep what was seen last, then no checkpoint. Raises `NotLeader`."""
        keys = [self._keys.checkpoints, self._keys.logs, self._keys.seen]
        if not await self._wire.script(scripts.FINISH, keys, rollout, token, progress_to_document({rollout: seen})):
            raise NotLeader(token)

    async def finished(self, rollout: str) -> Progress | None:
        """What was seen of it last."""
        document = await self._wire.call("HGET", self._keys.seen, rollout)
        return None if document is None else seen_in(document, rollout)

    async def post_progress(self, progress: Mapping[str, Progress]) -> None:
        """Put it in place of what was there."""
        await self._wire.call("HSET", self._keys.board, "rollouts", progress_to_document(progress))

    async def progress(self) -> Mapping[str, Progress]:
        """What was put up last."""
        document = await self._wire.call("HGET", self._keys.board, "rollouts")
        return {} if document is None else progress_from_document(document)
