"""What was seen of a registry's aliases, as one file that is replaced whole."""

import asyncio
from pathlib import Path

import msgspec

from registry_client.backends.mlflow.aliases import Aliased, Aliases
from registry_client.decoding import from_json


class _Row(msgspec.Struct, frozen=True):
    family: str
    alias: str
    model_created: int
    number: str
    version: str | None


class AliasFile:
    """The file of one node. One that cannot be read is as if there were none: then the next look changes nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: Aliases | None = None

    async def load(self) -> Aliases | None:
        """What was kept; None when nothing was."""
        return await asyncio.to_thread(self._load)

    async def keep(self, known: Aliases) -> None:
        """Put it in place of what was there, unless it is the same. Raises `OSError`."""
        if known != self._kept:
            await asyncio.to_thread(self._write, known)
            self._kept = known

    def _load(self) -> Aliases | None:
        try:
            rows = from_json(self._path.read_bytes(), list[_Row])
        except (OSError, msgspec.DecodeError):
            return None
        return {(row.family, row.alias): Aliased(row.model_created, row.number, row.version) for row in rows}

    def _write(self, known: Aliases) -> None:
        rows = [_Row(family, alias, seen.model_created, seen.number, seen.version) for (family, alias), seen in sorted(known.items())]
        aside = self._path.with_suffix(".part")
        aside.write_bytes(msgspec.json.encode(rows))
        aside.replace(self._path)
