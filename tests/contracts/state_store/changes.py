"""The changes that the contract's tests make, and re-seeds of what was seen."""

from datetime import UTC, datetime

from registry_client.versions import ModelVersion
from serving.core.audit import NOTHING_SEEN, Mark
from serving.core.lifecycle import Decided, FamilyRecord
from serving.ports import Reseed, Snapshot, Transition
from tests.fakes.registry import digest_of
from tests.fixtures.store_homes import AnyStore

V1, V2, V3 = (ModelVersion.parse(text) for text in ("1.0.0", "1.1.0", "2.0.0"))

AT = datetime(2030, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


def record(family: str = "digits", revision: int = 1, production: ModelVersion = V1) -> FamilyRecord:
    digests = {version: digest_of(family, str(version)) for version in (V1, V2, V3)}
    return FamilyRecord(family, revision, digests, production, Decided(AT, "ada", "it is good"))


def transition(of: FamilyRecord, operation_id: str = "op-1", expected: int | None = None, seen: Mark = NOTHING_SEEN) -> Transition:
    return Transition(
        record=of,
        expected_revision=of.revision - 1 if expected is None else expected,
        actor="ada",
        action=f"promote {of.production}",
        reason="it is good",
        before={"production": None},
        after={"production": str(of.production), "shadows": {"1.1.0": 100}},
        operation_id=operation_id,
        at=AT,
        seen=seen,
    )


async def fill(store: AnyStore, changes: int, *, start: int = 1) -> Snapshot:
    for revision in range(start, start + changes):
        await store.commit(transition(record(revision=revision, production=(V1, V2, V3)[revision % 3]), f"op-{revision}"))
    return await store.snapshot()


def reseed(seen: Snapshot, operation_id: str = "reseed-1") -> Reseed:
    return Reseed(families=seen.families, seen=seen.mark, actor="ada", reason="the backup was too old", operation_id=operation_id, at=AT)
