"""What a version is judged against: the greatest release below it, and every version that somebody has tagged."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from registry_client.versions import ModelVersion

Tags = Mapping[ModelVersion, frozenset[str]]
"""Which tags each version carries now."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """A version to compare with. `tags`: what it is deployed as, none when it is only the next below."""

    version: ModelVersion
    tags: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.version} ({', '.join(sorted(self.tags))})" if self.tags else str(self.version)


def baseline_of(version: ModelVersion, published: Iterable[ModelVersion]) -> ModelVersion | None:
    """The greatest release below a version. A pre-release promised nobody anything, so it is nobody's baseline."""
    return max((other for other in published if other < version and not other.is_prerelease), default=None)


def next_above(version: ModelVersion, published: Iterable[ModelVersion]) -> ModelVersion | None:
    """The least release above that a range leads to from a version: of the same MAJOR, below 1.0.0 of the same MINOR."""
    if version.is_prerelease:
        return None
    line = (version.core[0], None if version.core[0] else version.core[1])
    above = (other for other in published if other > version and not other.is_prerelease)
    return min((other for other in above if (other.core[0], None if other.core[0] else other.core[1]) == line), default=None)


def baselines_of(version: ModelVersion, published: Iterable[ModelVersion], tags: Tags) -> tuple[Baseline, ...]:
    """The release below in its line first, then the tagged releases, the greatest first.

    A tagged version above the new one counts too: its callers may name a range that the new version falls into.
    """
    known = set(published)
    below = baseline_of(version, known)
    wanted = {other for other, carried in tags.items() if carried and other in known and not other.is_prerelease and other != version}
    tagged = sorted(wanted - {below}, reverse=True)
    first = [] if below is None else [below]
    return tuple(Baseline(each, tags.get(each, frozenset())) for each in (*first, *tagged))
