"""The record of a family: what is deployed as what, and the changes that may be made to it.

`apply` is the only way a record changes, and it refuses whatever would break an invariant:

- one version in production; a canary or shadow needs a production to stand beside;
- at most two canaries, growing from opposite ends, together at most the whole;
- a version takes traffic only when it is READY, and never while deprecated or quarantined (rollback excepted);
- a rollback needs nothing but a target: no readiness, no approval, no metrics.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from registry_client.references import Tag
from registry_client.versions import ModelVersion
from serving.core.routing import MissingKey
from serving.core.traffic import Slice, refuse_weight


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
class FamilyRecord:
    """Everything that is decided about one family. Immutable: a change makes a new one, one revision higher."""

    family: str
    revision: int = 0
    digests: Mapping[ModelVersion, str] = field(default_factory=dict)
    """Every version that was ever given a tag here, by the digest that was meant."""
    production: ModelVersion | None = None
    previous: tuple[ModelVersion, ...] = ()
    """Superseded productions, newest first: the rollback targets."""
    canaries: tuple[Canary, ...] = ()
    shadows: tuple[Shadow, ...] = ()
    candidate: ModelVersion | None = None
    staging: ModelVersion | None = None
    deprecated: frozenset[ModelVersion] = frozenset()
    quarantined: Mapping[ModelVersion, str] = field(default_factory=dict)
    """Versions that were rolled back, with the reason: they take traffic again only by an explicit override."""
    key_headers: tuple[str, ...] = ("x-user-id", "x-session-id")
    missing_key: MissingKey = MissingKey.RANDOM
    salt: str = ""

    def tags_of(self, version: ModelVersion) -> frozenset[Tag]:
        """The tags a version carries; `production` and `shadow` follow from the route."""
        raise NotImplementedError

    def aspired(self) -> tuple[ModelVersion, ...]:
        """The versions that should be loaded: all with a part in the route, plus the hot standbys to roll back to."""
        raise NotImplementedError
