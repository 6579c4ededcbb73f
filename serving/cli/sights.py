"""What became of the versions that were seen from here: the ledger held against the registry."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path

from registry_client.client import RegistryClient
from registry_client.errors import (
    AccessRefused,
    DamagedLedger,
    ImmutabilityViolation,
    RegistryError,
    RegistryUnavailable,
    UnknownFamily,
    UnknownVersion,
)
from registry_client.ledger import Entry
from registry_client.versions import ModelVersion
from serving.cli.auditing import open_registry
from serving.cli.failures import CommandFailed
from serving.cli.output import Json


class Standing(StrEnum):
    """What has become of a version since it was first seen."""

    SAME = "same"
    CHANGED = "changed"
    """It has another digest now: an immutability violation."""
    DAMAGED = "damaged"
    """It cannot be read, or contradicts itself."""
    GONE = "gone"
    """The registry has it no more."""


class Seen:
    """The part of the ledger that is about one registry, or one family of it."""

    def __init__(self, data: Path | None, registry: str | None, family: str | None) -> None:
        self._client = open_registry(data, registry)
        self._family = family

    def document(self) -> Json:
        """First sights and violations as JSON. Raises `CommandFailed`."""
        violations = [entry for entry in self._entries() if entry.found]
        return {
            "sights": [_sight(one) for one in self._sights()],
            "violations": [{**_sight(one), "found": one.found} for one in violations],
        }

    def compared(self) -> Iterator[Json]:
        """Each version as it was and as it stands now. Raises `CommandFailed`."""
        for sight in self._sights():
            standing, why = _standing(self._client, sight)
            yield {**_sight(sight), "standing": standing.value, "why": why}

    def _entries(self) -> Sequence[Entry]:
        try:
            return [entry for entry in self._client.ledger() if self._family in {None, entry.family}]
        except DamagedLedger as error:
            raise CommandFailed(str(error), error.hint) from error

    def _sights(self) -> Sequence[Entry]:
        firsts = {entry.key: entry for entry in reversed(self._entries()) if not entry.found}
        return sorted(firsts.values(), key=lambda sight: (sight.family, ModelVersion.parse(sight.version)))


def _standing(client: RegistryClient, sight: Entry) -> tuple[Standing, str]:
    try:
        client.manifest(sight.family, sight.version)
    except ImmutabilityViolation as violation:
        return Standing.CHANGED, str(violation)
    except (UnknownFamily, UnknownVersion) as error:
        return Standing.GONE, str(error)
    except (RegistryUnavailable, AccessRefused) as error:
        raise CommandFailed(str(error), error.hint) from error
    except RegistryError as error:
        return Standing.DAMAGED, str(error)
    return Standing.SAME, ""


def _sight(entry: Entry) -> Json:
    return {"family": entry.family, "version": entry.version, "digest": entry.digest, "at": entry.at or None}
