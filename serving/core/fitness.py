"""Whether a version may take traffic, and whether it may be given up: each check refuses by name, or says nothing."""

from dataclasses import replace

from registry_client.references import Tag
from registry_client.versions import ModelVersion
from serving.core.lifecycle import FamilyRecord
from serving.core.refusals import Deprecated, NotReady, Quarantined, VersionInUse


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
