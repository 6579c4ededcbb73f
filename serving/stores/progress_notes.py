"""How far versions are on their way to being loaded, told by the processes that load them to the controller of their node.

One small file each, replaced whole. A note says what a person may want to know; nothing is decided by it.
"""

from contextlib import suppress
from pathlib import Path

LONGEST = 300


class ProgressNotes:
    """The notes of one node. A note that cannot be written or read is no trouble: it is as if nothing were said."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def say(self, digest: str, progress: str) -> None:
        """Leave a note on a version."""
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, exist_ok=True)
            aside = self._folder / f"{digest}.part"
            aside.write_text(progress[:LONGEST], "utf-8")
            aside.replace(self._folder / digest)

    def read(self, digest: str) -> str:
        """The note on a version, or nothing."""
        try:
            return (self._folder / digest).read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            return ""

    def clear(self, digest: str) -> None:
        """Take the note on a version away."""
        with suppress(OSError):
            (self._folder / digest).unlink()
