"""Answers which versions must not be swept away anywhere, from the store, its audit and what runs."""

from collections.abc import Mapping
from datetime import datetime

from serving.core.errors import InvalidRecord
from serving.core.keeping import Need, needed, past_of
from serving.ports import FleetBoard, StateStore

HISTORY = 1000
"""Changes of a family that are looked at; where there were more in the time that is asked about, everything is kept."""


class Keeping:
    """Asks for every family at once: whoever sweeps must know of all of them."""

    def __init__(self, store: StateStore, board: FleetBoard) -> None:
        self._store = store
        self._board = board

    async def needed(self, since: datetime) -> Mapping[str, tuple[Need, ...]]:
        """What is kept of each family; `since`: from when on a production that was left stays a way back.

        Raises `StoreUnavailable`, and `InvalidRecord` where the record of a family cannot be believed: nobody knows what it needs.
        """
        snapshot = await self._store.snapshot()
        for family, why in snapshot.invalid.items():
            raise InvalidRecord(family, why)
        loaded = [status.target for status in await self._board.read()]
        found: dict[str, tuple[Need, ...]] = {}
        for family, record in sorted(snapshot.families.items()):
            past = past_of(await self._store.history(family, limit=HISTORY), since, limit=HISTORY)
            found[family] = needed(record, past, [target.version for target in loaded if target.family == family])
        return found
