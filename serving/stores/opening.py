"""Which home of the state store an installation has, chosen in one place."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from serving.ports import Acks, Clock, DecisionLog, FleetBoard, Hints, Leadership, RolloutBoard, StateStore
from serving.stores.findings import Finding
from serving.stores.hint_files import HintFile
from serving.stores.redis.plan import RedisPlan
from serving.stores.rollout_files import RolloutFiles
from serving.stores.sqlite import SqliteStore


@dataclass(frozen=True, slots=True)
class StorePlan:
    """What a process is told of its store: the file of the embedded one with those that tell that there was one before, or a Redis."""

    state: Path
    traces: tuple[Path, ...] = ()
    redis: RedisPlan | None = None
    """Where the state is, if not in the file."""

    @property
    def kind(self) -> str:
        """What people call it."""
        return "sqlite" if self.redis is None else "redis"


class Store(StateStore, Acks, Leadership, FleetBoard, Protocol):
    """Everything that one store is."""

    async def close(self) -> None:
        """Finish what is in progress and let go of it."""
        ...


async def open_store(plan: StorePlan, clock: Clock) -> Store:
    """Open the store, which need not be there yet: every call of a store that cannot answer raises `StoreUnavailable`, until it can."""
    if plan.redis is None:
        return SqliteStore(plan.state, clock, traces=plan.traces)
    from serving.stores.redis.store import RedisStore  # noqa: PLC0415 - who has no Redis need not load its client

    return RedisStore.open(plan.redis)


class Rollouts(DecisionLog, RolloutBoard, Protocol):
    """What is written of rollouts beside the store."""

    async def close(self) -> None:
        """Let go of it."""
        ...


def open_rollouts(plan: StorePlan) -> Rollouts:
    """Where rollouts are logged: beside the embedded store, or in the same Redis. Opening it connects to nothing yet."""
    if plan.redis is None:
        return RolloutFiles(plan.state.parent.parent / "rollouts")
    from serving.stores.redis.rollouts import RedisRollouts  # noqa: PLC0415 - as above

    return RedisRollouts.open(plan.redis)


class OpenHints(Hints, Protocol):
    """The hints of an installation."""

    async def close(self) -> None:
        """Let go of them."""
        ...


def open_hints(plan: StorePlan) -> OpenHints:
    """Where hints are left: beside the embedded store, or in the same Redis. Opening it connects to nothing yet."""
    if plan.redis is None:
        return HintFile(plan.state.parent / "registry.hint")
    from serving.stores.redis.hints import RedisHints  # noqa: PLC0415 - as above

    return RedisHints.open(plan.redis)


async def inspect_store(plan: StorePlan) -> Sequence[Finding]:
    """What an operator should be told of the store before relying on it. Raises `StoreUnavailable`."""
    if plan.redis is None:
        return ()
    from serving.stores.redis.checks import inspect  # noqa: PLC0415 - as above

    return await inspect(plan.redis)
