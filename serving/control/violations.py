"""Versions that are no longer what they were, made known: an audit entry and a notice for each, once, whichever node finds it.

What was found lies in the node's ledger; nothing here is in the way of loading, which was refused long before. The digest in a family's
record is what the whole installation means by a version: a node that saw another one first is a finding, too.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256

import structlog

from registry_client.errors import InvalidVersion
from registry_client.ledger import Entry
from registry_client.versions import ModelVersion
from serving.control.policies.holding import HeldPolicies
from serving.core.errors import StaleRevision
from serving.core.lifecycle import FamilyRecord
from serving.core.notices import Notice, Occasion
from serving.ports import Clock, Notifier, Snapshot, StateStore, Transition

log = structlog.get_logger()

SIGNAL = "ledger"
"""What the audit says set it off."""

ATTEMPTS = 20
"""How often a commit is tried again when others keep changing the family; after that with the next look."""

_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Violation:
    """A version of a registry that was one digest and is found to be another."""

    registry: str
    family: str
    version: str
    recorded: str
    found: str

    @property
    def id(self) -> str:
        """The same on every node, and for each content that is found another one."""
        what = f"{self.registry}\n{self.recorded}\n{self.found}"
        return f"violation-{self.family}-{self.version}-{sha256(what.encode()).hexdigest()[:16]}"

    @property
    def sentence(self) -> str:
        """For people."""
        was, found = self.recorded[:_SHOWN], self.found[:_SHOWN]
        what = f"{self.family}@{self.version} was {was} and is {found} now in {self.registry}"
        return f"{what}: it is refused, and the copy in the cache serves on"

    @property
    def document(self) -> Mapping[str, object]:
        """For the audit."""
        return {"registry": self.registry, "version": self.version, "recorded": self.recorded, "found": self.found}


ReadsLedger = Callable[[], Awaitable[Sequence[Entry]]]
"""What this node has seen of its registry. Raises `DamagedLedger`."""

Tells = Callable[[FamilyRecord, Notice], Awaitable[None]]
"""Has a notice told to whom the family's policy names. Never raises."""


class ViolationNews:
    """Has a notice told to whom the family's policy names, to everybody where that cannot be known."""

    def __init__(self, notifier: Notifier, policies: HeldPolicies) -> None:
        self._notifier = notifier
        self._policies = policies

    async def __call__(self, record: FamilyRecord, notice: Notice) -> None:
        """Tell it. Never raises."""
        await self._notifier.tell(notice, await self._policies.wishes(record))


class ViolationWatch:
    """Looks at the ledger of one node. `node` is whom the audit names."""

    def __init__(self, ledger: ReadsLedger, store: StateStore, tell: Tells, clock: Clock, node: str) -> None:
        self._ledger, self._store, self._tell, self._clock = ledger, store, tell, clock
        self._node = node
        self._seen = Snapshot()
        self._told: set[str] = set()
        self._settled: set[str] = set()

    async def step(self) -> None:
        """Look once. Raises `StoreUnavailable` or `DamagedLedger`; what could not be written is tried again with the next look."""
        entries = await self._ledger()
        self._seen = await self._store.poll(self._seen) or self._seen
        for violation in violations_in(entries, self._seen.families):
            if violation.id not in self._settled and await self._is_settled(violation):
                self._settled.add(violation.id)

    async def _is_settled(self, violation: Violation) -> bool:
        if await self._store.committed(violation.id) is not None:
            return True
        for _ in range(ATTEMPTS):
            snapshot = await self._store.snapshot()
            if violation.family in snapshot.invalid:
                return False
            record = snapshot.families.get(violation.family) or FamilyRecord(violation.family)
            await self._tell_once(violation, record)
            with suppress(StaleRevision):
                await self._store.commit(self._transition(snapshot, record, violation))
                log.info("violation_audited", family=violation.family, version=violation.version, id=violation.id)
                return True
        return False

    async def _tell_once(self, violation: Violation, record: FamilyRecord) -> None:
        """Before it is written, so that a crash in between leads to the same notice once more, and never to none."""
        if violation.id not in self._told:
            notice = Notice(violation.id, self._clock.now(), Occasion.PAGE, violation.family, violation.version, violation.sentence)
            await self._tell(record, notice)
            self._told.add(violation.id)

    def _transition(self, snapshot: Snapshot, record: FamilyRecord, violation: Violation) -> Transition:
        """A change of nothing but the revision: the audit is where it is looked for."""
        return Transition(
            record=replace(record, revision=record.revision + 1),
            expected_revision=record.revision,
            actor=f"node:{self._node}",
            action=f"immutability violation {violation.version}",
            reason=violation.sentence,
            before={},
            after={"violation": violation.document},
            operation_id=violation.id,
            at=self._clock.now(),
            seen=snapshot.mark,
            signal=SIGNAL,
        )


def violations_in(entries: Sequence[Entry], families: Mapping[str, FamilyRecord]) -> Iterator[Violation]:
    """What a ledger has of violations, and the first sights that are not what the installation means by the version."""
    for entry in entries:
        if entry.found:
            yield Violation(entry.registry, entry.family, entry.version, entry.digest, entry.found)
            continue
        meant = _meant(families.get(entry.family), entry.version)
        if meant not in ("", entry.digest):
            yield Violation(entry.registry, entry.family, entry.version, meant, entry.digest)


def _meant(record: FamilyRecord | None, version: str) -> str:
    if record is None:
        return ""
    try:
        return record.digests.get(ModelVersion.parse(version), "")
    except InvalidVersion:
        return ""
