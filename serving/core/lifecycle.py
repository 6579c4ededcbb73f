"""The record of a family: what is deployed as what, and the invariants that hold of it whatever is done to it.

`changes.apply` is the only way a record changes. The record itself refuses to exist when it contradicts itself:

- one version in production; a canary, a shadow or a rollback target needs a production to stand beside, and is never that version;
- at most two canaries, growing from opposite ends, together at most the whole;
- nothing quarantined has a part in the route;
- whatever is named has a digest;
- only deprecated versions have a sunset, and consumers have names that may be metric labels;
- a rollout is of this family and of a version that is still the same bytes; one that is live is in production, or being drilled;
- a drill is of a version that is the first to come back to.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from registry_client.references import Tag
from registry_client.versions import ModelVersion, VersionRange
from serving.core.consumers import MOST_CONSUMERS, Consumers, is_consumer_name
from serving.core.deprecation import Deprecation
from serving.core.drills import MOST_DRILLS, Drilling, DrillResult
from serving.core.rehearsals import Rehearsal
from serving.core.routing import MissingKey
from serving.core.standing import State
from serving.core.traffic import WHOLE, End, Slice, refuse_weight
from serving.core.underway import Underway

MOST_CANARIES = len(End)
MOST_SHADOWS = 4
MOST_STANDBYS = 3
"""Superseded productions that are kept hot for an instant way back."""


@dataclass(frozen=True, slots=True)
class Canary:
    """A version that answers a slice of the family's traffic."""

    version: ModelVersion
    slice: Slice


@dataclass(frozen=True, slots=True)
class Shadow:
    """A version that is sent copies of `weight` basis points of the requests; its answers never reach callers."""

    version: ModelVersion
    weight: int

    def __post_init__(self) -> None:
        """Refuse a weight outside 0..WHOLE."""
        refuse_weight("shadow weight", self.weight)


@dataclass(frozen=True, slots=True)
class Decided:
    """Who decided something, when and why."""

    at: datetime
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class FamilyRecord:
    """Everything that is decided about one family. Immutable: a change makes a new one, one revision higher."""

    family: str
    revision: int = 0
    digests: Mapping[ModelVersion, str] = field(default_factory=dict[ModelVersion, str])
    """Every version that was ever given a tag here, by the digest that was meant."""
    production: ModelVersion | None = None
    production_decided: Decided | None = None
    """Since when the production is what it is, by whom and why."""
    previous: tuple[ModelVersion, ...] = ()
    """Superseded productions, newest first: the rollback targets."""
    canaries: tuple[Canary, ...] = ()
    shadows: tuple[Shadow, ...] = ()
    candidate: ModelVersion | None = None
    staging: ModelVersion | None = None
    deprecated: frozenset[ModelVersion] = frozenset()
    deprecations: Mapping[ModelVersion, Deprecation] = field(default_factory=dict[ModelVersion, Deprecation])
    """Since when, and until when, the deprecated versions are; those of earlier programs have none."""
    consumers: Consumers = field(default_factory=dict[str, VersionRange])
    """Who calls the family, and which versions they can take."""
    quarantined: Mapping[ModelVersion, str] = field(default_factory=dict[ModelVersion, str])
    """Versions that were rolled back, with the reason: they take traffic again only by an explicit override."""
    key_headers: tuple[str, ...] = ("x-user-id", "x-session-id")
    missing_key: MissingKey = MissingKey.RANDOM
    salt: str = ""
    """What callers are bucketed by while canaries run; kept until none is left, so that nobody changes sides."""
    rollout: Underway | None = None
    """The rollout that is afoot, or the last one; None where there never was one."""
    drill: Drilling | None = None
    """The drill that is under way."""
    rehearsal: Rehearsal | None = None
    """The rehearsal that is under way."""
    drills: tuple[DrillResult, ...] = ()
    """What past drills came to, the newest first."""

    def __post_init__(self) -> None:
        """Refuse a record that contradicts itself, naming the field."""
        broken = next(_contradictions(self), None)
        if broken is not None:
            raise ValueError(broken)

    def tags_of(self, version: ModelVersion) -> frozenset[Tag]:
        """The tags a version carries; `production` and `shadow` follow from the route."""
        carried = {
            Tag.CANDIDATE: version == self.candidate,
            Tag.STAGING: version == self.staging,
            Tag.PRODUCTION: version == self.production,
            Tag.SHADOW: self.shadow_of(version) is not None,
            Tag.DEPRECATED: version in self.deprecated,
        }
        return frozenset(tag for tag, is_carried in carried.items() if is_carried)

    def aspired(self) -> tuple[ModelVersion, ...]:
        """The versions that should be loaded: all with a part in the route or a tag, plus the hot standbys to roll back to.

        Deprecated ones are among them: they go on answering callers that pinned them, until the tag is taken off.
        """
        tagged = (self.staging, self.candidate)
        shadows = (shadow.version for shadow in self.shadows)
        wanted = (self.production, *self.canary_versions, *shadows, *tagged, *self.previous, *sorted(self.deprecated))
        return tuple(dict.fromkeys(version for version in wanted if version is not None))

    @property
    def lease(self) -> timedelta | None:
        """How long the canaries' weight outlives its last renewal, by the rollout that is afoot; None where there is none."""
        return self.rollout.terms.lease if self.rollout is not None and self.rollout.is_afoot else None

    @property
    def canary_versions(self) -> tuple[ModelVersion, ...]:
        """The versions that run as canaries, the first one first."""
        return tuple(canary.version for canary in self.canaries)

    def canary_of(self, version: ModelVersion) -> Canary | None:
        """The version's canary, if it is one."""
        return next((canary for canary in self.canaries if canary.version == version), None)

    def shadow_of(self, version: ModelVersion) -> Shadow | None:
        """The version's shadow, if it is one."""
        return next((shadow for shadow in self.shadows if shadow.version == version), None)


def canary_salt(family: str, version: ModelVersion | str) -> str:
    """What callers are bucketed by from a family's first canary on."""
    return f"{family}@{version}"


def _contradictions(record: FamilyRecord) -> Iterator[str]:
    yield from _misplaced(record)
    yield from _overweight(record)
    yield from _unfit(record)
    yield from _estranged(record)
    yield from _undrillable(record)
    yield from _unregistered(record)


def _misplaced(record: FamilyRecord) -> Iterator[str]:
    shadows = tuple(shadow.version for shadow in record.shadows)
    for name, versions in (("canaries", record.canary_versions), ("shadows", shadows), ("previous", record.previous)):
        if versions and record.production is None:
            yield f"{name}: there is no production to stand beside"
        if record.production in versions:
            yield f"{name}: {record.production} is in production"
        if len(set(versions)) != len(versions):
            yield f"{name}: a version is named twice"
    if len(record.shadows) > MOST_SHADOWS:
        yield f"shadows: more than {MOST_SHADOWS}"
    if len(record.previous) > MOST_STANDBYS:
        yield f"previous: more than {MOST_STANDBYS}"


def _overweight(record: FamilyRecord) -> Iterator[str]:
    slices = [canary.slice for canary in record.canaries]
    if len({part.end for part in slices}) != len(slices):
        yield "canaries: two grow from the same end"
    if sum(part.weight for part in slices) > WHOLE:
        yield f"canaries: together they weigh more than {WHOLE}"
    if not all(part.weight for part in slices):
        yield "canaries: a weight of 0 is no canary"
    if not all(shadow.weight for shadow in record.shadows):
        yield "shadows: a weight of 0 is no shadow"


def _unfit(record: FamilyRecord) -> Iterator[str]:
    shadows = (shadow.version for shadow in record.shadows)
    for version in (record.production, *record.canary_versions, *shadows):
        if version in record.quarantined:
            yield f"quarantined: {version} has a part in the route"
    for version in (*record.aspired(), *record.deprecated, *record.quarantined):
        if version not in record.digests:
            yield f"digests: {version} is named but has none"


def _estranged(record: FamilyRecord) -> Iterator[str]:
    if record.rollout is None:
        return
    rollout = record.rollout.rollout
    version = ModelVersion.parse(rollout.version)
    if rollout.family != record.family:
        yield f"rollout: it is of {rollout.family}"
    if record.digests.get(version) != rollout.digest:
        yield f"rollout: {version} is not the candidate that it was started with"
    drilled = None if record.drill is None else record.drill.version
    if rollout.state is State.LIVE and version not in {record.production, drilled}:
        yield f"rollout: {version} is live and not in production"


def _undrillable(record: FamilyRecord) -> Iterator[str]:
    if len(record.drills) > MOST_DRILLS:
        yield f"drills: more than {MOST_DRILLS}"
    drill = record.drill
    if drill is not None and (drill.to != record.production or drill.version not in record.previous):
        yield f"drill: {drill.version} is not what {record.production} stands in for"


def _unregistered(record: FamilyRecord) -> Iterator[str]:
    for version in record.deprecations.keys() - record.deprecated:
        yield f"deprecations: {version} is not deprecated"
    if len(record.consumers) > MOST_CONSUMERS:
        yield f"consumers: more than {MOST_CONSUMERS}"
    for name in record.consumers:
        if not is_consumer_name(name):
            yield f"consumers: {name[:80]!r} is no name"


def summary(record: FamilyRecord) -> Mapping[str, object]:
    """The decided parts of a record in plain JSON values, for people and the audit."""
    return {
        "production": _text(record.production),
        "previous": [str(version) for version in record.previous],
        "canaries": {str(canary.version): canary.slice.weight for canary in record.canaries},
        "shadows": {str(shadow.version): shadow.weight for shadow in record.shadows},
        "candidate": _text(record.candidate),
        "staging": _text(record.staging),
        "deprecated": [str(version) for version in sorted(record.deprecated)],
        "sunsets": {str(version): one.sunset.isoformat() for version, one in record.deprecations.items() if one.sunset is not None},
        "consumers": {name: str(wanted) for name, wanted in record.consumers.items()},
        "quarantined": {str(version): why for version, why in record.quarantined.items()},
        "drill": None if record.drill is None else str(record.drill.version),
        "rehearsal": None if record.rehearsal is None else "caught" if record.rehearsal.is_caught else record.rehearsal.injection.value,
        "rollout": None if record.rollout is None else _rollout(record.rollout),
    }


def _rollout(underway: Underway) -> Mapping[str, object]:
    rollout = underway.rollout
    return {"id": underway.id, "state": rollout.state.value, "stage": rollout.stage}


def differences(before: FamilyRecord, after: FamilyRecord) -> tuple[Mapping[str, object], Mapping[str, object]]:
    """The parts of two records that differ, as they were and as they are."""
    old, new = summary(before), summary(after)
    changed = [part for part in old if old[part] != new[part]]
    return {part: old[part] for part in changed}, {part: new[part] for part in changed}


def _text(version: ModelVersion | None) -> str | None:
    return None if version is None else str(version)
