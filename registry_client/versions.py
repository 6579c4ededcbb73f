"""Semantic versions of models: parsing, order, bumps and ranges, on the `semver` package.

MAJOR breaks the interface, MINOR changes behaviour behind it, PATCH changes neither; under 0.y.z, y acts as MAJOR.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import total_ordering
from typing import Self

from semver import Version

from registry_client.errors import InvalidReference, InvalidVersion

LONGEST = 64
"""Characters; longer than any honest version, short enough for a path and a label."""


class Bump(IntEnum):
    """How much a version differs from another, smallest first."""

    NONE = 0
    PATCH = 1
    MINOR = 2
    MAJOR = 3


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class ModelVersion:
    """One version, ordered by semver precedence (never as text: 10.0.0 is above 9.0.0)."""

    text: str
    parsed: Version

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `MAJOR.MINOR.PATCH[-prerelease]`. Raises `InvalidVersion`; build metadata is no identity and refused."""
        if len(text) > LONGEST:
            raise InvalidVersion(text, f"longer than {LONGEST} characters")
        try:
            parsed = Version.parse(text)
        except (ValueError, TypeError) as error:
            raise InvalidVersion(text, "it must be MAJOR.MINOR.PATCH, each a number without leading zeros") from error
        if parsed.build is not None:
            raise InvalidVersion(text, "build metadata (+...) is no identity")
        return cls(text, parsed)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"ModelVersion({self.text})"

    def __hash__(self) -> int:
        return hash(self.text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ModelVersion) and self.text == other.text

    def __lt__(self, other: "ModelVersion") -> bool:
        return self.parsed < other.parsed

    @property
    def is_prerelease(self) -> bool:
        """Whether it is something like 2.5.0-rc.1, which no range picks unless the range names one."""
        return self.parsed.prerelease is not None

    def bump_from(self, older: "ModelVersion") -> Bump:
        """What this version declares against an older one; under 0.y.z a new y is MAJOR and a new z MINOR."""
        new, old = self.parsed, older.parsed
        if new.major != old.major:
            return Bump.MAJOR
        if new.minor != old.minor:
            return Bump.MAJOR if new.major == 0 else Bump.MINOR
        if new.patch != old.patch:
            return Bump.MINOR if new.major == 0 else Bump.PATCH
        return Bump.NONE if new.prerelease == old.prerelease else Bump.PATCH
