"""The component host: loads a version's Python components on their own interpreter and runs them for the version's process.

Its environment holds the packages of the lock and nothing of this server's: it may import the standard library and numpy only.
"""

import ctypes
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from serving.dataplane.address_space import memory_limit
from serving.dataplane.hosting.parcels import HungUp, Parcel, receive, send
from serving.dataplane.hosting.private_modules import import_private, read_sources

BOOT = "import sys; sys.path.append(sys.argv[1]); from serving.dataplane.hosting.program import main; main()"
"""What the interpreter is given, with the folder of this server's packages, a socket's descriptor, and the parent's process id."""

_PR_SET_PDEATHSIG = 1
_OWN = ("serving",)

Function = Callable[[dict[str, Any]], object]


def main() -> None:
    """Serve until the version's process hangs up or dies."""
    folder, descriptor, parent = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    _forget_server(folder)
    _die_with(parent)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))  # the limit that was inherited counts the other process's memory
    with socket.socket(fileno=descriptor) as link:
        _serve(link)


def _forget_server(folder: str) -> None:
    """From here on only the lock's packages can be imported: not this server's, and not those that are installed beside it."""
    sys.path.remove(folder)
    for name in [name for name in sys.modules if name.partition(".")[0] in _OWN]:
        del sys.modules[name]
    sys.argv = [""]


def _die_with(parent: int) -> None:
    """A component that never returns does not read that the other side is gone: the system ends it."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


def _serve(link: socket.socket) -> None:
    functions: list[Function] = []
    while True:
        try:
            parcel = receive(link)
            message, tensors = _answer(functions, parcel)
            _send(link, message, tensors)
        except HungUp:
            return


def _answer(functions: list[Function], parcel: Parcel) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        if "load" in parcel.message:
            functions.append(_load(parcel.message["load"]))
            return {}, {}
        with np.errstate(all="ignore"):  # as in a version's own process
            answer = functions[parcel.message["run"]](parcel.tensors)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a component raises is told to the other side
        return {"error": f"{type(error).__name__}: {error}"}, {}
    if not isinstance(answer, dict):
        return {"error": f"TypeError: it must return a dict of arrays, not {type(answer).__name__}"}, {}
    return {}, answer


def _load(wanted: dict[str, Any]) -> Function:
    with memory_limit(wanted["allowance"]):
        modules = {name: Path(path) for name, path in wanted["modules"].items()}
        digests = {Path(path): sha256 for path, sha256 in wanted["digests"].items()}
        module = import_private(read_sources(modules, digests), wanted["module"], wanted["digest"])
        function: object = getattr(module, wanted["factory"])(wanted["config"])
    if not callable(function):
        msg = f"it must return a function of tensors, not {type(function).__name__}"
        raise TypeError(msg)
    return function


def _send(link: socket.socket, message: dict[str, Any], tensors: dict[str, Any]) -> None:
    try:
        send(link, message, tensors)
    except TypeError as error:
        send(link, {"error": f"TypeError: {error}"}, {})
