"""The outbox of a node: one file for each letter, there whole or not at all.

DIR/NAME.letter        a letter on its way
DIR/given-up/NAME.letter   one that never arrived; the newest hundred are kept
"""

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from registry_client.decoding import from_json
from serving.core.errors import OutboxBroken
from serving.core.notices import Letter
from serving.stores.durable import sync_folder, write_aside

SUFFIX, GIVEN_UP = ".letter", "given-up"
MOST_KEPT = 100
MOST_WAITING = 10_000
"""More are refused: somebody has not been heard of for a long time, and the disk is for other things."""


class OutboxFiles:
    """The `Outbox` in a folder, which it makes; file work stays off the event loop."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._given_up = folder / GIVEN_UP

    async def put(self, letter: Letter) -> None:
        """Keep a letter, on the disk before this returns."""
        await asyncio.to_thread(self._put, letter)

    async def waiting(self) -> Sequence[Letter]:
        """All that are on their way, the one due first in front; a file that cannot be read is passed over."""
        return await asyncio.to_thread(self._waiting)

    async def done(self, letter: Letter) -> None:
        """Keep it no longer."""
        await asyncio.to_thread(self._drop, letter)

    async def give_up(self, letter: Letter) -> None:
        """Put it with those that never arrived."""
        await asyncio.to_thread(self._set_aside, letter)

    async def given_up(self) -> Sequence[Letter]:
        """Those that never arrived, the newest in front."""
        letters = await asyncio.to_thread(self._read, self._given_up)
        return sorted(letters, key=lambda letter: letter.notice.at, reverse=True)

    def _put(self, letter: Letter) -> None:
        try:
            self._given_up.mkdir(mode=0o700, parents=True, exist_ok=True)
            if sum(1 for _ in self._folder.glob(f"*{SUFFIX}")) >= MOST_WAITING:
                raise OutboxBroken(str(self._folder), f"{MOST_WAITING} letters are waiting already")
            self._write(self._folder, letter)
        except OSError as error:
            raise OutboxBroken(str(self._folder), str(error)) from error

    def _write(self, folder: Path, letter: Letter) -> None:
        path = folder / f"{letter.name}{SUFFIX}"
        write_aside(path, msgspec.json.encode(letter)).replace(path)
        sync_folder(folder)

    def _waiting(self) -> Sequence[Letter]:
        return sorted(self._read(self._folder), key=lambda letter: (letter.due, letter.name))

    def _read(self, folder: Path) -> list[Letter]:
        try:
            return [letter for file in folder.glob(f"*{SUFFIX}") if (letter := _letter(file)) is not None]
        except OSError as error:
            raise OutboxBroken(str(folder), str(error)) from error

    def _drop(self, letter: Letter) -> None:
        try:
            (self._folder / f"{letter.name}{SUFFIX}").unlink(missing_ok=True)
        except OSError as error:
            raise OutboxBroken(str(self._folder), str(error)) from error

    def _set_aside(self, letter: Letter) -> None:
        try:
            self._given_up.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._write(self._given_up, letter)
            _forget_the_oldest(self._given_up.glob(f"*{SUFFIX}"))
        except OSError as error:
            raise OutboxBroken(str(self._given_up), str(error)) from error
        self._drop(letter)


def _forget_the_oldest(files: Iterable[Path]) -> None:
    aged = sorted(files, key=lambda file: file.stat().st_mtime_ns, reverse=True)
    for file in aged[MOST_KEPT:]:
        file.unlink(missing_ok=True)


def _letter(file: Path) -> Letter | None:
    try:
        return from_json(file.read_bytes(), Letter)
    except (FileNotFoundError, msgspec.MsgspecError):
        # It has just arrived, or somebody else's file lies here.
        return None
