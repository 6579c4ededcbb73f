"""The load: wrk posts one fixed body from so many clients, and says how it went."""

import shutil
import subprocess
from pathlib import Path

import msgspec

from benchmarks.errors import WrkFailed, WrkMissing

SCRIPT = Path(__file__).with_name("infer.lua")
SUMMARY = "summary "
THREADS = 1
"""One for every server and every number of clients: it makes far more requests than any server here answers, and takes one core at most."""


class _Errors(msgspec.Struct, frozen=True):
    connect: int
    read: int
    write: int
    status: int
    timeout: int


class _Summary(msgspec.Struct, frozen=True):
    requests: int
    duration_us: int
    p50_us: float
    p99_us: float
    errors: _Errors


class Reading(msgspec.Struct, frozen=True):
    """What one run of wrk read. `errors`: how many requests went wrong, by kind; kinds without any are left out."""

    rps: float
    p50_ms: float
    p99_ms: float
    errors: dict[str, int] = {}

    @property
    def is_valid(self) -> bool:
        """A reading with a single failed request measures something else than was asked."""
        return not self.errors and self.rps > 0


def parse_reading(output: str) -> Reading:
    """Read the summary line of infer.lua. Raises `WrkFailed`."""
    lines = [line for line in output.splitlines() if line.startswith(SUMMARY)]
    if not lines:
        raise WrkFailed(output)
    try:
        summary = msgspec.json.decode(lines[-1].removeprefix(SUMMARY), type=_Summary)
    except msgspec.DecodeError as error:
        raise WrkFailed(output) from error
    errors = {kind: count for kind, count in msgspec.structs.asdict(summary.errors).items() if count}
    seconds = max(summary.duration_us, 1) / 1e6
    return Reading(rps=summary.requests / seconds, p50_ms=summary.p50_us / 1e3, p99_ms=summary.p99_us / 1e3, errors=errors)


def find_wrk() -> str:
    """The path of the load generator. Raises `WrkMissing`."""
    path = shutil.which("wrk")
    if path is None:
        raise WrkMissing
    return path


def drive(url: str, body: bytes, *, clients: int, seconds: int) -> Reading:
    """Post `body` to `url` from `clients` persistent connections for so long."""
    command = [find_wrk(), f"-t{THREADS}", f"-c{clients}", f"-d{seconds}s", "--timeout", "10s", "-s", str(SCRIPT), url, "--", body.decode()]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 60)
    return parse_reading(finished.stdout + finished.stderr)
