"""The state store of several nodes: every change is one script on one Redis, and every document that is read is checked again.

A script cannot compute SHA-256, so an entry is chained here, onto the head that was last seen; the script refuses it with `moved` when
another change came first, and it is chained again. What was sent once is never sent again for want of an answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Self

from serving.core.audit import BEGINNING, AuditEntry, Mark
from serving.core.errors import InvalidRecord, NotLeader, StaleRevision, StoreUnavailable, StoreWentBack
from serving.core.lifecycle import FamilyRecord
from serving.failpoints import Failpoint, reach
from serving.ports import Commit, PastRecord, Reseed, Snapshot, Transition
from serving.stores.chain import entry_of, past_record, reseeded
from serving.stores.encoding import record_from_document, record_to_document
from serving.stores.redis import scripts
from serving.stores.redis.connection import GRACE_S, Wire
from serving.stores.redis.entries import entry_from_stream, entry_to_document, microseconds
from serving.stores.redis.keys import Keys
from serving.stores.redis.plan import RedisPlan
from serving.stores.redis.signs import RedisSigns

MOST_TRIES = 100
"""How often a change is chained anew because others came first; each time one of them was written, so this is no standstill."""


class RedisStore(RedisSigns):
    """The `StateStore`, `Leadership`, `Acks` and `FleetBoard` of several nodes. Opening it connects to nothing yet."""

    def __init__(self, wire: Wire, keys: Keys) -> None:
        super().__init__(wire, keys)
        self._wire = wire
        self._keys = keys
        self._head = BEGINNING
        """Where the store was last seen to stand: a guess to chain onto, which the script checks."""

    @classmethod
    def open(cls, plan: RedisPlan) -> Self:
        """A store that connects when it is first asked."""
        return cls(Wire(plan), Keys(plan.prefix))

    async def close(self) -> None:
        """Hang up."""
        await self._wire.close()

    # --- reading

    async def snapshot(self) -> Snapshot:
        """All families, read in one piece."""
        nothing = Snapshot()
        return await self._look(nothing) or nothing

    async def poll(self, seen: Snapshot) -> Snapshot | None:
        """The newer snapshot if epoch or beats moved on since `seen`, else None. Raises `StoreWentBack`."""
        newer = await self._look(seen)
        if newer is None or newer.mark == seen.mark:
            return newer
        kept = {family: seen.families[family] for family in newer.invalid if family in seen.families}
        return replace(newer, families={**newer.families, **kept})

    async def changed(self, seen: Snapshot, seconds: float) -> None:
        """Return when the audit goes on beyond `seen`, at the latest after `seconds`."""
        after = f"{max(seen.epoch, 0)}-0"
        milliseconds = max(1, round((seconds - min(GRACE_S, seconds / 2)) * 1000))
        await self._wire.wait("XREAD", "COUNT", 1, "BLOCK", milliseconds, "STREAMS", self._keys.audit, after, seconds=seconds)

    async def committed(self, operation_id: str) -> AuditEntry | None:
        """The entry that an operation id left, if it was committed."""
        found = await self._wire.call("HGET", self._keys.operations, operation_id)
        entries = () if found is None else await self._entries_at([_place(found)[0]])
        return entries[0] if entries else None

    async def history(self, family: str | None, *, limit: int) -> Sequence[AuditEntry]:
        """The newest entries first, of one family with the re-seeds, or of all."""
        if limit < 1:
            return []
        if family is None:
            return _from_stream(await self._wire.call("XREVRANGE", self._keys.audit, "+", "-", "COUNT", limit))
        epochs = sorted(await self._places(family, -limit), reverse=True)[:limit]
        return await self._entries_at([epoch for epoch, _ in epochs])

    async def entries(self, *, after: int = 0, limit: int) -> Sequence[AuditEntry]:
        """The audit from the first entry beyond epoch `after` on, oldest first."""
        if limit < 1:
            return []
        return _from_stream(await self._wire.call("XRANGE", self._keys.audit, f"{max(after, 0) + 1}-0", "+", "COUNT", limit))

    async def record_at(self, family: str, at: datetime) -> PastRecord | None:
        """The family as its newest change not younger than `at` left it."""
        moment = microseconds(at)
        epochs = [epoch for epoch, made in await self._places(family, 0) if made <= moment]
        entries = await self._entries_at([max(epochs)]) if epochs else []
        return past_record(family, entries[0]) if entries else None

    # --- changing

    async def commit(self, transition: Transition) -> Commit:
        """Write record, audit entry and epoch + 1 in one script, after all that can refuse it."""
        record, keys, seen = transition.record, self._keys, transition.seen
        own = [keys.head, keys.audit, keys.families, keys.revisions, keys.operations, keys.entries_of(record.family), keys.leader]
        for _ in range(MOST_TRIES):
            base, (entry, refusal) = self._head, _entry_or_refusal(transition, self._head)
            reach(Failpoint.COMMIT_BEGUN)
            word, *values = await self._wire.script(
                scripts.COMMIT,
                own,
                transition.operation_id,
                record.family,
                "" if transition.leader is None else transition.leader,
                *_values(seen),
                *_values(base),
                transition.expected_revision,
                record.revision,
                *_written(entry),
            )
            match word:
                case b"moved" if refusal is not None:
                    raise refusal
                case b"moved":
                    self._head = _mark(values)
                case _:
                    reach(Failpoint.COMMIT_DONE)
                    return self._outcome(transition, word, values, entry)
        raise StoreUnavailable(self._contended())

    async def reseed(self, reseed: Reseed) -> Commit:
        """Make the store hold exactly these families, under a higher fence."""
        keys = self._keys
        own = [keys.head, keys.audit, keys.families, keys.revisions, keys.operations, keys.reseeds]
        for _ in range(MOST_TRIES):
            # A family that comes in between moves the head, and is among those that are read the next time.
            held = [family.decode("utf-8", "replace") for family in await self._wire.call("HGETALL", keys.revisions)]
            base, (entry, records) = self._head, reseeded(reseed, self._head, held)
            documents = [part for family, record in records.items() for part in (family, record_to_document(record))]
            values = (reseed.operation_id, *_values(base), entry.fence, entry.epoch, *_written(entry), *documents)
            word, *answer = await self._wire.script(scripts.RESEED, own, *values)
            if word != b"moved":
                if word == b"done":
                    self._head = entry.mark
                return Commit(int(answer[0]), int(answer[1]), replayed=word == b"replayed")
            self._head = _mark(answer)
        raise StoreUnavailable(self._contended())

    async def beat(self, family: str) -> None:
        """Renew the family's canary lease."""
        await self._wire.call("HINCRBY", self._keys.beats, family, 1)

    # --- inside

    async def _look(self, seen: Snapshot) -> Snapshot | None:
        keys = self._keys
        own = [keys.head, keys.audit, keys.families, keys.revisions, keys.beats]
        word, *values = await self._wire.script(scripts.LOOK, own, *_values(seen.mark))
        match word:
            case b"same":
                beats = _numbers(values[0])
                return None if beats == seen.beats else replace(seen, beats=beats)
            case b"went_back":
                raise StoreWentBack(seen=seen.mark, store=_mark(values))
            case _:
                mark = self._head = _mark(values)
                families, invalid = _believed(values[3], _numbers(values[4]))
                return Snapshot(
                    fence=mark.fence, epoch=mark.epoch, head=mark.head, families=families, beats=_numbers(values[5]), invalid=invalid
                )

    def _outcome(self, transition: Transition, word: bytes, values: Sequence[Any], entry: AuditEntry | None) -> Commit:
        match word:
            case b"went_back":
                raise StoreWentBack(seen=transition.seen, store=_mark(values))
            case b"not_leader":
                raise NotLeader(transition.leader or 0)
            case b"stale":
                raise StaleRevision(transition.record.family, expected=transition.expected_revision, actual=values[0])
            case b"done" if entry is not None:
                self._head = entry.mark
        return Commit(values[0], values[1], replayed=word == b"replayed")

    async def _places(self, family: str, start: int) -> Sequence[tuple[int, int]]:
        """The epochs of a family's entries and of re-seeds from the `start` on, each with the time (microseconds) of its change."""
        lists = (self._keys.entries_of(family), self._keys.reseeds) if family else (self._keys.reseeds,)
        found = await self._wire.calls([("LRANGE", key, start, -1) for key in lists])
        return [_place(each) for of_key in found for each in of_key]

    async def _entries_at(self, epochs: Sequence[int]) -> Sequence[AuditEntry]:
        found = await self._wire.calls([("XRANGE", self._keys.audit, f"{epoch}-0", f"{epoch}-0") for epoch in epochs])
        return [entry for of_epoch in found for entry in _from_stream(of_epoch)]

    def _contended(self) -> str:
        return f"the store {self._wire.shown} was changed by others {MOST_TRIES} times while one change was to be written"


def _entry_or_refusal(transition: Transition, store: Mark) -> tuple[AuditEntry | None, InvalidRecord | None]:
    """The entry, or why there can be none: the script is asked all the same, for what it refuses for comes first."""
    try:
        return entry_of(transition, store), None
    except InvalidRecord as refusal:
        return None, refusal


def _written(entry: AuditEntry | None) -> tuple[str | bytes | int, ...]:
    """An entry as the scripts take it; nothing to write is an empty hash."""
    if entry is None:
        return "", b"", b"", 0
    return entry.hash, entry_to_document(entry), entry.record, microseconds(entry.at)


def _values(mark: Mark) -> tuple[int, int, str]:
    return mark.fence, mark.epoch, mark.head


def _mark(values: Sequence[Any]) -> Mark:
    fence, epoch, head = values[:3]
    return Mark(fence, epoch, head.decode("ascii", "replace"))


def _believed(documents: Sequence[bytes], revisions: Mapping[str, int]) -> tuple[Mapping[str, FamilyRecord], Mapping[str, str]]:
    """The records that can be believed, and why the others cannot."""
    families: dict[str, FamilyRecord] = {}
    invalid: dict[str, str] = {}
    for name, document in sorted(zip(documents[::2], documents[1::2], strict=True)):
        family = name.decode("utf-8", "replace")
        try:
            families[family] = _record(family, document, revisions.get(family))
        except InvalidRecord as error:
            invalid[family] = error.reason
    return families, invalid


def _record(family: str, document: bytes, revision: int | None) -> FamilyRecord:
    record = record_from_document(family, document)
    if record.revision != revision:
        raise InvalidRecord(family, f"revision: it says {record.revision}, the store {revision}")
    return record


def _numbers(pairs: Sequence[bytes]) -> Mapping[str, int]:
    """A hash of numbers, as the server gives it; what is none counts as not there."""
    told = zip(pairs[::2], pairs[1::2], strict=True)
    return {name.decode("utf-8", "replace"): int(value) for name, value in told if value.isdigit()}


def _place(text: bytes) -> tuple[int, int]:
    """An epoch and the number behind it. Raises `StoreUnavailable`."""
    epoch, _, number = text.partition(b" ")
    try:
        return int(epoch), int(number)
    except ValueError as error:
        msg = "the store contradicts itself: what leads to its audit entries cannot be read"
        raise StoreUnavailable(msg) from error


def _from_stream(found: Sequence[tuple[bytes, Mapping[bytes, bytes]]]) -> Sequence[AuditEntry]:
    return [entry_from_stream(int(place.partition(b"-")[0]), fields) for place, fields in found]
