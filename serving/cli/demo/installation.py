"""The installation that the demo shows: the real `pointsman serve`, in a session of its own, and not a trace of it afterwards."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from registry_client.address import RegistryPlan
from serving.bootstrap.layout import Layout
from serving.cli.demo.errors import ServeEnded, ServeHangs

PROGRAM = Path(sys.executable).with_name("pointsman")
HOST = "127.0.0.1"
USUAL_PORTS = (8080, 8081)
GATEWAYS = 2
START_S = 120.0
STOP_S = 40.0
LOOK_S = 0.1
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Installation:
    """A running `pointsman serve`. `folder` holds its data and its log, and goes when it goes."""

    process: subprocess.Popen[bytes]
    folder: Path
    port: int
    admin_port: int

    @property
    def url(self) -> str:
        """Where predictions are asked for."""
        return f"http://{HOST}:{self.port}"

    @property
    def admin(self) -> str:
        """Where the admin API answers."""
        return f"http://{HOST}:{self.admin_port}"

    @property
    def has_usual_ports(self) -> bool:
        """Whether commands find it without being told where it is."""
        return (self.port, self.admin_port) == USUAL_PORTS

    @property
    def data(self) -> Path:
        """Its data directory."""
        return self.folder / "data"

    @property
    def registry(self) -> Path:
        """Where its versions are published."""
        return self.data / "registry"

    @property
    def log(self) -> Path:
        """What it says."""
        return self.folder / "serve.log"

    def wait_until_up(self) -> None:
        """Return when the admin API and every gateway answer. Raises `ServeEnded` or `ServeHangs`."""
        until = time.monotonic() + START_S
        with httpx.Client(base_url=self.admin, timeout=2.0, trust_env=False) as admin:
            while not _is_up(admin):
                code = self.process.poll()
                if code is not None:
                    raise ServeEnded(code, self.log.read_text())
                if time.monotonic() > until:
                    raise ServeHangs(START_S, self.log.read_text(), "come up")
                time.sleep(LOOK_S)

    def stop(self) -> None:
        """Stop it as Ctrl-C would. Raises `ServeHangs` when that was not enough; then everything is killed."""
        self.process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_S)
        left = _wait_for_none(self.process.pid, 0.0 if self.process.poll() is None else STOP_S)
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        if left:
            raise ServeHangs(STOP_S, self.log.read_text(), "stop")

    def save_log(self) -> Path:
        """Copy what it and its processes wrote down to a place that outlives it."""
        events = Layout.of(self.data, RegistryPlan.at(self.registry)).log
        saved = self.folder.with_suffix(".log")
        saved.write_bytes(self.log.read_bytes() + (events.read_bytes() if events.exists() else b""))
        return saved

    def clean(self) -> None:
        """Remove its data, and what it would have removed had it not been killed."""
        layout = Layout.of(self.data, RegistryPlan.at(self.registry))
        for directory in (layout.sockets, layout.memory, self.folder):
            shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def fresh_installation(say: Callable[[str], None], *, keep: bool) -> Iterator[Installation]:
    """A new installation in a new folder; stopped and removed at the end, unless all went well and it is to be kept."""
    folder = Path(tempfile.mkdtemp(prefix="pointsman-demo-"))
    installation: Installation | None = None
    kept = False
    with signals_interrupt():
        try:
            installation = _start(folder)
            yield installation
            kept = keep
        except Exception:
            if installation is not None:
                say(f"its log is kept in {installation.save_log()}")
            raise
        finally:
            if not kept:
                with signals_wait():
                    say("stopping")
                    remove(installation, folder)


def remove(installation: Installation | None, folder: Path) -> None:
    """Stop an installation, if it came to that, and take everything away."""
    try:
        if installation is not None:
            installation.stop()
    finally:
        if installation is not None:
            installation.clean()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def signals_interrupt() -> Iterator[None]:
    """Whatever ends the demo ends it as Ctrl-C does, so that it can tidy up."""
    with _handled_by(signal.default_int_handler):
        yield


@contextmanager
def signals_wait() -> Iterator[None]:
    """Tidying up takes seconds and must not be left half done."""
    with _handled_by(signal.SIG_IGN):
        yield


@contextmanager
def _handled_by(handler: "signal._HANDLER") -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in ENDINGS}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def free_ports() -> tuple[int, int]:
    """The usual two ports, or two others where one of them is taken."""
    if all(_is_free(port) for port in USUAL_PORTS):
        return USUAL_PORTS
    with socket.socket() as one, socket.socket() as other:
        one.bind((HOST, 0))
        other.bind((HOST, 0))
        return one.getsockname()[1], other.getsockname()[1]


def processes_of(session: int) -> Sequence[int]:
    """The processes of a session that still run."""
    found: list[int] = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, _, sid = entry.read_text().rpartition(")")[2].split()[:4]
            if int(sid) == session and state not in {"Z", "X"}:
                found.append(int(entry.parent.name))
    return found


def _start(folder: Path) -> Installation:
    port, admin_port = free_ports()
    program = [str(PROGRAM)] if PROGRAM.exists() else [sys.executable, "-m", "serving"]
    places = ["--data", str(folder / "data"), "--registry", str(folder / "data" / "registry")]
    listeners = ["--host", HOST, "--port", str(port), "--admin-host", HOST, "--admin-port", str(admin_port), "--gateways", str(GATEWAYS)]
    with (folder / "serve.log").open("wb") as log:
        # A session of its own: a Ctrl-C at the terminal is for the demo, which then stops this in good order.
        process = subprocess.Popen(  # noqa: S603 - our own program
            [*program, "serve", *places, *listeners], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    return Installation(process, folder, port, admin_port)


def _is_up(admin: httpx.Client) -> bool:
    try:
        ready = admin.get("/health/ready")
        gateways = admin.get("/v1/gateways")
        return ready.is_success and gateways.is_success and len(gateways.json()["gateways"]) >= GATEWAYS
    except httpx.TransportError:
        return False


def _wait_for_none(session: int, seconds: float) -> Sequence[int]:
    until = time.monotonic() + seconds
    while (left := processes_of(session)) and time.monotonic() < until:
        time.sleep(LOOK_S)
    return left


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
