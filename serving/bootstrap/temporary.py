"""Whose a temporary folder is: whoever holds the lock on the file in it, which the system lets go of when that process dies.

An installation that is killed leaves its folders outside of the data directory behind, and may never start again; the next start of any
other one of the same user clears them away. A folder without the file is left alone: nobody can tell whose it is.
"""

import fcntl
import os
import re
import shutil
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from serving.bootstrap.layout import PRIVATE, CannotServe

OWNER = ".owner"
PATIENCE_S = 5.0
"""Whoever clears a dead one's folder away has it for milliseconds."""


class FolderTaken(CannotServe):
    """Another process has the folder, and does not let go of it."""

    hint = "set TMPDIR to another directory for one of the two"

    def __init__(self, folder: Path) -> None:
        super().__init__(f"another pointsman has {folder}")


@contextmanager
def owning(folders: Iterable[Path]) -> Iterator[None]:
    """Have these folders, and clear away what the dead left beside them. Raises `FolderTaken`."""
    own = set(folders)
    held = {folder: _hold(folder) for folder in sorted(own)}
    try:
        for place in {folder.parent for folder in own}:
            with suppress(OSError):  # a place that cannot be listed keeps what is in it
                clear_dead(place)
        yield
    finally:
        for folder, descriptor in held.items():
            with suppress(OSError):
                if list(folder.iterdir()) == [folder / OWNER]:
                    shutil.rmtree(folder)
            os.close(descriptor)


def clear_dead(place: Path) -> list[Path]:
    """Remove this user's folders in a place whose owners are dead; which they were."""
    form = re.compile(rf"pointsman-{os.getuid()}-[0-9a-f]{{8}}(?P<cleared>\.cleared-[0-9]+)?")
    cleared = list[Path]()
    for folder in sorted(place.iterdir()):
        found = form.fullmatch(folder.name)
        if found is not None and _is_own(folder) and (found["cleared"] or _taken_from_the_dead(folder)):
            shutil.rmtree(folder if found["cleared"] else _aside(folder), ignore_errors=True)
            cleared.append(folder)
    return cleared


def _is_own(folder: Path) -> bool:
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077


def _taken_from_the_dead(folder: Path) -> bool:
    """Move a folder that nobody has out of the way, so that whoever makes it anew never meets what is being removed."""
    try:
        descriptor = os.open(folder / OWNER, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not _stands(descriptor, folder):
            return False
        folder.rename(_aside(folder))
    except OSError:  # somebody has it, or was faster
        return False
    finally:
        os.close(descriptor)
    return True


def _aside(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.cleared-{os.getpid()}")


def _hold(folder: Path) -> int:
    """The descriptor of the lock on a folder, which is made where it is not."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        with suppress(FileNotFoundError):  # cleared away between the two
            folder.mkdir(mode=PRIVATE, exist_ok=True)
            descriptor = os.open(folder / OWNER, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            if _locked(descriptor) and _stands(descriptor, folder):
                return descriptor
            os.close(descriptor)
        if time.monotonic() > deadline:
            raise FolderTaken(folder)
        time.sleep(0.01)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _stands(descriptor: int, folder: Path) -> bool:
    """Whether the folder still has this very file."""
    try:
        return os.path.samestat(os.fstat(descriptor), (folder / OWNER).lstat())
    except FileNotFoundError:
        return False
