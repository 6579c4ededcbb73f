"""Which process holds the server's end of a connection: so that a stream can prove that it reaches every gateway."""

import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks.processes import descendants

ESTABLISHED = "01"


def inodes_in(table: str, server_port: int) -> Mapping[int, str]:
    """From the text of /proc/net/tcp: the socket inode of the server's end, by the client's port."""
    found: dict[int, str] = {}
    for line in table.splitlines()[1:]:
        fields = line.split()
        local, remote, state, inode = fields[1], fields[2], fields[3], fields[9]
        if state == ESTABLISHED and _port(local) == server_port:
            found[_port(remote)] = inode
    return found


def _port(address: str) -> int:
    return int(address.rpartition(":")[2], 16)


def owners(inodes: Iterable[str], root_pid: int) -> set[int]:
    """The processes of a tree that hold any of these sockets."""
    wanted = {f"socket:[{inode}]" for inode in inodes}
    return {pid for pid in (root_pid, *descendants(root_pid)) if _holds_any(pid, wanted)}


def _holds_any(pid: int, wanted: set[str]) -> bool:
    with contextlib.suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if str(descriptor.readlink()) in wanted:
                    return True
    return False


def processes_behind(server_port: int, client_ports: Iterable[int], root_pid: int) -> set[int]:
    """The processes of the server that hold the other end of these connections."""
    wanted = set(client_ports)
    inodes = inodes_in(Path("/proc/net/tcp").read_text(), server_port)
    return owners((inode for port, inode in inodes.items() if port in wanted), root_pid)
