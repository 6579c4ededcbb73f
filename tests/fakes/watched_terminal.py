"""A real terminal of which everything is kept that was shown on it."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO


class Screen:
    """What was shown, with all that told the terminal how."""

    def __init__(self) -> None:
        self._pieces = list[bytes]()

    @property
    def shown(self) -> str:
        """All of it, the overwritten too."""
        return b"".join(self._pieces).decode()

    def watch(self, descriptor: int) -> None:
        """Look until nobody has the terminal any more."""
        with suppress(OSError):  # so Linux says that the other end was closed
            while piece := os.read(descriptor, 4096):
                self._pieces.append(piece)


@contextmanager
def watched_terminal() -> Iterator[tuple[TextIO, Screen]]:
    """A terminal to write to; what the screen has is complete afterwards."""
    screen = Screen()
    near, far = os.openpty()
    looking = threading.Thread(target=screen.watch, args=(near,))
    looking.start()
    try:
        with os.fdopen(far, "w", encoding="utf-8") as file:
            yield file, screen
    finally:
        looking.join()
        os.close(near)
