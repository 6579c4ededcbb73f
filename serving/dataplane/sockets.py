"""TCP sockets between the nodes: bound where they should be, and closed by the kernel when the other node has vanished."""

import socket

IDLE_S, PROBE_S, PROBES = 5, 2, 3
"""A silent connection is asked for a sign of life after so long, so often, so many times: gone within 11 s."""

UNACKED_MS = 5000
"""What was sent and not acknowledged for so long has no reader: the node is gone, or cut off."""

BACKLOG = 128


def tcp_socket(host: str) -> socket.socket:
    """A socket for a link to or from an address; an accepted one takes its options from the one that listens."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)  # noqa: FBT003 - the standard library's own signature
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, IDLE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, PROBE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKED_MS)
    return sock


def listening_socket(host: str) -> socket.socket:
    """A socket that listens on an address, on a port that the system chose. Raises `OSError`."""
    sock = tcp_socket(host)
    try:
        sock.bind((host, 0))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock
