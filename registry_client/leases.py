"""Leases: the kernel's word that nobody else has had a file open since, so that what was written there is what is there.

A write lease is granted on a file that nobody else has open or mapped. Whoever opens or truncates it afterwards ends the lease first, for
writing or for reading, and is held up until it is let go, which happens at once. So a lease that is still whole proves that nobody touched
the content. Where there is none to be had, nothing is proven and nothing else changes.
"""

import os
from fcntl import F_GETLEASE, F_SETLEASE, F_SETOWN, F_SETSIG, F_UNLCK, F_WRLCK, fcntl
from pathlib import Path
from signal import SIGURG
from threading import Event, Lock, Thread
from typing import BinaryIO, Final, Self

LOOKS_S: Final = 0.01
"""How often it is looked whether somebody wants the file: so long he may be held up."""

_LOCAL: Final = frozenset({"btrfs", "ext2", "ext3", "ext4", "f2fs", "tmpfs", "xfs"})
"""File systems of which the kernel sees every change. Others (NFS, FUSE, overlay) are changed behind its back, whatever it grants there."""


class Lease:
    """The lease on a file that is open for reading and writing, if there is one to be had. A context; let go before the file is closed.

    This process must not open the file a second time meanwhile: it would end its own lease.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._descriptor = file.fileno()
        self._turn = Lock()
        self._over = Event()
        self._is_whole = False
        self._watching = Thread(target=self._watch, name="lease", daemon=True)

    def __enter__(self) -> Self:
        self._is_whole = _file_system(self._descriptor) in _LOCAL and _granted(self._descriptor)
        if self._is_whole:
            self._watching.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._watching.is_alive():
            self._watching.join()
        with self._turn:
            self._let_go()

    def is_whole(self) -> bool:
        """Whether nobody else has opened the file or truncated it, nor had it open before; false also when that is not known."""
        with self._turn:
            if self._is_whole and fcntl(self._descriptor, F_GETLEASE) != F_WRLCK:
                self._let_go()
            return self._is_whole

    def _watch(self) -> None:
        while self.is_whole() and not self._over.wait(LOOKS_S):
            pass

    def _let_go(self) -> None:
        if self._is_whole:
            self._is_whole = False
            fcntl(self._descriptor, F_SETLEASE, F_UNLCK)


def _granted(descriptor: int) -> bool:
    try:
        fcntl(descriptor, F_SETSIG, SIGURG)  # before: the kernel would end this process by SIGIO; SIGURG hurts nobody
        fcntl(descriptor, F_SETLEASE, F_WRLCK)
        fcntl(descriptor, F_SETOWN, 0)  # nobody is to get a signal: some program may listen for that one
    except OSError:
        return False
    return True


def _file_system(descriptor: int) -> str:
    """What the kernel calls the file system that a file is on; empty where it does not say."""
    try:
        of_file = Path(f"/proc/self/fdinfo/{descriptor}").read_text("ascii")
        mounts = os.fsdecode(Path("/proc/self/mountinfo").read_bytes())
    except OSError:
        return ""
    [number] = [line.split()[1] for line in of_file.splitlines() if line.startswith("mnt_id:")]
    kinds = {line.split()[0]: line.partition(" - ")[2].split()[0] for line in mounts.splitlines()}
    return kinds.get(number, "")
