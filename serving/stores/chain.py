"""What every home of the store checks and writes down alike: the audit entry of a change, its place in the chain, and who may write."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from serving.core.audit import GENESIS, RESEED, AuditEntry, Mark, entry_hash, reseed_marks
from serving.core.errors import InvalidRecord, StoreUnavailable, StoreWentBack
from serving.core.lifecycle import FamilyRecord, summary
from serving.ports import PastRecord, Reseed, Transition
from serving.stores.encoding import document_among, record_from_document, record_to_document, records_to_document


def entry_of(transition: Transition, store: Mark) -> AuditEntry:
    """The entry that a transition adds to a store that stands at `store`. Raises `InvalidRecord`."""
    record = transition.record
    return _hashed(
        AuditEntry(
            fence=store.fence,
            epoch=store.epoch + 1,
            family=record.family,
            revision=record.revision,
            at=transition.at,
            actor=transition.actor,
            action=transition.action,
            reason=transition.reason,
            before=transition.before,
            after=transition.after,
            operation_id=transition.operation_id,
            signal=transition.signal,
            record=_document(record, transition.expected_revision),
            previous=store.head,
        )
    )


def reseeded(reseed: Reseed, store: Mark, held: Collection[str]) -> tuple[AuditEntry, Mapping[str, FamilyRecord]]:
    """The entry that a re-seed adds to a store that stands at `store` and holds some families, and the records as it writes them.

    A family that the re-seed does not name is emptied, not dropped: it would begin again at revisions that it had before. Raises
    `InvalidRecord`.
    """
    epoch = max(store.epoch, reseed.seen.epoch) + 1
    families = {family: reseed.families.get(family) or FamilyRecord(family) for family in sorted({*held, *reseed.families})}
    records = {family: replace(record, revision=epoch) for family, record in families.items()}
    for record in records.values():
        _document(record, epoch - 1)
    entry = AuditEntry(
        fence=max(store.fence, reseed.seen.fence) + 1,
        epoch=epoch,
        family="",
        revision=epoch,
        at=reseed.at,
        actor=reseed.actor,
        action=RESEED,
        reason=reseed.reason,
        before=reseed_marks(store, reseed.seen),
        after={family: summary(record) for family, record in records.items()},
        operation_id=reseed.operation_id,
        signal=reseed.signal,
        record=records_to_document(records),
        previous=reseed.seen.head,
    )
    return _hashed(entry), records


def past_record(family: str, entry: AuditEntry) -> PastRecord | None:
    """What an entry says of a family; None when it holds nothing of it. Raises `InvalidRecord`."""
    if not entry.record:
        return None
    document = entry.record if entry.family else document_among(entry.record, family)
    return None if document is None else PastRecord(record_from_document(family, document), entry)


def refuse_other_history(seen: Mark, store: Mark, hash_at: Callable[[int], str | None]) -> None:
    """Raise `StoreWentBack` unless a store continues what was seen; `hash_at` gives the hash that the store has at an epoch."""
    if seen.epoch < 0:
        return
    held = store.head if seen.epoch == store.epoch else GENESIS if seen.epoch == 0 else hash_at(seen.epoch)
    if seen.fence != store.fence or seen.epoch > store.epoch or seen.head != held:
        raise StoreWentBack(seen=seen, store=store)


def refuse_torn(path: object, store: Mark, newest: str | None) -> None:
    """Raise `StoreUnavailable` when a store's head is not its newest audit entry: it was put together from parts of two."""
    if store.head != (newest or GENESIS):
        msg = f"the store {path} contradicts itself: its head is not the hash of its newest audit entry"
        raise StoreUnavailable(msg)


def _document(record: FamilyRecord, expected_revision: int) -> bytes:
    """Write a record down, if it follows from the revision before and will be read back as it is."""
    document = record_to_document(record)
    if record.revision != expected_revision + 1:
        raise InvalidRecord(record.family, f"revision: {record.revision} does not follow {expected_revision}")
    if record_from_document(record.family, document) != record:
        raise InvalidRecord(record.family, "it would not be read back as it is")
    return document


def _hashed(entry: AuditEntry) -> AuditEntry:
    return replace(entry, hash=entry_hash(entry))
