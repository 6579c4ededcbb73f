"""Which home of the state store an installation has, chosen in one place."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from serving.ports import Acks, Clock, FleetBoard, Leadership, StateStore
from serving.stores.sqlite import SqliteStore


@dataclass(frozen=True, slots=True)
class StorePlan:
    """What a process is told of its store: the file of the embedded one, and the files that tell that there was one before."""

    state: Path
    traces: tuple[Path, ...] = ()

    @property
    def kind(self) -> str:
        """What people call it."""
        return "sqlite"


class Store(StateStore, Acks, Leadership, FleetBoard, Protocol):
    """Everything that one store is."""

    async def close(self) -> None:
        """Finish what is in progress and let go of it."""
        ...


async def open_store(plan: StorePlan, clock: Clock) -> Store:
    """Open the store, which need not be there yet: every call of a store that cannot answer raises `StoreUnavailable`, until it can."""
    return SqliteStore(plan.state, clock, traces=plan.traces)
