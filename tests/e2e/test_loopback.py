"""Where an installation on one node listens: on loopback, everything of Ray included."""

from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from tests.e2e import processes
from tests.e2e.installation import Installation

LISTENING = "0A"


Address = IPv4Address | IPv6Address


def listening(pids: set[int]) -> set[Address]:
    """The addresses on which processes accept TCP connections, as the kernel tells them."""
    inodes = {inode for pid in pids for inode in sockets_of(pid)}
    found: set[Address] = set()
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == LISTENING and inode in inodes:
                found.add(address(local.partition(":")[0]))
    return found


def sockets_of(pid: int) -> set[str]:
    try:
        links = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:  # it ended
        return set()
    return {link.removeprefix("socket:[").removesuffix("]") for link in links if link.startswith("socket:[")}


def address(hexadecimal: str) -> Address:
    """The kernel writes words of four bytes in the machine's order."""
    raw = bytes.fromhex(hexadecimal)
    packed = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    found = ip_address(packed)
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def test_without_a_cluster_nothing_is_reached_from_another_machine(installation: Installation) -> None:
    pids = {process.pid for leader in installation.sessions for process in processes.in_session(leader)}

    found = listening(pids)

    assert ip_address("127.0.0.1") in found
    assert {each for each in found if not each.is_loopback} == set()


def test_nothing_of_ray_runs_that_takes_no_part_in_serving(installation: Installation) -> None:
    titles = [process.title for leader in installation.sessions for process in processes.in_session(leader)]

    assert sum(title.startswith("ray::ServeController") for title in titles) == 1
    assert not any("DashboardAgent" in title or "dashboard.py" in title or "monitor.py" in title for title in titles)
    # On a very busy machine Serve's controller may be asked for before the process that is meant for it is there.
    assert sum(title.startswith("ray::IDLE") for title in titles) <= 1
