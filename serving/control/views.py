"""What there is to know of families: what is in production, since when, by whom and why, and what a rollback would do."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from registry_client.errors import ImmutabilityViolation, RegistryUnavailable, UnknownFamily
from registry_client.references import Tag
from registry_client.versions import ModelVersion, VersionRange
from serving.control.plans import RollbackPlan, plan_of, statuses_of
from serving.control.publications import is_published
from serving.core.consumers import Consumers
from serving.core.deprecation import Deprecation
from serving.core.errors import InvalidRecord, NothingRecorded, StoreUnavailable, UnknownFamilyRecord
from serving.core.holdbacks import holdback_of
from serving.core.lifecycle import FamilyRecord
from serving.core.routing import Target
from serving.core.traffic import WHOLE
from serving.ports import AuditEntry, FleetBoard, Kept, LoadState, LoadStatus, Registry, Snapshot, StateStore


@dataclass(frozen=True, slots=True)
class ProductionView:
    """The version in production: since when, by whom and why. `weight`: what canaries and holdback leave it, in basis points."""

    version: ModelVersion
    digest: str
    weight: int
    since: datetime | None
    by: str
    reason: str
    state: LoadState | None


@dataclass(frozen=True, slots=True)
class ShareView:
    """A canary, a shadow or a holdback, with its part of the traffic in basis points."""

    version: ModelVersion
    digest: str
    weight: int
    state: LoadState | None


@dataclass(frozen=True, slots=True)
class FamilyView:
    """One family. `problem` says why its stored record cannot be believed, when it cannot; the rest is then empty."""

    family: str
    epoch: int
    revision: int
    production: ProductionView | None
    previous: tuple[ModelVersion, ...]
    canaries: tuple[ShareView, ...]
    shadows: tuple[ShareView, ...]
    tags: Mapping[Tag, tuple[ModelVersion, ...]]
    """Which versions carry each tag; tags that no version carries are left out."""
    quarantined: Mapping[ModelVersion, str]
    rollback: RollbackPlan
    deprecated: Mapping[ModelVersion, Deprecation | None] = field(default_factory=dict[ModelVersion, Deprecation | None])
    """None where it is not known since when."""
    consumers: Consumers = field(default_factory=dict[str, VersionRange])
    problem: str = ""
    holdback: ShareView | None = None
    """The old production, where some callers stay with it."""
    stale: str = ""
    """Why this is what was last seen and not what the store says: it did not answer. What runs is then as the node last kept it."""


@dataclass(frozen=True, slots=True)
class PastView:
    """A family as it was, and the change that had made it so."""

    record: FamilyRecord
    change: AuditEntry
    production: ProductionView | None
    canaries: tuple[ShareView, ...]
    shadows: tuple[ShareView, ...]
    tags: Mapping[Tag, tuple[ModelVersion, ...]]


@dataclass(frozen=True, slots=True)
class VersionView:
    """One version. `digest` is the one that is served, or that would be; `state` is None when it is not loaded."""

    version: ModelVersion
    digest: str
    published: bool
    tags: frozenset[Tag]
    canary_weight: int
    shadow_weight: int
    is_wanted: bool
    """Whether it should be loaded; `state` is whether it is."""
    is_standby: bool
    """Whether it is a superseded production, kept loaded as the way back."""
    state: LoadState | None
    detail: str
    replicas: int
    since: datetime | None
    quarantine: str | None


@dataclass(frozen=True, slots=True)
class _Sight:
    """What a view is made of, and why it is what was last seen, if it is."""

    snapshot: Snapshot
    states: Sequence[LoadStatus]
    stale: str = ""


async def _nothing_kept() -> Kept:
    return Kept(Snapshot())


class Views:
    """Answers from one snapshot each. `last` gives what was last seen of the store.

    Families are shown as they were last seen while the store cannot answer, and say so; all else raises `StoreUnavailable` then.
    """

    def __init__(
        self, store: StateStore, board: FleetBoard, registry: Registry, last: Callable[[], Awaitable[Kept]] = _nothing_kept
    ) -> None:
        self._store = store
        self._board = board
        self._registry = registry
        self._last = last

    async def families(self) -> list[FamilyView]:
        """Every family that was published or is recorded here, by name; also those whose record cannot be believed."""
        sight = await self._look()
        names = {*await self._published_families(), *sight.snapshot.families, *sight.snapshot.invalid}
        return [_family(sight, name) for name in sorted(names)]

    async def family(self, name: str) -> FamilyView:
        """One family. Raises `UnknownFamilyRecord` or `InvalidRecord`."""
        sight = await self._look()
        await self._recorded(sight.snapshot, name)
        return _family(sight, name)

    async def family_at(self, name: str, at: datetime) -> PastView:
        """One family as it was. Raises `UnknownFamilyRecord`, `NothingRecorded` or `InvalidRecord`."""
        past = await self._store.record_at(name, at)
        if past is None:
            await self._recorded(await self._store.snapshot(), name)
            raise NothingRecorded(name, at)
        record = past.record
        return PastView(record, past.entry, _production(record, {}), _canaries(record, {}), _shadows(record, {}), _tags(record))

    async def versions(self, family: str) -> list[VersionView]:
        """The versions of a family, published or recorded, the newest first. Raises `UnknownFamilyRecord` or `InvalidRecord`."""
        record = await self._recorded(await self._store.snapshot(), family)
        published = {ModelVersion.parse(text) for text in await self._published(record)}
        statuses = statuses_of(record, await self._board.read())
        digests, violated = dict(record.digests), dict[ModelVersion, str]()
        for version in published - digests.keys():
            try:
                digests[version] = await self._registry.digest(family, str(version))
            except ImmutabilityViolation as violation:
                digests[version], violated[version] = violation.recorded, str(violation)
        views = (
            _version(record, version, digests[version], published=version in published, status=statuses.get(version)) for version in digests
        )
        told = (replace(view, detail=violated.get(view.version, view.detail)) for view in views)
        return sorted(told, key=lambda view: view.version, reverse=True)

    async def history(self, family: str | None, *, limit: int) -> Sequence[AuditEntry]:
        """Who changed what, when and why; the newest first. Raises `UnknownFamilyRecord`."""
        entries = await self._store.history(family, limit=limit)
        if family is not None and all(entry.family != family for entry in entries):  # re-seeds concern every family
            await self._recorded(await self._store.snapshot(), family)
        return entries

    async def _look(self) -> _Sight:
        try:
            return _Sight(await self._store.snapshot(), await self._board.read())
        except StoreUnavailable as error:
            kept = await self._last()
            if kept.snapshot.epoch < 0:
                raise
            return _Sight(kept.snapshot, tuple(_running(kept)), str(error))

    async def _recorded(self, snapshot: Snapshot, family: str) -> FamilyRecord:
        if family in snapshot.invalid:
            raise InvalidRecord(family, snapshot.invalid[family])
        if family not in snapshot.families and not await is_published(self._registry, family):
            raise UnknownFamilyRecord(family)
        return snapshot.families.get(family) or FamilyRecord(family)

    async def _published(self, record: FamilyRecord) -> Sequence[str]:
        try:
            return await self._registry.versions(record.family)
        except UnknownFamily:
            # Recorded here, though the registry has lost it: what is recorded is still worth showing.
            return ()
        except RegistryUnavailable:
            # Nobody can say that they are gone.
            return [str(version) for version in record.digests]

    async def _published_families(self) -> Sequence[str]:
        try:
            return await self._registry.families()
        except RegistryUnavailable:
            return ()


def _running(kept: Kept) -> Iterator[LoadStatus]:
    """The versions that had replicas when the node last kept where they are."""
    for record in kept.snapshot.families.values():
        for version, digest in record.digests.items():
            if digest in kept.endpoints:
                target = Target(record.family, version, digest)
                yield LoadStatus(target, LoadState.READY, replicas=len(kept.endpoints[digest]))


def _family(sight: _Sight, name: str) -> FamilyView:
    snapshot, states = sight.snapshot, sight.states
    record = snapshot.families.get(name) or FamilyRecord(name)
    statuses = statuses_of(record, states)
    return FamilyView(
        family=name,
        epoch=snapshot.epoch,
        revision=record.revision,
        production=_production(record, statuses),
        previous=record.previous,
        canaries=_canaries(record, statuses),
        holdback=_holdback(record, statuses),
        shadows=_shadows(record, statuses),
        tags=_tags(record),
        quarantined=record.quarantined,
        rollback=plan_of(record, states),
        deprecated={version: record.deprecations.get(version) for version in sorted(record.deprecated)},
        consumers=record.consumers,
        problem=snapshot.invalid.get(name, ""),
        stale=sight.stale,
    )


def _production(record: FamilyRecord, statuses: Mapping[ModelVersion, LoadStatus]) -> ProductionView | None:
    version, decided, held = record.production, record.production_decided, holdback_of(record)
    if version is None:
        return None
    return ProductionView(
        version=version,
        digest=record.digests[version],
        weight=WHOLE - sum(canary.slice.weight for canary in record.canaries) - (0 if held is None else held.weight),
        since=None if decided is None else decided.at,
        by="" if decided is None else decided.actor,
        reason="" if decided is None else decided.reason,
        state=_state(statuses.get(version)),
    )


def _canaries(record: FamilyRecord, statuses: Mapping[ModelVersion, LoadStatus]) -> tuple[ShareView, ...]:
    return _shares(record, statuses, ((each.version, each.slice.weight) for each in record.canaries))


def _holdback(record: FamilyRecord, statuses: Mapping[ModelVersion, LoadStatus]) -> ShareView | None:
    held = holdback_of(record)
    return None if held is None else _shares(record, statuses, ((held.version, held.weight),))[0]


def _shadows(record: FamilyRecord, statuses: Mapping[ModelVersion, LoadStatus]) -> tuple[ShareView, ...]:
    return _shares(record, statuses, ((each.version, each.weight) for each in record.shadows))


def _tags(record: FamilyRecord) -> Mapping[Tag, tuple[ModelVersion, ...]]:
    return {tag: versions for tag in Tag if (versions := _carriers(record, tag))}


def _shares(
    record: FamilyRecord, statuses: Mapping[ModelVersion, LoadStatus], parts: Iterable[tuple[ModelVersion, int]]
) -> tuple[ShareView, ...]:
    return tuple(ShareView(version, record.digests[version], weight, _state(statuses.get(version))) for version, weight in parts)


def _carriers(record: FamilyRecord, tag: Tag) -> tuple[ModelVersion, ...]:
    return tuple(version for version in sorted(record.digests) if tag in record.tags_of(version))


def _version(record: FamilyRecord, version: ModelVersion, digest: str, *, published: bool, status: LoadStatus | None) -> VersionView:
    canary, shadow = record.canary_of(version), record.shadow_of(version)
    return VersionView(
        version=version,
        digest=digest,
        published=published,
        tags=record.tags_of(version),
        canary_weight=0 if canary is None else canary.slice.weight,
        shadow_weight=0 if shadow is None else shadow.weight,
        is_wanted=version in record.aspired(),
        is_standby=version in record.previous,
        state=_state(status),
        detail="" if status is None else status.detail,
        replicas=0 if status is None else status.replicas,
        since=None if status is None else status.since,
        quarantine=record.quarantined.get(version),
    )


def _state(status: LoadStatus | None) -> LoadState | None:
    return None if status is None else status.state
