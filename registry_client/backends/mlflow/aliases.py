"""Aliases of MLflow, watched by comparing: nothing else tells of one that was moved, and nothing at all of one that went with its version.

An alias that somebody moved asks for a promotion; it decides nothing. One that vanished changes nothing: what it last said still holds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Aliased:
    """What an alias points at. `version` is None where the number is no version of ours."""

    model_created: int
    """When the registered model was made, in milliseconds: one that was deleted and made again starts at number 1 again."""
    number: str
    version: str | None


Aliases = Mapping[tuple[str, str], Aliased]
"""By family and alias, spelled as they are: `Production` is another one than `production`."""


@dataclass(frozen=True, slots=True)
class AliasMoved:
    """Somebody pointed an alias at another number; a promotion is asked for where `after` is a version."""

    family: str
    alias: str
    before: str | None
    """The version it pointed at; None where there was no such alias, or it was no version of ours."""
    after: str | None
    number: str
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class AliasVanished:
    """An alias is gone, or its model is: an alarm, and no reason to change what serves."""

    family: str
    alias: str
    last: str | None
    """The version it pointed at."""
    seen_at: datetime


AliasEvent = AliasMoved | AliasVanished


def compare(before: Aliases, after: Aliases, seen_at: datetime) -> Sequence[AliasEvent]:
    """What happened between two looks, by family and alias. A number that was given anew counts as another one."""
    events = list[AliasEvent]()
    for family, alias in sorted(before.keys() | after.keys()):
        old, new = before.get((family, alias)), after.get((family, alias))
        if new is None:
            events.append(AliasVanished(family, alias, None if old is None else old.version, seen_at))
        elif new != old:
            events.append(AliasMoved(family, alias, None if old is None else old.version, new.version, new.number, seen_at))
    return events


class AliasSource(Protocol):
    """Who can be asked where the aliases point."""

    def aliases(self, known: Aliases) -> Aliases:
        """All of them now; of `known`, only what changed need be looked up. Raises `RegistryUnavailable` or `AccessRefused`."""
        ...


class AliasWatch:
    """Looks again and again, and gives what changed in between. The first look changes nothing, unless `known` says what was seen before.

    Not safe among threads; one looks.
    """

    def __init__(self, source: AliasSource, now: Callable[[], datetime], known: Aliases | None = None) -> None:
        self._source, self._now, self._known = source, now, known

    @property
    def known(self) -> Aliases | None:
        """What was seen last, to be kept over a restart: with it, what moved meanwhile is noticed."""
        return self._known

    def look(self) -> Sequence[AliasEvent]:
        """What happened since the last look. Raises as the source does; then nothing is forgotten."""
        found = self._source.aliases(self._known or {})
        before, self._known = self._known, found
        return [] if before is None else compare(before, found, self._now())
