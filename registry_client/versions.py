"""Semantic versions of models: parsing, order, bumps and ranges, on the `semver` package.

MAJOR breaks the interface, MINOR changes behaviour behind it, PATCH changes neither; under 0.y.z, y acts as MAJOR.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
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
    core: tuple[int, int, int] = field(init=False)
    """MAJOR, MINOR and PATCH."""
    is_prerelease: bool = field(init=False)
    """Whether it is something like 2.5.0-rc.1, which no range picks unless the range names one."""

    def __post_init__(self) -> None:
        """Keep what routing compares on every request."""
        object.__setattr__(self, "core", (self.parsed.major, self.parsed.minor, self.parsed.patch))
        object.__setattr__(self, "is_prerelease", self.parsed.prerelease is not None)

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
        if str(parsed) != text or not text.isascii():  # semver < 3.1 let other scripts' digits and a final newline through
            raise InvalidVersion(text, "it holds characters that no version has")
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
        return self.core < other.core if self.core != other.core else self.parsed < other.parsed

    def __gt__(self, other: "ModelVersion") -> bool:
        return other < self

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

    def after(self, bump: Bump) -> str:
        """The next release that declares such a step; under 0.y.z MAJOR raises y, and anything less raises z."""
        major, minor, patch = self.core
        if bump is Bump.MAJOR:
            return f"{major + 1}.0.0" if major else f"0.{minor + 1}.0"
        return f"{major}.{minor + 1}.0" if major and bump is Bump.MINOR else f"{major}.{minor}.{patch + 1}"


_NUMBER = r"(0|[1-9][0-9]*)"
_RANGE = re.compile(rf"([\^~]?){_NUMBER}(?:\.(?:(x)|{_NUMBER}(?:\.(?:(x)|{_NUMBER}(-[0-9A-Za-z.-]+)?))?))?")


@dataclass(frozen=True, slots=True)
class VersionRange:
    """A range as npm reads it: `^2.4`, `~2.4.1`, `2`, `2.x`, `2.4`, `2.4.x`. Equal when written alike."""

    text: str
    low: ModelVersion = field(compare=False, repr=False)
    """The lowest version in the range."""
    below: tuple[int, int, int] = field(compare=False, repr=False)
    """MAJOR, MINOR, PATCH that every version in the range lies below."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a range. Raises `InvalidReference`; `*` is refused, for it would let a MAJOR change through."""
        if len(text) > LONGEST:
            raise InvalidReference(text, f"longer than {LONGEST} characters")
        found = _RANGE.fullmatch(text)
        if found is None:
            raise InvalidReference(text, "a range is written ^2.4, ~2.4.1, 2, 2.x, 2.4 or 2.4.x")
        operator, major, minor_x, minor, patch_x, patch, prerelease = found.groups()
        if operator and (minor_x or patch_x):
            raise InvalidReference(text, f"{operator} and x say two different things; use one of them")
        if not operator and patch is not None:
            raise InvalidReference(text, "this is one version, not a range")
        try:
            low = ModelVersion.parse(f"{major}.{minor or 0}.{patch or 0}{prerelease or ''}")
        except InvalidVersion as error:
            raise InvalidReference(text, "what it starts from is not a version") from error
        numbers = tuple(int(part) for part in (major, minor, patch) if part is not None)
        return cls(text, low, _caret(numbers) if operator == "^" else _within(numbers))

    def matches(self, version: ModelVersion) -> bool:
        """Whether the version is in the range; a pre-release is only where the range names one of the same numbers."""
        if version.is_prerelease:
            return self.low.is_prerelease and version.core == self.low.core and version >= self.low
        return self.low.core <= version.core < self.below

    def highest(self, versions: Iterable[ModelVersion]) -> ModelVersion | None:
        """The highest of the versions that is in the range, if any is."""
        return max(filter(self.matches, versions), default=None)

    def __str__(self) -> str:
        return self.text


def _caret(numbers: tuple[int, ...]) -> tuple[int, int, int]:
    """`^`: the leftmost number that is not 0 may not change; where all given ones are 0, the last given one may not."""
    fixed = next((at for at, number in enumerate(numbers) if number), len(numbers) - 1)
    return _next(numbers[: fixed + 1])


def _within(numbers: tuple[int, ...]) -> tuple[int, int, int]:
    """`~`, and the plain forms: MAJOR and, where given, MINOR may not change."""
    return _next(numbers[:2])


def _next(prefix: tuple[int, ...]) -> tuple[int, int, int]:
    raised = (*prefix[:-1], prefix[-1] + 1, 0, 0)
    return raised[0], raised[1], raised[2]
