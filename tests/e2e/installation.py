"""One installation as its users run it: `pointsman serve` as a process of its own, and the program's commands against it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from registry_client.address import RegistryPlan
from serving.bootstrap.layout import Layout
from tests.e2e import processes
from tests.e2e.processes import Process
from tests.e2e.waiting import TooLate, wait_for
from tests.tools.warden import warden

PROGRAM = str(Path(sys.executable).with_name("pointsman"))
UP = "admin API "
"""What `serve` tells the terminal once everything of its own is up."""

START_S = 90.0
STOP_S = 60.0
COMMAND_S = 100.0
VERSION_TITLE = "ray::ServeReplica:version-"
GATEWAY_TITLE = "ray::ServeReplica:gateway"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command left behind."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        return json.loads(self.stdout)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on; all are held until all are known, so they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


def environment(**own: str) -> dict[str, str]:
    """The environment of a user who has set nothing of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("POINTSMAN_", "RAY_", "PYTEST_"))}
    return kept | own


@dataclass
class Installation:
    """A data directory, two ports, and the process that serves from them while it runs."""

    folder: Path
    port: int
    admin_port: int
    host: str = "127.0.0.1"
    serve: subprocess.Popen[bytes] | None = None
    sessions: list[int] = field(default_factory=list)
    options: tuple[str, ...] = ()
    """What `serve` is told beside its places."""
    settings: dict[str, str] = field(default_factory=dict[str, str])
    """What is set by the environment, beyond what every installation of a test is told."""

    @classmethod
    def at(cls, folder: Path, **settings: str) -> "Installation":
        """An installation that was never started, on ports of its own; `gateways="8"` is POINTSMAN_GATEWAYS."""
        folder.mkdir(parents=True, exist_ok=True)
        port, admin_port = free_ports(2)
        return cls(folder, port, admin_port, settings={f"POINTSMAN_{name.upper()}": value for name, value in settings.items()})

    @property
    def gateways(self) -> int:
        """How many gateways it is to have."""
        return int(self.settings.get("POINTSMAN_GATEWAYS", 2))

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def layout(self) -> Layout:
        return Layout.of(self.data, RegistryPlan.at(self.data / "registry"))

    @property
    def store(self) -> str:
        """Where its state is, as a location that `tests.chaos.homes` opens."""
        return self.settings.get("POINTSMAN_STORE", f"sqlite:{self.layout.state}")

    @property
    def public_url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def admin_url(self) -> str:
        return f"http://{self.host}:{self.admin_port}"

    @property
    def log(self) -> str:
        """What `serve` has told the terminal, over all its starts."""
        path = self.folder / "serve.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    # --- running ---

    def launch(self) -> None:
        """Start `pointsman serve` in a session of its own, and do not wait for it."""
        arguments = [PROGRAM, "serve", "--data", str(self.data), "--port", str(self.port), "--admin-port", str(self.admin_port)]
        with (self.folder / "serve.log").open("ab") as log:
            self.serve = subprocess.Popen(
                [*arguments, *self.options],
                cwd=self.folder,
                env=environment(**self.settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.sessions.append(self.serve.pid)
        warden().watch(self.layout.sockets, session=self.serve.pid, also=[self.layout.memory])

    def start(self) -> None:
        """Start it and wait until admin API and gateways answer."""
        self.launch()
        self.wait_until_up()

    def wait_until_up(self) -> None:
        """Wait for what `serve` says when it is up, and for all gateways of this start: those of an earlier one may still answer."""
        wait_for(self._is_up, f"{self.folder} serves", seconds=START_S)

    def _is_up(self) -> bool:
        assert self.serve is not None
        assert self.serve.poll() is None, f"serve ended with {self.serve.returncode}:\n{self.log}"
        if self.log.count(UP) < len(self.sessions):
            return False
        own = {process.pid for process in processes.in_session(self.serve.pid)}
        try:
            has_gateways = len(self.gateway_pids() & own) >= self.gateways
            return has_gateways and httpx.get(f"{self.public_url}/v2/health/live", trust_env=False).is_success
        except httpx.HTTPError:
            return False

    def stop(self) -> int:
        """Ctrl-C, and the exit code that follows."""
        assert self.serve is not None
        self.serve.send_signal(signal.SIGINT)
        return self.serve.wait(STOP_S)

    def kill(self) -> None:
        """kill -9 of `serve` alone; what it has started must find that out for itself."""
        assert self.serve is not None
        self.serve.kill()
        self.serve.wait(STOP_S)

    def leftovers_after(self, seconds: float) -> list[Process]:
        """Processes that still run after so long a grace; none as soon as there are none."""
        with suppress(TooLate):
            wait_for(lambda: not self.leftovers(), "no process is left", seconds=seconds)
        return self.leftovers()

    def leftovers(self) -> list[Process]:
        """Processes of any of its starts that run now."""
        found = {process for leader in self.sessions for process in processes.in_session(leader)}
        return sorted(found | set(processes.naming(str(self.layout.sockets))), key=lambda process: process.pid)

    def leftover_directories(self) -> list[Path]:
        """What lies outside of the data directory and must not outlive the processes."""
        return [directory for directory in (self.layout.sockets, self.layout.memory) if directory.exists()]

    def clean_up(self) -> None:
        """Leave nothing behind, whatever a failed test has left."""
        if self.serve is not None and self.serve.poll() is None:
            self.serve.kill()
            self.serve.wait(STOP_S)
        for process in self.leftovers():
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        for directory in self.leftover_directories():
            shutil.rmtree(directory, ignore_errors=True)
        warden().forget(self.layout.sockets)

    # --- asking ---

    def run(self, *arguments: str) -> Outcome:
        """Run a command of the program against this installation."""
        own = self.settings | {"POINTSMAN_ADMIN": self.admin_url, "POINTSMAN_DATA": str(self.data), "POINTSMAN_ACTOR": "e2e"}
        done = subprocess.run(
            [PROGRAM, *arguments], cwd=self.folder, env=environment(**own), capture_output=True, text=True, timeout=COMMAND_S, check=False
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def do(self, *arguments: str) -> Any:
        """Run a command that must succeed, with --json; its document."""
        outcome = self.run(*arguments, "--json")
        assert outcome.exit_code == 0, f"pointsman {' '.join(arguments)}: {outcome.stderr}"
        return outcome.document

    def get(self, path: str) -> Json:
        """A document of the admin API."""
        answer = httpx.get(f"{self.admin_url}/v1/{path}", timeout=30.0, trust_env=False)
        document: Json = answer.raise_for_status().json()
        return document

    def versions(self, family: str) -> dict[str, Json]:
        """A family's versions by name."""
        return {version["version"]: version for version in self.get(f"families/{family}/versions")["versions"]}

    def wait_ready(self, family: str, version: str) -> None:
        """Wait until a version is loaded and every gateway may ask it."""
        wait_for(lambda: self.versions(family)[version]["state"] == "ready", f"{family}@{version} is ready")

    # --- its processes ---

    def gateway_pids(self) -> set[int]:
        """The gateways that are heard of and run; each is named by its host and process id."""
        names = [gateway["gateway"] for gateway in self.get("gateways")["gateways"]]
        return {pid for name in names if processes.is_running(pid := int(name.rpartition("-")[2]))}

    def worker_pids(self, family: str, version: str) -> set[int]:
        """The running replicas of a version; each is named by its digest and process id in the sockets' directory."""
        digest = self.versions(family)[version]["digest"]
        pids = [int(path.name.rpartition("-")[2]) for path in self.layout.sockets.glob(f"{digest[:12]}-*")]
        return {pid for pid in pids if processes.is_running(pid)}

    def replicas(self) -> set[Process]:
        """Every gateway and every version's replica that runs now."""
        titles = (VERSION_TITLE, GATEWAY_TITLE)
        return {process for leader in self.sessions for process in processes.in_session(leader) if process.title.startswith(titles)}
