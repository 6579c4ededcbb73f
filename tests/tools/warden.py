"""Ends what a test process has started once that process is gone, however it went: a run that is cut off leaves no installation behind.

The warden is a process of its own, in a session of its own. It holds the other end of a pipe of the test process, which the system closes
when that dies, kill -9 included. Unlike PR_SET_PDEATHSIG it does not mind which thread has started what, and what it ends need not help.
"""

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

END_S = 10.0


class Warden:
    """Watches over what is to end with this process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True, text=True
        )
        atexit.register(self.dismiss)

    def watch(self, place: Path, *, session: int | None = None, also: Sequence[Path] = ()) -> None:
        """When this process is gone, end a session's processes and those that name a place, and remove the place and others `also`."""
        self._say({"place": str(place), "session": session, "also": [str(path) for path in also]})

    def forget(self, place: Path) -> None:
        """All of it has ended; the session's number may be another's soon."""
        self._say({"place": str(place), "forget": True})

    def dismiss(self) -> None:
        """End what is still watched, as if this process were gone."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait(3 * END_S)

    def _say(self, line: dict[str, object]) -> None:
        assert self._process.stdin is not None
        print(json.dumps(line), file=self._process.stdin, flush=True)


@cache
def warden() -> Warden:
    """That of this process."""
    return Warden()


def watch_until_left(lines: Iterable[str]) -> None:
    """Read until whoever writes is gone, then end what is left."""
    watched: list[dict[str, Any]] = []
    for line in lines:
        said = json.loads(line)
        if said.get("forget"):
            watched = [one for one in watched if one["place"] != said["place"]]
        else:
            watched.append(said)
    sessions = {one["session"] for one in watched} - {None}
    names = [one["place"].encode() for one in watched]
    until = time.monotonic() + END_S
    while (left := _left(sessions, names)) and time.monotonic() < until:
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)  # a process that is being killed may start one more
    for folder in (folder for one in watched for folder in (one["place"], *one["also"])):
        shutil.rmtree(folder, ignore_errors=True)


def _left(sessions: set[int], names: Sequence[bytes]) -> list[int]:
    if not sessions and not names:
        return []
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if pid != os.getpid() and _is_watched(Path("/proc", str(pid)), sessions, names)]


def _is_watched(process: Path, sessions: set[int], names: Sequence[bytes]) -> bool:
    try:
        state, _, _, session, *_ = (process / "stat").read_bytes().rpartition(b")")[2].split()
        says = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    except OSError:  # gone since it was listed, or somebody else's
        return False
    return state not in {b"Z", b"X"} and (int(session) in sessions or any(name in says for name in names))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    watch_until_left(sys.stdin)
