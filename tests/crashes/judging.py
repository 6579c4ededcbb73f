"""What must hold of a store whatever was killed: one outcome for each operation, and a history without gaps."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from registry_client.versions import ModelVersion
from serving.control.operations import Author, Operations
from serving.core.audit import AuditEntry, verify_chain
from serving.core.lifecycle import FamilyRecord
from serving.ports import LoadState, LoadStatus
from serving.telemetry.clock import SystemClock
from tests.crashes.scenes import FAMILY, PUBLISHED, FolderFleet, opened, target
from tests.fakes.registry import FakeRegistry


def prepare(folder: Path, *versions: str, canary: str | None = None) -> None:
    """Promote versions one after the other, and start a canary beside the last."""
    (folder / "fleet" / "running").mkdir(parents=True)
    asyncio.run(_prepare(folder, versions, canary))


async def _prepare(folder: Path, versions: Sequence[str], canary: str | None) -> None:
    store = await opened(folder)
    await store.post([LoadStatus(target(version), LoadState.READY) for version in PUBLISHED])
    operations = Operations(store, store, store, FakeRegistry(**{FAMILY: PUBLISHED}), SystemClock())
    for version in versions:
        await operations.promote(FAMILY, ModelVersion.parse(version), Author("test", "to begin with", f"begin-{version}"))
    if canary is not None:
        await operations.canary(FAMILY, ModelVersion.parse(canary), 1_000, Author("test", "to begin with", "begin-canary"))
    await store.close()


def judged(folder: Path) -> tuple[FamilyRecord, list[AuditEntry]]:
    """The family and its audit, both found whole."""
    return asyncio.run(_judged(folder))


async def _judged(folder: Path) -> tuple[FamilyRecord, list[AuditEntry]]:
    store = await opened(folder)
    snapshot, entries = await store.snapshot(), list(await store.entries(limit=1_000))
    await store.close()
    verdict = verify_chain(entries, heads=[snapshot.mark])
    assert verdict.holds, verdict.sentence
    assert [entry.epoch for entry in entries] == list(range(1, snapshot.epoch + 1))
    record = snapshot.families[FAMILY]
    assert record.revision == len(entries)
    assert max(Counter(entry.operation_id for entry in entries).values()) == 1
    return record, entries


def work_done(folder: Path) -> Counter[str]:
    """What was really started and stopped, counted."""
    return Counter(FolderFleet(folder / "fleet").journal())


def is_rolled_back_once(folder: Path) -> None:
    """One rollback by the controller, and each version started and stopped as often as needed: once."""
    record, entries = judged(folder)
    rollbacks = [entry for entry in entries if entry.action == "rollback"]
    assert [(entry.actor, entry.signal) for entry in rollbacks] == [("auto", "errors-in-a-row")]
    assert (str(record.production), record.canaries) == ("1.1.0", ())
    assert work_done(folder) == {"load 1.1.0": 1, "load 1.2.0": 1, "unload 1.2.0": 1}
