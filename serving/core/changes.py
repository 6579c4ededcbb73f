"""The changes that may be made to a family's record, and `apply`, which makes one or refuses it.

Pure and total: any record, change and facts give the next record, one revision higher, or raise a `ChangeRefused`.
A version takes traffic only when it is READY, and never while deprecated or quarantined. A rollback needs nothing but
a target: no readiness, no approval, no metrics. While a rollout is afoot it alone moves versions forward; going back is anybody's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from registry_client.references import Tag
from registry_client.versions import ModelVersion
from serving.core.consumers import ClearConsumer, SetConsumer, registered
from serving.core.deprecation import deprecated_anew
from serving.core.drilling import BeginDrill, EndDrill, FailDrill, broken_off
from serving.core.fitness import (
    free_end,
    refuse_deprecated,
    refuse_in_use,
    refuse_one_way,
    refuse_unfit,
    refuse_unready,
    released,
    without,
    without_canaries,
)
from serving.core.holdbacks import holdback_of
from serving.core.lifecycle import MOST_CANARIES, MOST_SHADOWS, MOST_STANDBYS, Canary, Decided, FamilyRecord, Shadow, canary_salt
from serving.core.refusals import (
    AlreadyInProduction,
    DigestChanged,
    DrillUnderway,
    NeedsProduction,
    NotARollbackTarget,
    NothingToRollBack,
    NotQuarantined,
    NotRouted,
    RolloutAfoot,
    SunsetBefore,
    TagFollowsRoute,
    TagNotCarried,
    TooManyCanaries,
    TooManyShadows,
    WeightOutOfRange,
    WeightsExceedWhole,
)
from serving.core.rehearsing import BeginRehearsal, CatchRehearsal, EndRehearsal, MeasureRehearsal, PracticeChange, practised
from serving.core.reversing import reversed_by, superseded_by
from serving.core.traffic import WHOLE, Slice


@dataclass(frozen=True, slots=True)
class SetTag:
    """Put `candidate`, `staging` or `deprecated` on a version; the first two leave the version that had them."""

    version: ModelVersion
    digest: str
    tag: Tag
    sunset: datetime | None = None
    """When a deprecated version will stop to answer."""

    def __str__(self) -> str:
        until = "" if self.sunset is None else f" until {self.sunset.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        return f"tag {self.version} {self.tag.value}{until}"


@dataclass(frozen=True, slots=True)
class ClearTag:
    """Take a tag off a version."""

    version: ModelVersion
    tag: Tag

    def __str__(self) -> str:
        return f"untag {self.version} {self.tag.value}"


@dataclass(frozen=True, slots=True)
class SetCanary:
    """Let a version answer `weight` basis points of the traffic; 0 ends it. `override` lifts its quarantine."""

    version: ModelVersion
    digest: str
    weight: int
    override: bool = False

    def __str__(self) -> str:
        return f"canary {self.version} {self.weight / 100:g} %"


@dataclass(frozen=True, slots=True)
class SetShadow:
    """Mirror `weight` basis points of the traffic to a version; 0 ends it. `override` lifts its quarantine."""

    version: ModelVersion
    digest: str
    weight: int
    override: bool = False

    def __str__(self) -> str:
        return f"shadow {self.version} {self.weight / 100:g} %"


@dataclass(frozen=True, slots=True)
class Promote:
    """Put a version into production; the one that was there stays hot. `override` lifts its quarantine."""

    version: ModelVersion
    digest: str
    override: bool = False

    def __str__(self) -> str:
        return f"promote {self.version}"


@dataclass(frozen=True, slots=True)
class RollBack:
    """Drop the canaries, or, where there are none or `to` says so, put an earlier production back."""

    to: ModelVersion | None = None

    def __str__(self) -> str:
        return "rollback" if self.to is None else f"rollback to {self.to}"


@dataclass(frozen=True, slots=True)
class Release:
    """Lift a version's quarantine."""

    version: ModelVersion

    def __str__(self) -> str:
        return f"release {self.version}"


Change = SetTag | ClearTag | SetCanary | SetShadow | Promote | RollBack | Release | PracticeChange | SetConsumer | ClearConsumer
"""A change says in a phrase what it asks for; the phrase is the action in the audit."""


@dataclass(frozen=True, slots=True)
class ChangeFacts:
    """What `apply` may know of the world: who asks, which versions are READY, and what the others are instead."""

    decided: Decided
    ready: frozenset[ModelVersion] = frozenset()
    states: Mapping[ModelVersion, str] = field(default_factory=dict[ModelVersion, str])
    roles: tuple[str, ...] = ()
    """Of whoever asks."""
    signal: str = ""
    """What asks, when it is no person."""

    def instead(self, version: ModelVersion) -> str | None:
        """What a version is instead of READY; None where it is."""
        return None if version in self.ready else self.states.get(version, "not loaded")


@dataclass(frozen=True, slots=True)
class WayBack:
    """What a rollback does: production afterwards, the versions it condemns, and the canaries it ends."""

    target: ModelVersion
    condemned: tuple[ModelVersion, ...]
    dropped: tuple[ModelVersion, ...]


def apply(record: FamilyRecord, change: Change, facts: ChangeFacts) -> FamilyRecord:
    """Make a change. Raises a `ChangeRefused` that says why not."""
    return replace(_applied(record, change, facts), revision=record.revision + 1)


def way_back(record: FamilyRecord, to: ModelVersion | None = None) -> WayBack:
    """What a rollback would do now. Raises `NothingToRollBack` or `NotARollbackTarget`."""
    production, dropped = record.production, record.canary_versions
    if production is None:
        raise NothingToRollBack(record.family)
    if record.drill is not None and to in {None, production}:
        # What is practised becomes serious: production stays where the drill has put it.
        return WayBack(production, condemned=(record.drill.version,), dropped=dropped)
    if dropped and to in {None, production}:
        return WayBack(production, condemned=dropped, dropped=dropped)
    # A standby that was itself rolled back as a canary is gone back to only by name.
    unstained = (version for version in record.previous if version not in record.quarantined)
    target = next(unstained, None) if to is None else to
    if target is None or target == production:
        candidate = (_candidate(record),)
        return WayBack(production, condemned=candidate, dropped=candidate)
    if target not in record.previous:
        raise NotARollbackTarget(record.family, target, record.previous)
    return WayBack(target, condemned=(production,), dropped=dropped)


def _candidate(record: FamilyRecord) -> ModelVersion:
    """The candidate of a rollout that gets copies only: what is left to take back where production stays. Raises `NothingToRollBack`."""
    if record.rollout is None or not record.rollout.is_afoot:
        raise NothingToRollBack(record.family)
    return ModelVersion.parse(record.rollout.rollout.version)


def _applied(record: FamilyRecord, change: Change, facts: ChangeFacts) -> FamilyRecord:  # noqa: PLR0911 - one kind of change each
    match change:
        case SetTag():
            return _moved(_known(record, change.version, change.digest), change, facts)
        case SetCanary() | SetShadow() | Promote():
            _refuse_busy(record, change)
            return _moved(_known(record, change.version, change.digest), change, facts)
        case ClearTag():
            return _untagged(record, change)
        case RollBack():
            return _rolled_back(record, way_back(record, change.to), facts)
        case Release():
            return _freed(record, change.version)
        case BeginDrill() | EndDrill() | FailDrill() | BeginRehearsal() | MeasureRehearsal() | CatchRehearsal() | EndRehearsal():
            return practised(record, change, facts.decided, facts.ready)
        case SetConsumer() | ClearConsumer():
            return replace(record, consumers=registered(record.family, record.consumers, change))


def _refuse_busy(record: FamilyRecord, change: SetCanary | SetShadow | Promote) -> None:
    """Refuse to move a version forward beside a rollout or a drill: they alone do."""
    if record.rollout is not None and record.rollout.is_afoot:
        raise RolloutAfoot(record.family, record.rollout.rollout.version)
    if record.rollout is not None and isinstance(change, SetCanary) and holdback_of(record) is not None:
        # A canary would be bucketed otherwise, and whoever is held back would change sides.
        raise RolloutAfoot(record.family, record.rollout.rollout.version)
    if record.drill is not None:
        raise DrillUnderway(record.family, record.drill.version)


def _moved(record: FamilyRecord, change: SetTag | SetCanary | SetShadow | Promote, facts: ChangeFacts) -> FamilyRecord:
    match change:
        case SetTag():
            return _tagged(record, change, facts)
        case SetCanary():
            return _with_canary(record, change, facts)
        case SetShadow():
            return _with_shadow(record, change, facts)
        case Promote():
            return _promoted(record, change, facts)


def _known(record: FamilyRecord, version: ModelVersion, digest: str) -> FamilyRecord:
    recorded = record.digests.get(version)
    if recorded is None:
        return replace(record, digests={**record.digests, version: digest})
    if recorded != digest:
        raise DigestChanged(record.family, version, recorded=recorded, offered=digest)
    return record


def _tagged(record: FamilyRecord, change: SetTag, facts: ChangeFacts) -> FamilyRecord:
    version = change.version
    match change.tag:
        case Tag.CANDIDATE:
            # A quarantined version may be loaded and looked at; it still takes no traffic without an override.
            refuse_deprecated(record, version)
            return replace(record, candidate=version)
        case Tag.STAGING:
            refuse_unfit(record, version, override=False)
            if record.staging not in {None, version}:
                refuse_unready(record, version, facts.instead(version))
            return replace(record, staging=version)
        case Tag.DEPRECATED:
            refuse_in_use(record, version)
            if change.sunset is not None and change.sunset < facts.decided.at:
                raise SunsetBefore(record.family, version, change.sunset)
            deprecations = deprecated_anew(record.deprecations, version, facts.decided.at, change.sunset)
            return replace(record, deprecated=record.deprecated | {version}, deprecations=deprecations)
        case Tag.PRODUCTION | Tag.SHADOW:
            raise TagFollowsRoute(change.tag)


def _untagged(record: FamilyRecord, change: ClearTag) -> FamilyRecord:
    if change.tag in {Tag.PRODUCTION, Tag.SHADOW}:
        raise TagFollowsRoute(change.tag)
    if change.tag not in record.tags_of(change.version):
        raise TagNotCarried(record.family, change.version, change.tag)
    match change.tag:
        case Tag.CANDIDATE:
            return replace(record, candidate=None)
        case Tag.STAGING:
            return replace(record, staging=None)
        case _:
            left = record.deprecated - {change.version}
            return replace(
                record,
                deprecated=left,
                deprecations={version: record.deprecations[version] for version in left & record.deprecations.keys()},
            )


def _with_canary(record: FamilyRecord, change: SetCanary, facts: ChangeFacts) -> FamilyRecord:
    held = record.canary_of(change.version)
    weight = 0 if held is None else held.slice.weight
    if _is_end(record, change, held=weight, part="canary"):
        return without_canaries(record, frozenset({change.version}))
    if held is None and len(record.canaries) >= MOST_CANARIES:
        raise TooManyCanaries(record.family, record.canary_versions)
    if change.weight > weight:
        record = _fit_beside_production(record, change, facts)
    canary = Canary(change.version, Slice(free_end(record) if held is None else held.slice.end, change.weight))
    canaries = (*record.canaries, canary) if held is None else tuple(canary if each == held else each for each in record.canaries)
    total = sum(each.slice.weight for each in canaries)
    if total > WHOLE:
        raise WeightsExceedWhole(record.family, total=total)
    return replace(record, canaries=canaries, salt=record.salt or canary_salt(record.family, change.version))


def _with_shadow(record: FamilyRecord, change: SetShadow, facts: ChangeFacts) -> FamilyRecord:
    held = record.shadow_of(change.version)
    weight = 0 if held is None else held.weight
    if _is_end(record, change, held=weight, part="shadow"):
        return replace(record, shadows=tuple(each for each in record.shadows if each != held))
    if held is None and len(record.shadows) >= MOST_SHADOWS:
        raise TooManyShadows(record.family, (shadow.version for shadow in record.shadows))
    if change.weight > weight:
        record = _fit_beside_production(record, change, facts)
    shadow = Shadow(change.version, change.weight)
    shadows = (*record.shadows, shadow) if held is None else tuple(shadow if each == held else each for each in record.shadows)
    return replace(record, shadows=shadows)


def _is_end(record: FamilyRecord, change: SetCanary | SetShadow, *, held: int, part: str) -> bool:
    if not 0 <= change.weight <= WHOLE:
        raise WeightOutOfRange(change.weight)
    if change.weight:
        return False
    if not held:
        raise NotRouted(record.family, change.version, part)
    return True


def _promoted(record: FamilyRecord, change: Promote, facts: ChangeFacts) -> FamilyRecord:
    version = change.version
    if version == record.production:
        raise AlreadyInProduction(record.family, version)
    refuse_unfit(record, version, override=change.override)
    refuse_unready(record, version, facts.instead(version))
    if record.production is not None and not change.override:
        refuse_one_way(record, record.production, facts.instead(record.production))
    superseded = () if record.production is None else (record.production,)
    standbys = tuple(other for other in (*superseded, *record.previous) if other != version)
    record = without(released(record, version), frozenset({version}))
    if record.rollout is not None and not record.rollout.is_over:
        record = replace(record, rollout=superseded_by(record.rollout, facts.decided, record.revision, to=str(version)))
    return replace(record, production=version, production_decided=facts.decided, previous=standbys[:MOST_STANDBYS])


def _reversed(record: FamilyRecord, back: WayBack, facts: ChangeFacts) -> FamilyRecord:
    """A rollback says to the rollout what becomes of it: its candidate is condemned, or lost what it was compared with."""
    underway, is_switched = record.rollout, back.target != record.production
    if underway is None or underway.is_over:
        return record
    version = ModelVersion.parse(underway.rollout.version)
    if version in back.condemned:
        after = reversed_by(underway, facts.decided, record.revision, roles=facts.roles, signal=facts.signal)
        return replace(record, rollout=after)
    if not is_switched and version not in back.dropped:
        return record
    after = superseded_by(underway, facts.decided, record.revision, to=f"the rollback to {back.target}")
    return replace(retired(record, version), rollout=after)


def retired(record: FamilyRecord, version: ModelVersion) -> FamilyRecord:
    """Without the version in traffic or on its way there."""
    return without(record, frozenset({version}))


def _rolled_back(record: FamilyRecord, back: WayBack, facts: ChangeFacts) -> FamilyRecord:
    is_switched = back.target != record.production
    record = broken_off(_reversed(record, back, facts), facts.decided)
    ended = frozenset((*back.condemned, *back.dropped))
    record = without_canaries(without(record, frozenset(back.condemned)), ended)
    if is_switched:
        record = without(released(record, back.target), frozenset({back.target}))
    return replace(
        record,
        production=back.target,
        production_decided=facts.decided if is_switched else record.production_decided,
        previous=tuple(version for version in record.previous if version != back.target),
        quarantined={**record.quarantined, **dict.fromkeys(back.condemned, facts.decided.reason)},
    )


def _freed(record: FamilyRecord, version: ModelVersion) -> FamilyRecord:
    if version not in record.quarantined:
        raise NotQuarantined(record.family, version)
    return released(record, version)


def _fit_beside_production(record: FamilyRecord, change: SetCanary | SetShadow, facts: ChangeFacts) -> FamilyRecord:
    if record.production is None:
        raise NeedsProduction(record.family)
    if change.version == record.production:
        raise AlreadyInProduction(record.family, change.version)
    refuse_unfit(record, change.version, override=change.override)
    refuse_unready(record, change.version, facts.instead(change.version))
    return released(record, change.version)
