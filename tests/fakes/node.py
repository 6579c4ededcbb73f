"""A node's own files for a gateway in a test, and a recorder that remembers what became of its store."""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from serving.gateway.keeping import SnapshotKeeping
from serving.gateway.overriding import OverridesInForce
from serving.gateway.routes import Footing
from serving.gateway.standing import StoreStanding
from serving.ports import Kept, Mark, Snapshot
from serving.stores.credential import Credential, issue_credential, read_credential
from serving.stores.override_files import OverrideFiles
from serving.stores.snapshot_file import SnapshotFile


@dataclass
class MemoryNodeRecorder:
    """Remembers what was shown: (reachable, went back), and the families under an override."""

    stands: list[tuple[bool, bool]] = field(default_factory=list[tuple[bool, bool]])
    families: list[frozenset[str]] = field(default_factory=list[frozenset[str]])

    def store_stands(self, *, reachable: bool, went_back: bool) -> None:
        self.stands.append((reachable, went_back))

    def overridden(self, families: Collection[str]) -> None:
        self.families.append(frozenset(families))


NODE = "10.0.0.7"


class NodeFiles:
    """The kept snapshot, the overrides and the break-glass credential of a node, in a directory of the test's."""

    def __init__(self, folder: Path) -> None:
        (folder / "override").mkdir(parents=True, exist_ok=True)
        self.key = folder / "break-glass.key"
        issue_credential(self.key)
        self.snapshots = SnapshotFile(folder / "routes.snapshot")
        self.overrides = OverrideFiles(folder / "override", self.key)
        self.recorder = MemoryNodeRecorder()

    @property
    def credential(self) -> Credential:
        return read_credential(self.key)

    def footing(self) -> Footing:
        """What a gateway that starts now stands on."""
        kept = self.snapshots.load()
        snapshot = Snapshot() if kept is None else kept.snapshot
        return Footing(
            node=NODE,
            kept=snapshot,
            keeping=SnapshotKeeping(self.snapshots, snapshot, dict),
            overrides=OverridesInForce(self.overrides, self.recorder),
            standing=StoreStanding(self.recorder),
        )


class MemorySnapshots:
    """The node's kept snapshot in memory. It passes the same contract suite as the file."""

    def __init__(self) -> None:
        self._kept: Kept | None = None

    def mark(self) -> Mark | None:
        return None if self._kept is None else self._kept.snapshot.mark

    def load(self) -> Kept | None:
        return self._kept

    def keep(self, kept: Kept) -> bool:
        snapshot, there = kept.snapshot, self._kept
        if there is not None and not there.snapshot.mark < snapshot.mark:
            is_moved = there.snapshot.mark == snapshot.mark and there.endpoints != kept.endpoints
            if not is_moved:
                return False
        # A file keeps neither beats nor what is invalid.
        plain = Snapshot(fence=snapshot.fence, epoch=snapshot.epoch, head=snapshot.head, families=dict(snapshot.families))
        self._kept = Kept(plain, dict(kept.endpoints))
        return True
