"""The processes of an installation, as the kernel tells them: Ray keeps all of them in the session of `pointsman serve`."""

from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_STATE, _PARENT, _SESSION = 0, 1, 3


@dataclass(frozen=True, slots=True)
class Process:
    """A process that runs; what Ray runs says in its title what it is for."""

    pid: int
    title: str


def in_session(leader: int) -> list[Process]:
    """Every process of a session that is not dead yet."""
    return [process for pid in _pids() if _session_of(pid) == leader and (process := _process(pid)) is not None]


def children_of(parent: int) -> list[int]:
    """The processes that a process has started and that run."""
    return [pid for pid in _pids() if _is_alive(fields := _fields(PROC / str(pid) / "stat")) and int(fields[_PARENT]) == parent]


def naming(text: str) -> list[Process]:
    """Every process whose command line or environment has a text in it, whatever session it is in."""
    return [process for pid in _pids() if _says(pid, text.encode()) and (process := _process(pid)) is not None]


def is_running(pid: int) -> bool:
    """Whether any thread of a process is alive: its sockets are closed when the last one is gone, not when the first is a zombie."""
    try:
        threads = list((PROC / str(pid) / "task").iterdir())
    except OSError:
        return False
    return any(_is_alive(_fields(thread / "stat")) for thread in threads)


def _pids() -> list[int]:
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]


def _session_of(pid: int) -> int | None:
    fields = _fields(PROC / str(pid) / "stat")
    return int(fields[_SESSION]) if _is_alive(fields) else None


def _fields(stat: Path) -> list[bytes]:
    # The name, in parentheses, may hold anything, so the fields are counted from its end.
    return _read(stat).rpartition(b")")[2].split()


def _is_alive(fields: list[bytes]) -> bool:
    return bool(fields) and fields[_STATE] not in {b"Z", b"X"}


def _process(pid: int) -> Process | None:
    title = _read(PROC / str(pid) / "cmdline").replace(b"\0", b" ").strip().decode(errors="replace")
    return Process(pid, title) if title else None


def _says(pid: int, text: bytes) -> bool:
    return text in _read(PROC / str(pid) / "cmdline") or text in _read(PROC / str(pid) / "environ")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # gone since it was listed, or somebody else's
        return b""
