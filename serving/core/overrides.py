"""Breaking the glass: a rollback decided on one node while the store cannot be changed, and what it does to a record. Pure.

An override names the versions that it condemns. It holds for as long as one of them is routed, and is never a reason to move traffic
to a version that it did not name unless the one it named is no way back any more.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from registry_client.versions import ModelVersion
from serving.core.changes import ChangeFacts, RollBack, apply, way_back
from serving.core.errors import ChangeRefused
from serving.core.lifecycle import Decided, FamilyRecord
from serving.core.refusals import NothingToRollBack, named

SIGNAL = "override"
"""What the audit names as having set off a change that began as an override."""


@dataclass(frozen=True, slots=True)
class Override:
    """A rollback of one family by an operator on the node. `operation_id` names it, there and in the audit."""

    operation_id: str
    family: str
    target: ModelVersion
    """The version that shall be in production."""
    condemned: tuple[ModelVersion, ...]
    """The versions that shall get no more traffic."""
    actor: str
    reason: str
    at: datetime
    epoch: int
    """Of the snapshot that it was decided on."""

    def __post_init__(self) -> None:
        """Refuse an override that condemns nothing, or the very version it goes back to."""
        if not self.condemned or self.target in self.condemned:
            msg = f"override {self.operation_id!r} of {self.family!r} contradicts itself"
            raise ValueError(msg)

    def __str__(self) -> str:
        return f"{self.family}: {self.target} instead of {named(self.condemned)}"

    @property
    def decided(self) -> Decided:
        """Who, when and why, as the record keeps it."""
        return Decided(self.at, self.actor, self.reason)


@dataclass(frozen=True, slots=True)
class Clearing:
    """The end of an override that somebody took back before it could be written to the store."""

    operation_id: str
    actor: str
    reason: str
    at: datetime


class Ending(StrEnum):
    """How an override came to its end."""

    RECONCILED = "reconciled"
    """The store has the rollback."""
    SUPERSEDED = "superseded"
    """When the store came back, it routed none of the condemned versions any more."""
    IMPOSSIBLE = "impossible"
    """When the store came back, there was no version left to go back to."""
    CLEARED = "cleared"
    """Somebody took it back."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """How an override ended, and the mark (fence, epoch) of the store from which on its routes say so themselves."""

    ending: Ending
    fence: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Author:
    """Who breaks the glass: the name, the reason, the operation id that it shall have, and when."""

    actor: str
    reason: str
    operation_id: str
    at: datetime


def decide(record: FamilyRecord, to: ModelVersion | None, author: Author, *, epoch: int) -> Override:
    """The override that rolls a family back now. Raises `NothingToRollBack` or `NotARollbackTarget`."""
    back = way_back(record, to)
    return Override(author.operation_id, record.family, back.target, back.condemned, author.actor, author.reason, author.at, epoch)


def remedy(record: FamilyRecord, override: Override) -> RollBack | None:
    """The change that does what an override meant to a record as it is now; None when it routes none of the condemned versions.

    Raises `NothingToRollBack` when a condemned version is in production and nothing else is left to go back to.
    """
    condemned = frozenset(override.condemned)
    if record.production in condemned:
        fit = tuple(version for version in record.previous if version not in condemned and version not in record.quarantined)
        if override.target in record.previous:
            return RollBack(override.target)
        if not fit:
            raise NothingToRollBack(record.family)
        return RollBack(fit[0])
    return RollBack(record.production) if condemned.intersection(record.canary_versions) else None


@dataclass(frozen=True, slots=True)
class Enforced:
    """Records with the overrides carried out on them: which override each changed family stands under, and which cannot be carried out."""

    records: Mapping[str, FamilyRecord]
    in_force: Mapping[str, str] = field(default_factory=dict[str, str])
    """Family to operation id."""
    impossible: Mapping[str, str] = field(default_factory=dict[str, str])
    """Operation id to the sentence that says why."""


def enforce(records: Mapping[str, FamilyRecord], overrides: Iterable[Override]) -> Enforced:
    """Carry out every override whose condemned versions are still routed, the older ones first."""
    changed, in_force, impossible = dict(records), dict[str, str](), dict[str, str]()
    for override in sorted(overrides, key=lambda each: (each.at, each.operation_id)):
        record = changed.get(override.family)
        if record is None:
            continue
        try:
            change = remedy(record, override)
            after = record if change is None else apply(record, change, ChangeFacts(override.decided))
        except ChangeRefused as refused:
            impossible[override.operation_id] = str(refused)
            continue
        if change is not None:
            changed[override.family] = after
            in_force[override.family] = override.operation_id
    return Enforced(changed, in_force, impossible)
