"""References: how people and programs name a version without naming its digest.

`family`, `family@2.4.1`, `family@production`, `family@^2.4`, `family@~2.4.1`, `family@2.x`. What stands after the `@` is a selector,
and the same texts go into the version slot of the Open Inference Protocol.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from registry_client.errors import InvalidReference, InvalidVersion
from registry_client.manifest import is_family_name
from registry_client.versions import LONGEST, ModelVersion, VersionRange


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

REMEMBERED = 4_096
"""Selectors whose parsing is kept: callers repeat a few, and one who never repeats costs no more than this."""

_TAGS = {tag.value: tag for tag in Tag}


@lru_cache(maxsize=REMEMBERED)
def parse_selector(text: str) -> Selector:
    """Read a tag, an exact version or a range, in this order; no text is two of them. Raises `InvalidReference`.

    Nothing after the `@` means no selector, so an empty text is refused here.
    """
    if len(text) > LONGEST:
        raise InvalidReference(text, f"longer than {LONGEST} characters")
    if text in _TAGS:
        return Tagged(_TAGS[text])
    if not text or text[0].isalpha():
        raise InvalidReference(text, f"no such tag; the tags are {', '.join(_TAGS)}, and versions are written without a v")
    numbers = text.split(".", maxsplit=2)
    if text[0].isdigit() and len(numbers) == len(("MAJOR", "MINOR", "PATCH")) and numbers[2] != "x":
        return _exact(text)
    return InRange(VersionRange.parse(text))


def _exact(text: str) -> Exact:
    try:
        return Exact(ModelVersion.parse(text))
    except InvalidVersion as error:
        raise InvalidReference(text, str(error)) from error


@dataclass(frozen=True, slots=True)
class Reference:
    """A family and which of its versions."""

    family: str
    selector: Selector = AnyVersion()

    def __str__(self) -> str:
        match self.selector:
            case AnyVersion():
                return self.family
            case Exact(version):
                return f"{self.family}@{version}"
            case Tagged(tag):
                return f"{self.family}@{tag.value}"
            case InRange(wanted):
                return f"{self.family}@{wanted}"


def parse_reference(text: str) -> Reference:
    """Read `family` or `family@selector`. Raises `InvalidReference`."""
    family, at, selector = text.partition("@")
    if not is_family_name(family):
        raise InvalidReference(text, "a family is lower-case words joined by single dashes, of at most 63 characters")
    return Reference(family, parse_selector(selector)) if at else Reference(family)
