"""The ports that an installation listens on, looked at before anything is started: Ray takes seconds, and a port is taken at once.

Gateways share theirs, so the kernel alone would not object to a second installation on it.
"""

import errno
import socket
import sys
import time
from collections.abc import Iterator

from serving.bootstrap.layout import CannotServe
from serving.settings import Settings

PATIENCE_S = 6.0
"""The replicas of an installation that was killed let go of their ports within three seconds."""

LOOK_S = 0.1


class PortTaken(CannotServe):
    """Somebody else listens where this installation should."""

    def __init__(self, host: str, port: int, option: str) -> None:
        self.hint = f"stop what listens there (`ss -ltnp sport = :{port}` names it), or choose another port with {option}"
        super().__init__(f"{host}:{port} is taken")


class CannotListen(CannotServe):
    """An address that this machine does not have, or a port that this user may not have."""

    def __init__(self, host: str, port: int, why: str, options: str) -> None:
        self.hint = f"choose another address or port with {options}"
        super().__init__(f"cannot listen on {host}:{port}: {why}")


def refuse_unusable_ports(settings: Settings, *, patience: float = 0.0) -> None:
    """Raise `PortTaken` or `CannotListen` unless both ports can be had; one that is taken may be let go of within `patience` seconds."""
    until, is_told = time.monotonic() + patience, False
    while (fault := next(_faults(settings), None)) is not None:
        if not isinstance(fault, PortTaken) or time.monotonic() >= until:
            raise fault
        if not is_told:
            print(f"{fault}; waiting up to {patience:.0f} s for what was killed here to let go", file=sys.stderr)  # noqa: T201 - to the person at the terminal
            is_told = True
        time.sleep(LOOK_S)


def _faults(settings: Settings) -> Iterator[CannotServe]:
    places = (
        (settings.host, settings.port, "--host", "--port"),
        (settings.admin_host, settings.admin_port, "--admin-host", "--admin-port"),
    )
    for host, port, host_option, port_option in places:
        fault = _trouble(host, port)
        if fault is not None and fault.errno == errno.EADDRINUSE:
            yield PortTaken(host, port, port_option)
        elif fault is not None:
            yield CannotListen(host, port, fault.strerror or str(fault), f"{host_option} and {port_option}")


def _trouble(host: str, port: int) -> OSError | None:
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error
    return None
