"""Traffic that goes on while a test does something else: `load_probe.py` in a process of its own, followed by its progress."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.e2e.installation import environment

LAST_S = 100.0

Record = Callable[[str, object], None]
"""pytest's `record_property`: a figure that stands in the closing summary and in the JUnit report."""


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What came of all that was sent."""

    sent: int
    answered: int
    failed: int
    unanswered: int
    failures: list[str]
    versions: dict[str, int]
    reasons: dict[str, int]
    first_reasons: dict[str, float]
    """When the first answer came that was routed for each reason, on the machine's monotonic clock."""
    last_sent: dict[str, float]
    """When the last request was sent that each version answered, on the machine's monotonic clock."""
    p50_ms: float
    p99_ms: float
    max_ms: float
    behind_ms: float
    """By how much the client itself was late, at most."""
    rated: int
    """Answers that were rated, and whose rating counted."""

    def refuse_failures(self) -> None:
        """Raise unless everything that was sent got a good answer."""
        assert (self.failed, self.unanswered) == (0, 0), self
        assert self.answered == self.sent


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the load has come at a moment of the machine's monotonic clock; `last_sent` as in the report."""

    at: float
    answered: int
    failed: int
    last_sent: dict[str, float]


class Load:
    """Requests to one path at a steady rate, from entering to leaving the context or to `finish`.

    With `truths`, the true label of each request, every answer is rated by `POST /v1/feedback`: 1 where it is right, else 0.
    """

    def __init__(
        self, port: int, path: str, requests: Sequence[object], *, rate: int, truths: Sequence[object] = (), host: str = "127.0.0.1"
    ) -> None:
        bodies = [json.dumps(request) for request in requests]
        self._plan = {"host": host, "port": port, "path": path, "rate": rate, "bodies": bodies, "truths": list(truths)}

    def __enter__(self) -> Self:
        probe = Path(__file__).with_name("load_probe.py")
        self._process = subprocess.Popen(
            [sys.executable, str(probe)], env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(self._plan) + "\n")
        self._process.stdin.flush()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()

    def wait_answered(self, count: int) -> int:
        """Wait until so many more were answered than at the time of asking; how many there are now."""
        due: int | None = None
        while True:
            answered = int(self._next()["answered"])
            due = answered + count if due is None else due
            if answered >= due:
                return answered

    def now(self) -> Progress:
        """How it stands, as told after this was asked."""
        asked = time.monotonic()
        while (told := self._next())["at"] < asked:
            pass
        return Progress(told["at"], told["answered"], told["failed"], told["last_sent"])

    def wait_gone(self, version: str, *, quiet_s: float = 0.5) -> float:
        """Wait until a version has answered nothing that was sent for so long; when the last such request was sent."""
        while True:
            told = self.now()
            last = told.last_sent.get(version, 0.0)
            if told.at - last > quiet_s:
                return last

    def finish(self) -> LoadReport:
        """Send no more, wait for the last answer, and give the report."""
        self._process.terminate()
        while not (report := self._next())["done"]:
            pass
        del report["done"], report["at"]
        return LoadReport(**report)

    def _next(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the client ended with {self._process.wait(LAST_S)}"
        document: dict[str, Any] = json.loads(line)
        return document
