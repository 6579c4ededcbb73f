"""How the processes of a node hear of each other's changes at once, and sleep in between: the kernel tells who watches a folder.

Whoever changed the store touches its file (its times alone, by name); inotify tells the others. No descriptor of the file is opened, for
closing one would drop the locks that SQLite holds on it for this process. All of it is a hint: what is lost costs a poll's wait.
"""

import asyncio
import ctypes
import os
import struct
from contextlib import suppress
from pathlib import Path

_EVENT = struct.Struct("iIII")
"""inotify(7): watch, mask, cookie, and the length of the padded name that follows."""

_ATTRIB, _MOVED_TO, _CREATE, _OVERFLOW, _IGNORED = 0x4, 0x80, 0x100, 0x4000, 0x8000
_BUFFER = 1 << 16

_libc = ctypes.CDLL(None, use_errno=True)


class Notices:
    """What is heard of one file. `listen` before relying on it: the watch may have to be set up anew."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._name = os.fsencode(path.name)
        self._descriptor: int | None = None
        self._folder: tuple[int, int] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: set[asyncio.Event] = set()
        self.unread = False
        """Whether something was heard that nobody has looked into."""

    def tell(self) -> None:
        """Let the others know, as well as can be."""
        with suppress(OSError):
            os.utime(self._path)

    def listen(self) -> bool:
        """Listen, from now on; False where that cannot be: no such folder, or no more watches to be had."""
        try:
            found = os.stat(self._path.parent)  # noqa: PTH116 - once a second, without the detour
        except OSError:
            self.close()
            return False
        if self._descriptor is None or self._folder != (found.st_dev, found.st_ino):
            self.close()
            self._open((found.st_dev, found.st_ino))
        return self._descriptor is not None

    async def wait(self, seconds: float) -> None:
        """Until something is heard, or for so long."""
        heard = asyncio.Event()
        self._waiting.add(heard)
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(heard.wait(), seconds)
        finally:
            self._waiting.discard(heard)

    def close(self) -> None:
        """Hear no more."""
        if self._descriptor is None:
            return
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = None

    def _open(self, folder: tuple[int, int]) -> None:
        descriptor = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if descriptor < 0:
            return
        if _libc.inotify_add_watch(descriptor, os.fsencode(self._path.parent), _ATTRIB | _MOVED_TO | _CREATE) < 0:
            os.close(descriptor)
            return
        self._descriptor, self._folder = descriptor, folder
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(descriptor, self._hear)

    def _hear(self) -> None:
        if self._descriptor is None:
            return
        events = b""
        with suppress(BlockingIOError):
            events = os.read(self._descriptor, _BUFFER)
        masks = [mask for mask, name in _events(events) if name == self._name or mask & (_OVERFLOW | _IGNORED)]
        if any(mask & _IGNORED for mask in masks):
            self.close()
        if masks:
            self.unread = True
            for heard in self._waiting:
                heard.set()


def _events(events: bytes) -> list[tuple[int, bytes]]:
    """The mask and the name of every event."""
    found: list[tuple[int, bytes]] = []
    offset = 0
    while offset < len(events):
        _, mask, _, length = _EVENT.unpack_from(events, offset)
        offset += _EVENT.size
        found.append((mask, events[offset : offset + length].rstrip(b"\0")))
        offset += length
    return found
