"""What a gateway keeps in memory for its callers: bodies that come in pieces, and answers that are not read yet. Together they are capped.

Small messages are not looked at: they are as many as there are connections, at most.
"""

from collections.abc import Callable

MIB = 2**20

PATIENCE_S = 1.0
"""A caller who has read for so long and still has not read all is the first to go when there is no room left."""


class Held:
    """The bytes that are held, by whom they are held for. `most`: bytes above which nothing large is taken, and answers are dropped."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.bytes = 0
        self._unread: dict[object, tuple[int, float, Callable[[], None]]] = {}
        """Of every connection that has an answer unread: how much, since when, and how to drop it; the oldest first."""

    @property
    def is_full(self) -> bool:
        """Whether there is no room for anything large."""
        return self.bytes > self.most

    def take(self, size: int) -> None:
        """Hold so many bytes more."""
        self.bytes += size

    def release(self, size: int) -> None:
        """Hold so many bytes less."""
        self.bytes -= size

    def unread(self, connection: object, size: int, now: float, drop: Callable[[], None]) -> None:
        """An answer waits to be read."""
        _, since, _ = self._unread.get(connection, (0, now, drop))
        self.read(connection)
        self._unread[connection] = size, since, drop
        self.take(size)

    def read(self, connection: object) -> None:
        """Nothing of it waits any more."""
        size, _, _ = self._unread.pop(connection, (0, 0.0, None))
        self.release(size)

    def relieve(self, now: float) -> None:
        """Where there is no room, drop those who have read longest, until there is."""
        for connection, (_, since, drop) in sorted(self._unread.items(), key=lambda held: held[1][1]):
            if not self.is_full or now - since < PATIENCE_S:
                return
            drop()
            self.read(connection)
