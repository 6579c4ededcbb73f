"""The version's end of a component host: starts it, hands it tensors, and starts it again should it die."""

import os
import signal
import socket
import subprocess
import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import serving
from registry_client.files import measure
from serving.dataplane.components.entries import Entry
from serving.dataplane.components.transform import Names, Tensors
from serving.dataplane.faults import LoadFailed, ModelFault
from serving.dataplane.hosting.parcels import HungUp, Parcel, receive, send
from serving.dataplane.hosting.program import BOOT

_PACKAGES: Final = str(Path(serving.__file__).resolve().parent.parent)
_END_S: Final = 2.0
_STDERR: Final = 2


@dataclass(frozen=True, slots=True)
class HostPlan:
    """What a component host is given. `threads`: of numerical libraries; `allowance`: bytes that loading may add to its memory."""

    python: Path
    threads: int
    allowance: int

    @property
    def environment(self) -> dict[str, str]:
        """All of the host's environment: nothing of this process's, which may hold secrets."""
        threads = str(self.threads)
        own = {"PATH": os.defpath, "LANG": "C.UTF-8"}
        return own | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), threads)


class _NotLoadedAgain(Exception):
    """What was loaded before fails to load in a new process."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What was loaded. The host holds modules against their digests itself; what else they read is held against them here."""

    wanted: Mapping[str, Any]
    digests: Mapping[Path, str]

    def refuse_change(self) -> None:
        for path, sha256 in self.digests.items():
            if _sha256(path) != sha256:
                msg = f"{path.name} is not what it was"
                raise _NotLoadedAgain(msg)


class ComponentHost:
    """One process that runs a version's locked components. It dies with the thread that started it, and is started again when needed."""

    def __init__(self, plan: HostPlan) -> None:
        self._plan = plan
        self._process: subprocess.Popen[bytes] | None = None
        self._link: socket.socket | None = None
        self._end: weakref.finalize[[subprocess.Popen[bytes], socket.socket], ComponentHost] | None = None
        self._loads: list[_Loaded] = []
        self._turn = threading.Lock()

    def load(self, entry: Entry, *, label: str) -> "HostedTransform":
        """Import a component's entry there and call its factory. Raises `LoadFailed`."""
        wanted = {
            "modules": {name: str(path) for name, path in entry.modules.items()},
            "digests": {str(path): sha256 for path, sha256 in entry.digests.items()},
            "module": entry.module,
            "factory": entry.factory,
            "config": entry.component.config,
            "digest": entry.component.sha256,
            "allowance": self._plan.allowance,
        }
        with self._turn:
            error = self._ask({"load": wanted}, {}).message.get("error")
            if error is not None:
                reason = f"{label}: {entry.component.entry} failed to load in its environment: {error}"
                raise LoadFailed(reason)
            self._loads.append(_Loaded(wanted, entry.digests))
            return HostedTransform(self, len(self._loads) - 1, label)

    def run(self, at: int, tensors: Tensors, *, label: str) -> Tensors:
        """Run a component. Raises `ModelFault` when it fails, or when the host dies of it."""
        with self._turn:
            answer = self._ask({"run": at}, tensors)
        error = answer.message.get("error")
        if error is not None:
            raise ModelFault(label, error)
        return answer.tensors

    def close(self) -> None:
        """End the process."""
        if self._end is not None:
            self._end()
        self._process = self._link = self._end = None

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return None if self._process is None else self._process.pid

    def _ask(self, message: Mapping[str, Any], tensors: Tensors) -> Parcel:
        try:
            link = self._link or self._started()
            send(link, message, tensors)
            return receive(link)
        except HungUp:
            return Parcel({"error": f"the components' process {self._buried()}"})
        except _NotLoadedAgain as error:
            self.close()
            return Parcel({"error": f"it failed to load again: {error}"})

    def _started(self) -> socket.socket:
        """A new process, with everything loaded that was loaded before. Raises `HungUp` or `_NotLoadedAgain`."""
        own, other = socket.socketpair()
        command = [str(self._plan.python), "-I", "-B", "-X", "utf8", "-c", BOOT, _PACKAGES, str(other.fileno()), str(os.getpid())]
        with other:
            process = subprocess.Popen(  # noqa: S603 - the environment's interpreter and our own program
                command,
                cwd="/",
                env=self._plan.environment,
                stdin=subprocess.DEVNULL,
                stdout=_STDERR,  # what a component prints is no data of ours
                pass_fds=(other.fileno(),),
            )
        self._process, self._link = process, own
        self._end = weakref.finalize(self, _end, process, own)
        for loaded in self._loads:
            loaded.refuse_change()
            send(own, {"load": loaded.wanted}, {})
            error = receive(own).message.get("error")
            if error is not None:
                raise _NotLoadedAgain(error)
        return own

    def _buried(self) -> str:
        """How the process ended, which then is forgotten: the next call starts another."""
        process = self._process
        self.close()
        code = None if process is None else process.returncode
        if code is None or code >= 0:
            return f"ended by itself, with exit code {code}"
        return f"was killed by {signal.Signals(-code).name}"


class HostedTransform:
    """One component in a host."""

    def __init__(self, host: ComponentHost, at: int, label: str) -> None:
        self._host = host
        self._at = at
        self._label = label

    def __call__(self, tensors: Tensors) -> Tensors:
        """Run it. Raises `ModelFault`."""
        return self._host.run(self._at, tensors, label=self._label)

    def trace(self, names: Names) -> None:
        """Only running it can tell."""


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return measure(file).sha256
    except OSError:
        return ""


def _end(process: "subprocess.Popen[bytes]", link: socket.socket) -> None:
    """Hang up, which ends it; and where it does not listen, kill it."""
    link.close()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
