"""Deprecated versions: since when, until when they answer at all, and what their answers say of it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from registry_client.versions import ModelVersion

OTHER = "other"
"""The consumer of a request that names none, or one that nobody registered."""


@dataclass(frozen=True, slots=True)
class Deprecation:
    """Since when a version is deprecated, and when it will stop to answer, if that is decided."""

    since: datetime
    sunset: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse times without a zone, and an end before the beginning (RFC 9745, section 4)."""
        if self.since.tzinfo is None or (self.sunset is not None and self.sunset.tzinfo is None):
            msg = "deprecations: a time lacks its zone"
            raise ValueError(msg)
        if self.sunset is not None and self.sunset < self.since:
            msg = f"deprecations: the sunset {self.sunset.isoformat()} is before the deprecation {self.since.isoformat()}"
            raise ValueError(msg)


def header_lines(deprecation: Deprecation) -> str:
    """`Deprecation` (RFC 9745) and, where the end is known, `Sunset` (RFC 8594), each with its line's end."""
    lines = f"deprecation: @{int(deprecation.since.timestamp())}\r\n"
    if deprecation.sunset is not None:
        lines += f"sunset: {format_datetime(deprecation.sunset.astimezone(UTC), usegmt=True)}\r\n"
    return lines


def deprecated_anew(
    known: Mapping[ModelVersion, Deprecation], version: ModelVersion, at: datetime, sunset: datetime | None
) -> Mapping[ModelVersion, Deprecation]:
    """With a version deprecated: one that was before stays so since then, whatever its end is moved to. Raises `ValueError`."""
    since = known[version].since if version in known else at
    return {**known, version: Deprecation(since, sunset)}
