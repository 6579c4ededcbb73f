"""Files that are there whole or not at all, also after a power cut, and files that must be this user's alone."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex

from serving.core.errors import PointsmanError

OWNER_ONLY = 0o600


class UnsafeFile(PointsmanError):
    """A file that somebody else could have written, or can read, where that must not be."""

    hint = "find out who changed it; it must be a regular file of the user that serves, mode 0600"

    def __init__(self, path: Path, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path} is refused: {why}")


def read_private(path: Path, most: int) -> bytes:
    """Read a file of at most `most` bytes that is this user's alone. Raises `UnsafeFile` or `OSError`.

    Root may also read what belongs to the user whose folder it lies in: at 3 AM, whoever breaks the glass is often root.
    """
    # Judged by what was opened, not by its name: what has the name may change in between. A FIFO would keep the reader waiting.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise UnsafeFile(path, "it is no regular file")
        if found.st_uid not in _trusted(path):
            raise UnsafeFile(path, f"it belongs to user {found.st_uid}, not to {os.geteuid()}")
        if found.st_mode & 0o077:
            raise UnsafeFile(path, f"others may read or write it (mode {stat.S_IMODE(found.st_mode):04o})")
        if found.st_size > most:
            raise UnsafeFile(path, f"it has {found.st_size} bytes, at most {most} are read")
        return file.read(most)


def _trusted(path: Path) -> frozenset[int]:
    mine = os.geteuid()
    return frozenset({mine}) if mine else frozenset({mine, path.parent.stat().st_uid})


def write_aside(path: Path, content: bytes, *, owner: int | None = None, on_written: Callable[[], None] | None = None) -> Path:
    """Write a file beside its place, owner-only and on the disk; give its name. `owner` is another user's id, which only root may set.

    `on_written` is called when everything is written and nothing need be on the disk yet.
    """
    aside = path.with_name(f".{path.name}.{token_hex(4)}~")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, OWNER_ONLY)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, OWNER_ONLY)
            if owner is not None:
                os.fchown(descriptor, owner, -1)
            file.write(content)
            file.flush()
            if on_written is not None:
                on_written()
            os.fsync(descriptor)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    return aside


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
