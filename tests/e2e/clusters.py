"""A Ray cluster of several nodes on this machine: each with an address of its own on loopback, and folders of its own."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from serving.dataplane import cluster
from tests.e2e import processes
from tests.e2e.installation import UP, VERSION_TITLE, Installation, environment
from tests.e2e.metrics import Scrape, scrape_from
from tests.e2e.processes import Process
from tests.e2e.waiting import wait_for
from tests.tools.warden import warden

START_S = 90.0
UP_S = 200.0
TRIES = 3
"""A node that is not up within 30 s gives up, which happens on a machine that is busy with something else."""

OBJECT_STORE_BYTES = 80 * 2**20


def ports_below_rays(count: int) -> list[int]:
    """Free ports that Ray does not give to its workers, which have those from 10002 on."""
    free: list[int] = []
    candidates = iter(random.sample(range(6400, 9900), 200))
    while len(free) < count:
        port = next(candidates)
        with suppress(OSError), socket.create_server(("", port)):
            free.append(port)
    return free


@dataclass
class RayNode:
    """One node. Everything that runs on it has its folder in the environment, which is how all of it is found."""

    address: str
    folder: Path
    token: Path

    def start(self, *arguments: str) -> None:
        """Start it in the background, as `ray start` does."""
        self.temporary.mkdir(parents=True, exist_ok=True)
        warden().watch(self.folder)
        # As on one node; but what keeps Ray on 127.0.0.1 keeps it from having a second node.
        own = dict(cluster._environment(self.token)) | {"TMPDIR": str(self.temporary)}
        del own["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"]
        sizes = ("--num-cpus=2", "--num-gpus=0", f"--object-store-memory={OBJECT_STORE_BYTES}", "--dashboard-agent-listen-port=0")
        place = (f"--node-ip-address={self.address}", f"--temp-dir={self.folder / 'ray'}")
        script = Path(__file__).with_name("ray_node.py")
        arguments = (sys.executable, str(script), "start", *arguments, *place, *sizes)
        log = self.folder / "start.log"
        for _ in range(TRIES):
            with log.open("wb") as out:
                started = subprocess.run(
                    arguments, env=environment(**own), stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=START_S, check=False
                )
            if started.returncode == 0:
                return
            self.kill()
        msg = f"ray start on {self.address}: {log.read_text(errors='replace')[-3000:]}"
        raise AssertionError(msg)

    @property
    def temporary(self) -> Path:
        """TMPDIR of what runs there; short, since unix sockets stand in it."""
        return self.folder / "t"

    def processes(self) -> list[Process]:
        """Everything that runs there."""
        return processes.naming(str(self.folder) + "/")

    def kill(self) -> None:
        """kill -9 of the whole node: what a power cut leaves of it."""
        for process in self.processes():
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        warden().forget(self.folder)


@dataclass
class RayCluster:
    """Two nodes; the first is the head."""

    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="pm-ray-")))

    def __post_init__(self) -> None:
        self.token = self.folder / "token"
        self.token.write_text("7" * 64)
        self.token.chmod(0o600)
        self.head, self.other = (RayNode(f"127.0.0.{number}", self.folder / str(number), self.token) for number in (2, 3))
        self.port, self.client_port = ports_below_rays(2)

    @property
    def address(self) -> str:
        """What `--ray-address` takes."""
        return f"{self.head.address}:{self.port}"

    def start(self) -> None:
        """Start both nodes."""
        self.head.start("--head", f"--port={self.port}", "--include-dashboard=false", f"--ray-client-server-port={self.client_port}")
        self.join()

    def join(self) -> None:
        """Start the second node."""
        self.other.start(f"--address={self.address}")

    def remove(self) -> None:
        """Leave nothing: no process, no file."""
        for node in (self.other, self.head):
            node.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass
class ClusterInstallation(Installation):
    """An installation on the nodes of a cluster, with its state in Redis, run from the head."""

    cluster: RayCluster = field(default_factory=RayCluster)

    @classmethod
    def on(cls, cluster: RayCluster, store: str, folder: Path) -> "ClusterInstallation":
        """An installation that was never started."""
        folder.mkdir(parents=True, exist_ok=True)
        port, admin_port, metrics_port = ports_below_rays(3)
        secret = folder / "secret"
        secret.write_text("5" * 64)
        secret.chmod(0o600)
        # Every port is bound to its node's own address: both nodes are on one machine.
        own = {"GATEWAYS": "1", "HOST": "node", "ADMIN_HOST": "node", "STORE": store, "RAY_ADDRESS": cluster.address}
        spread = {"TOKEN": cluster.token, "SECRET": secret, "NODE": cluster.head.address, "METRICS_PORT": metrics_port}
        settings = own | {f"CLUSTER__{name}": str(value) for name, value in spread.items()}
        return cls(
            folder,
            port,
            admin_port,
            host=cluster.head.address,
            settings={f"POINTSMAN_{name}": value for name, value in settings.items()},
            cluster=cluster,
            metrics_port=metrics_port,
        )

    metrics_port: int = 0

    def wait_until_up(self) -> None:
        """Wait for what `serve` says when it is up: five processes later, each of which imports Ray."""
        wait_for(self._is_up, f"{self.folder} serves", seconds=UP_S)

    def _is_up(self) -> bool:
        assert self.serve is not None
        assert self.serve.poll() is None, f"serve ended with {self.serve.returncode}:\n{self.log}"
        return self.log.count(UP) >= len(self.sessions)

    def metrics(self, node: RayNode) -> Scrape:
        """What a node tells of itself."""
        return scrape_from(f"http://{node.address}:{self.metrics_port}/metrics")

    def gateways_of(self, node: RayNode) -> set[str]:
        """The gateways of a node that are heard of."""
        return {each["gateway"] for each in self.get("gateways")["gateways"] if each["gateway"].startswith(f"{node.address}-")}

    def workers_on(self, node: RayNode) -> list[int]:
        """The replicas of versions that run on a node."""
        return [process.pid for process in node.processes() if process.title.startswith(VERSION_TITLE)]
