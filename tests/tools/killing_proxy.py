"""A server that stands before a registry and kills who publishes to it, at one of the changes that he asks for."""

import http.client
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from tests.tools.meddling_proxy import Answered, Asked

CHANGES = frozenset({"PUT", "POST", "PATCH", "DELETE"})
DEAD = Answered(503, b"whoever asked is dead")


def changes(asked: Asked) -> bool:
    """Whether it changes anything in the registry."""
    return asked.method in CHANGES


def bears_something(asked: Asked) -> bool:
    """Whether half of it is less than all of it."""
    return changes(asked) and bool(asked.body)


class Moment(StrEnum):
    """How far a change is when the one who asked for it dies."""

    BEFORE = "nothing of it has reached the registry"
    AMID = "half of it has reached the registry"
    AFTER = "the registry has done it, and he has not heard so"


@dataclass
class Killing:
    """Kills the process that a file names, at the change of that number, counted from 0; nothing that it sent later gets through.

    `counts`: which requests are counted.
    """

    target: str
    pid: Path
    at: int
    moment: Moment
    counts: Callable[[Asked], bool] = changes
    count: int = 0
    is_done: bool = False
    turn: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, asked: Asked) -> Answered | None:
        """What `MeddlingProxy` asks of each request."""
        with self.turn:
            if self.is_done:
                return DEAD
            if not self.counts(asked):
                return None
            self.count += 1
            if self.count <= self.at:
                return None
            self.is_done = True
            if self.moment is Moment.AMID:
                self._forward_half(asked)
            if self.moment is not Moment.AFTER:
                self.kill()
                return DEAD
        return Answered(DEAD.status, DEAD.body, after=True, then=self.kill)

    def kill(self) -> None:
        """Kill it."""
        os.kill(int(self.pid.read_text()), signal.SIGKILL)

    def _forward_half(self, asked: Asked) -> None:
        place = urlsplit(self.target)
        connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=30)
        connection.putrequest(asked.method, asked.path, skip_host=True, skip_accept_encoding=True)
        for name, value in asked.headers.items():
            connection.putheader(name, value)
        with suppress(OSError):  # it may have refused what it has seen
            connection.endheaders(asked.body[: len(asked.body) // 2])
        connection.close()
