"""Keeping the routes on the node's disk."""

import asyncio
import threading
from pathlib import Path

from structlog.testing import capture_logs

from serving.gateway.keeping import SnapshotKeeping
from serving.ports import Kept, Snapshot
from serving.stores.snapshot_file import SnapshotFile


class FullDisk(SnapshotFile):
    """A file on a disk that may be full."""

    is_full = True

    def keep(self, kept: Kept) -> bool:
        if self.is_full:
            raise OSError(28, "No space left on device")
        return super().keep(kept)


class Watched(SnapshotFile):
    """A file that tells when something was kept."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.kept = threading.Event()

    def keep(self, kept: Kept) -> bool:
        done = super().keep(kept)
        self.kept.set()
        return done


def snapshot(epoch: int) -> Snapshot:
    return Snapshot(epoch=epoch, head="e" * 64)


async def test_of_many_offers_the_newest_is_kept(tmp_path: Path) -> None:
    file = Watched(tmp_path / "routes.snapshot")
    keeping = SnapshotKeeping(file, Snapshot(), dict)
    for epoch in range(5):
        keeping.offer(snapshot(epoch))

    running = asyncio.create_task(keeping.run())
    assert await asyncio.to_thread(file.kept.wait, 5)
    running.cancel()

    assert file.load() == Kept(snapshot(4), {})


async def test_replicas_that_move_are_kept_without_a_new_epoch(tmp_path: Path) -> None:
    file, endpoints = SnapshotFile(tmp_path / "routes.snapshot"), {"a" * 64: ("/run/1",)}
    keeping = SnapshotKeeping(file, snapshot(3), lambda: endpoints)
    await keeping.step()
    endpoints["a" * 64] = ("/run/2",)
    await keeping.step()

    loaded = file.load()

    assert loaded is not None
    assert loaded.endpoints == {"a" * 64: ("/run/2",)}


async def test_nothing_is_kept_before_anything_was_read(tmp_path: Path) -> None:
    file = SnapshotFile(tmp_path / "routes.snapshot")

    await SnapshotKeeping(file, Snapshot(), dict).step()

    assert file.load() is None


async def test_a_full_disk_is_told_of_when_it_begins_and_when_it_ends(tmp_path: Path) -> None:
    disk = FullDisk(tmp_path / "routes.snapshot")
    keeping = SnapshotKeeping(disk, snapshot(3), dict)

    with capture_logs() as logs:
        for _ in range(3):
            await keeping.step()
        disk.is_full = False
        for _ in range(3):
            await keeping.step()

    assert [entry["event"] for entry in logs] == ["snapshot_not_kept", "snapshot_kept_again"]
    assert disk.load() == Kept(snapshot(3), {})
