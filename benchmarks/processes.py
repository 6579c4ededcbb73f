"""The servers' processes: started in a group of their own, waited for, weighed, and stopped with everything that they started."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from benchmarks.errors import ServerNotReady

LOOPBACK = "127.0.0.1"
PR_SET_CHILD_SUBREAPER = 36
OK = 200


class ServerProcess:
    """One server program and its descendants, for the time of a `with` block. What it says goes to `log`."""

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self._command, self._log = command, log
        self._environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        adopt_orphans()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment, start_new_session=True
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process is not None:
            stop(self._process)

    @property
    def pid(self) -> int:
        """The pid of the program that was started."""
        if self._process is None:
            return -1
        return self._process.pid

    def memory_mb(self) -> float:
        """MiB of the whole process tree, memory shared between its processes counted once."""
        return sum(memory_kib(pid) for pid in (self.pid, *descendants(self.pid))) / 1024

    def wait_until(self, is_ready: Callable[[], bool], what: str, seconds: float = 120.0) -> None:
        """Ask until it is ready. Raises `ServerNotReady` when the program ends or the time is over."""
        deadline = time.monotonic() + seconds
        while not is_ready():
            if self._process is None or self._process.poll() is not None:
                raise ServerNotReady(what, "it ended", log_tail=self._tail())
            if time.monotonic() > deadline:
                raise ServerNotReady(what, "it took too long", log_tail=self._tail())
            time.sleep(0.1)

    def _tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-25:])


def answers(url: str) -> Callable[[], bool]:
    """A question for `wait_until`: whether a GET of `url` succeeds."""

    def ask() -> bool:
        try:
            return httpx.get(url, timeout=5.0, trust_env=False).status_code == OK
        except httpx.HTTPError:
            return False

    return ask


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends, so that none of them can be lost sight of."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def stop(process: subprocess.Popen[bytes], patience: float = 30.0) -> None:
    """Ask the program to end, then end what is left of it and of its descendants."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    _await_end_of(lambda: _started_by(process), 5.0)
    for pid in _started_by(process):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _await_end_of(lambda: _started_by(process), 10.0)
    process.wait()


def _started_by(process: subprocess.Popen[bytes]) -> list[int]:
    """What still runs of a server: its tree, or, once it has ended, the orphans that came to us (servers run one at a time)."""
    if process.poll() is None:
        return [*descendants(process.pid), process.pid]
    for pid in children().get(os.getpid(), []):
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
    return descendants(os.getpid())


def _await_end_of(running: Callable[[], list[int]], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while running() and time.monotonic() < deadline:
        time.sleep(0.05)


def children() -> Mapping[int, list[int]]:
    """The direct children of every process."""
    found: dict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found[parent_in((entry / "stat").read_text())].append(int(entry.name))
    return found


def parent_in(stat: str) -> int:
    """The parent's pid in a line of /proc/PID/stat, whose second field may hold spaces and parentheses."""
    return int(stat.rpartition(")")[2].split()[1])


def descendants(pid: int) -> list[int]:
    """All processes below `pid`, parents before their children."""
    family, known = children(), [pid]
    for each in known:
        known.extend(family.get(each, []))
    return known[1:]


def memory_kib(pid: int) -> int:
    """The proportional set size of one process, or its resident size where the kernel does not tell; 0 when it is gone."""
    for path, field in ((f"/proc/{pid}/smaps_rollup", "Pss"), (f"/proc/{pid}/status", "VmRSS")):
        with contextlib.suppress(OSError):
            found = field_kib(Path(path).read_text(), field)
            if found is not None:
                return found
    return 0


def field_kib(text: str, field: str) -> int | None:
    """The value of a line like `Pss:   1234 kB`."""
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0])
    return None
