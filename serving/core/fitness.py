"""Whether a version may take traffic or be given up, each check refusing by name, and a record without what a version was in it."""

from dataclasses import replace

from registry_client.references import Tag
from registry_client.versions import ModelVersion
from serving.core.lifecycle import FamilyRecord
from serving.core.refusals import Deprecated, NotReady, Quarantined, VersionInUse, WayBackNotReady
from serving.core.traffic import End


def refuse_unfit(record: FamilyRecord, version: ModelVersion, *, override: bool) -> None:
    """Raise `Deprecated`, or `Quarantined` unless somebody takes it on themselves."""
    refuse_deprecated(record, version)
    if version in record.quarantined and not override:
        raise Quarantined(record.family, version, record.quarantined[version])


def refuse_deprecated(record: FamilyRecord, version: ModelVersion) -> None:
    """Raise `Deprecated`."""
    if version in record.deprecated:
        raise Deprecated(record.family, version)


def refuse_unready(record: FamilyRecord, version: ModelVersion, instead: str | None) -> None:
    """Raise `NotReady` for a version that is something else `instead`."""
    if instead is not None:
        raise NotReady(record.family, version, instead)


def refuse_one_way(record: FamilyRecord, production: ModelVersion, instead: str | None) -> None:
    """Raise `WayBackNotReady` for a production that could not be gone back to, being something else `instead` of READY."""
    if instead is not None:
        raise WayBackNotReady(record.family, production, instead)


def refuse_in_use(record: FamilyRecord, version: ModelVersion) -> None:
    """Raise `VersionInUse`."""
    parts = sorted(tag.value for tag in record.tags_of(version) - {Tag.DEPRECATED})
    if record.canary_of(version) is not None:
        parts.insert(0, "canary")
    if parts:
        raise VersionInUse(record.family, version, " and ".join(parts))


def released(record: FamilyRecord, version: ModelVersion) -> FamilyRecord:
    """The record without the version's quarantine."""
    return replace(record, quarantined={other: why for other, why in record.quarantined.items() if other != version})


def without(record: FamilyRecord, versions: frozenset[ModelVersion]) -> FamilyRecord:
    """End what the versions are on their way to production: canary, shadow, candidate."""
    return replace(
        without_canaries(record, versions),
        shadows=tuple(shadow for shadow in record.shadows if shadow.version not in versions),
        candidate=None if record.candidate in versions else record.candidate,
    )


def without_canaries(record: FamilyRecord, versions: frozenset[ModelVersion]) -> FamilyRecord:
    """End what the versions are as canaries."""
    left = tuple(canary for canary in record.canaries if canary.version not in versions)
    return replace(record, canaries=left, salt=record.salt if left else "")


def free_end(record: FamilyRecord) -> End:
    """The end of the unit interval that the next canary grows from."""
    taken = {canary.slice.end for canary in record.canaries}
    return End.HIGH if End.LOW in taken else End.LOW
