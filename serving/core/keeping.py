"""Which versions must not be swept away, and why: whatever answers, may be gone back to, or carries a tag."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from registry_client.references import Tag
from registry_client.versions import ModelVersion
from serving.core.audit import RESEED, AuditEntry
from serving.core.lifecycle import FamilyRecord
from serving.core.rollout import OVER

UNKNOWN_PAST = "its past is not known that far back"
"""Why every version that was ever named is kept: nobody can say which of them were in production."""


@dataclass(frozen=True, slots=True)
class Need:
    """A version that is kept, by the digest that is meant, with every reason why."""

    version: ModelVersion
    digest: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Past:
    """When each version was last in production, as far back as was asked for. `is_whole`: whether it is known that far."""

    productions: Mapping[ModelVersion, datetime]
    is_whole: bool


def past_of(entries: Sequence[AuditEntry], since: datetime, *, limit: int) -> Past:
    """What a family's history says, the newest entry first; `limit`: how many entries were asked for."""
    recent = [entry for entry in entries if entry.at >= since]
    left = {
        ModelVersion.parse(version): entry.at for entry in reversed(recent) if isinstance(version := entry.before.get("production"), str)
    }
    reseeded = any(entry.action == RESEED for entry in recent)
    return Past(left, is_whole=not reseeded and (len(entries) < limit or len(recent) < len(entries)))


def needed(record: FamilyRecord, past: Past, loaded: Sequence[ModelVersion]) -> tuple[Need, ...]:
    """Every version of a family that is kept. `loaded`: those that run, wanted or not."""
    reasons: dict[ModelVersion, list[str]] = {}
    for version, reason in _reasons(record, past, loaded):
        if version in record.digests:
            reasons.setdefault(version, []).append(reason)
    return tuple(Need(version, record.digests[version], tuple(reasons[version])) for version in sorted(reasons))


def _reasons(record: FamilyRecord, past: Past, loaded: Sequence[ModelVersion]) -> Iterator[tuple[ModelVersion, str]]:
    for version in record.digests:
        yield from ((version, f"tag {tag.value}") for tag in sorted(record.tags_of(version) - {Tag.PRODUCTION, Tag.SHADOW}))
    if record.production is not None:
        yield record.production, "in production"
    yield from ((version, "canary") for version in record.canary_versions)
    yield from ((shadow.version, "shadow") for shadow in record.shadows)
    yield from ((version, "a way back") for version in record.previous)
    if record.rollout is not None and record.rollout.rollout.state not in OVER:
        yield ModelVersion.parse(record.rollout.rollout.version), "in a rollout"
    yield from ((version, f"in production until {at.isoformat(timespec='seconds')}") for version, at in past.productions.items())
    yield from ((version, "loaded") for version in loaded)
    if not past.is_whole:
        yield from ((version, UNKNOWN_PAST) for version in record.digests)
