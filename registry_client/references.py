"""References: how people and programs name a version without naming its digest.

`family`, `family@2.4.1`, `family@production`, `family@^2.4`, `family@~2.4.1`, `family@2.x`. What stands after the `@` is a selector,
and the same texts go into the version slot of the Open Inference Protocol.
"""

from dataclasses import dataclass
from enum import StrEnum

from registry_client.errors import InvalidReference
from registry_client.versions import ModelVersion, VersionRange


class Tag(StrEnum):
    """The closed vocabulary of what a version is deployed as."""

    CANDIDATE = "candidate"
    STAGING = "staging"
    PRODUCTION = "production"
    SHADOW = "shadow"
    DEPRECATED = "deprecated"


@dataclass(frozen=True, slots=True)
class AnyVersion:
    """No selector: the family's route decides."""

    def __str__(self) -> str:
        return "any version"


@dataclass(frozen=True, slots=True)
class Exact:
    """One version, by name."""

    version: ModelVersion

    def __str__(self) -> str:
        return f"version {self.version}"


@dataclass(frozen=True, slots=True)
class Tagged:
    """Whatever version carries a tag."""

    tag: Tag

    def __str__(self) -> str:
        return f"tag {self.tag.value}"


@dataclass(frozen=True, slots=True)
class InRange:
    """The highest live version in a range."""

    range: VersionRange

    def __str__(self) -> str:
        return f"range {self.range}"


Selector = AnyVersion | Exact | Tagged | InRange
