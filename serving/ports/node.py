"""What stays on the node when the store is gone: the kept routes, and the overrides of whoever breaks the glass.

Both are files, so every call may block for a moment: keep them off event loops, but for `Overrides.stamp`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from serving.core.audit import Mark
from serving.core.overrides import Clearing, Override, Settlement
from serving.ports.state import Snapshot


@dataclass(frozen=True, slots=True)
class Kept:
    """A snapshot as a node keeps it, with the addresses at which the replicas of each version (by digest) were last reached."""

    snapshot: Snapshot
    endpoints: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])


class Snapshots(Protocol):
    """The node's one kept snapshot."""

    def mark(self) -> Mark | None:
        """How far it goes; None when there is none that can be believed."""
        ...

    def load(self) -> Kept | None:
        """All of it. One that cannot be believed is set aside and told of once, and is as good as none."""
        ...

    def keep(self, kept: Kept) -> bool:
        """Put it in place of an older one; False when what is there is as new or newer. Raises `OSError`."""
        ...


@dataclass(frozen=True, slots=True)
class Placed:
    """The overrides that lie on the node: those that stand, what takes them back (by operation id), and the files not believed, and why."""

    standing: tuple[Override, ...] = ()
    clearings: Mapping[str, Clearing] = field(default_factory=dict[str, Clearing])
    refused: Mapping[str, str] = field(default_factory=dict[str, str])


class Overrides(Protocol):
    """The overrides of this node."""

    def stamp(self) -> int:
        """Another number whenever `read` may give something else; cheap enough to ask ten times a second."""
        ...

    def read(self) -> Placed:
        """What lies there. Raises `OSError`."""
        ...

    def settlement(self, operation_id: str) -> Settlement | None:
        """How an override ended that does not lie there any more."""
        ...

    def confirm(self, gateway: str, operation_ids: Collection[str]) -> None:
        """Say what a gateway carries out, for whoever waits for it. Raises `OSError`."""
        ...

    def settle(self, operation_id: str, settlement: Settlement) -> None:
        """Note how an override ended, and put it away; may be repeated. Raises `OSError` or a `PointsmanError`."""
        ...


class Claims(Protocol):
    """What the gateways of a node have counted already, so that none of them counts it again. Held in memory; never blocks."""

    opened: float
    """When it was made, in monotonic seconds, which are the node's."""

    def claim(self, number: int, window: int) -> bool:
        """Whether nobody claimed this number (64 bits) in this window before; False also when that cannot be told."""
        ...

    def close(self) -> None:
        """Let go of it; it stays for the others."""
        ...


class ClaimRoom(Protocol):
    """Where they are, each by its name."""

    def open(self, name: str, now: float) -> Claims:
        """Those of a name, made at the first use, at `now` in monotonic seconds. One that cannot be made counts nothing."""
        ...

    def keep(self, names: Collection[str]) -> None:
        """Remove all others."""
        ...


class PairShelf(Protocol):
    """Where the gateways of a node leave pairs that disagreed, as JSON lists, for its admin API. Both methods raise `OSError`."""

    def put(self, rollout: str, gateway: str, pairs: bytes) -> None:
        """Put a gateway's in place of its earlier ones."""
        ...

    def read(self, rollout: str) -> Sequence[bytes]:
        """What every gateway has put there of a rollout."""
        ...


class NodeRecorder(Protocol):
    """Where a gateway leaves what the dashboards show of its store and its overrides."""

    def store_stands(self, *, reachable: bool, went_back: bool) -> None: ...
    def overridden(self, families: Collection[str]) -> None: ...
