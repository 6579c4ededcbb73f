"""Hints in Redis: a number that goes up, so that one left on any node is heard wherever the leader is."""

from typing import Self

from serving.stores.redis.connection import Wire
from serving.stores.redis.keys import Keys
from serving.stores.redis.plan import RedisPlan

_FIELD = "hints"


class RedisHints:
    """The `Hints` of several nodes."""

    def __init__(self, wire: Wire, keys: Keys) -> None:
        self._wire = wire
        self._keys = keys

    @classmethod
    def open(cls, plan: RedisPlan) -> Self:
        """Hints that connect when they are first asked."""
        return cls(Wire(plan), Keys(plan.prefix))

    async def close(self) -> None:
        """Hang up."""
        await self._wire.close()

    async def leave(self) -> None:
        """Count one more. Raises `StoreUnavailable`."""
        await self._wire.call("HINCRBY", self._keys.board, _FIELD, 1)

    async def stamp(self) -> str:
        """How many there were. Raises `StoreUnavailable`."""
        found = await self._wire.call("HGET", self._keys.board, _FIELD)
        return "" if found is None else found.decode("ascii", "replace")
