"""Hints on the disk of a single node: one file that is replaced by whoever leaves one. It need not outlive the machine."""

import asyncio
from pathlib import Path
from secrets import token_hex

from serving.core.errors import StoreUnavailable


class HintFile:
    """The `Hints` of one node."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def close(self) -> None:
        """Nothing is held open."""

    async def leave(self) -> None:
        """Put another text there. Raises `StoreUnavailable`."""
        await asyncio.to_thread(self._leave)

    async def stamp(self) -> str:
        """What is there; nothing before the first hint. Raises `StoreUnavailable`."""
        return await asyncio.to_thread(self._stamp)

    def _leave(self) -> None:
        text = token_hex(8)
        aside = self._path.with_name(f".{self._path.name}.{text}~")
        try:
            aside.write_text(text, "ascii")
            aside.replace(self._path)
        except OSError as error:
            raise StoreUnavailable(f"a hint cannot be left at {self._path}: {error.strerror}") from error  # noqa: EM102, TRY003 - a sentence of its own

    def _stamp(self) -> str:
        try:
            return self._path.read_text("ascii")
        except FileNotFoundError:
            return ""
        except (OSError, ValueError) as error:
            raise StoreUnavailable(f"hints cannot be read at {self._path}: {error}") from error  # noqa: EM102, TRY003 - as above
