"""Pointsman under measurement, started the way its users start it: publish, serve, promote."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import httpx

from benchmarks import tiny
from benchmarks.errors import PointsmanRefused
from benchmarks.processes import LOOPBACK, ServerProcess, answers, free_port

PROGRAM = (sys.executable, "-m", "serving")
WAIT_SECONDS = 10
LOAD_SECONDS = 120.0


class Pointsman:
    """A running Pointsman with a data folder of its own; `gateways` as its default when None."""

    def __init__(self, scratch: Path, gateways: int | None = None) -> None:
        self._data, self._gateways = scratch / "data", gateways
        self.port, self._admin_port = free_port(), free_port()
        self.base_url, self.admin_url = f"http://{LOOPBACK}:{self.port}", f"http://{LOOPBACK}:{self._admin_port}"
        self._bundles = scratch / "bundles"
        self._process = ServerProcess(self._serve_command(), scratch / "pointsman.log")

    def __enter__(self) -> Self:
        for version in (tiny.FIRST, tiny.SECOND):
            _run("publish", str(tiny.write_bundle(self._bundles, version)), "--data", str(self._data))
        self._process.__enter__()
        try:
            self._process.wait_until(answers(self.admin_url + "/health/ready"), "start pointsman")
            _run("--admin", self.admin_url, "promote", tiny.FAMILY, tiny.FIRST)
            for path in ("/v2/health/ready", f"/v2/models/{tiny.FAMILY}/ready"):
                self._process.wait_until(answers(self.base_url + path), "start pointsman's gateways")
        except BaseException:
            self._process.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.__exit__(None, None, None)

    @property
    def infer_url(self) -> str:
        """Where the tiny model answers."""
        return self.base_url + tiny.INFER_PATH

    @property
    def process(self) -> ServerProcess:
        """Its processes."""
        return self._process

    def memory_mb(self) -> float:
        """MiB of all its processes."""
        return self._process.memory_mb()

    def load(self, version: str) -> None:
        """Have a version loaded, and wait until it is ready to take traffic."""
        self._change("PUT", "tags/candidate", {"version": version})
        deadline = time.monotonic() + LOAD_SECONDS
        while self._state_of(version) != "ready":
            if time.monotonic() > deadline:
                raise PointsmanRefused(asked=("load", version), answer=f"not ready in time, but {self._state_of(version)}")
            time.sleep(0.2)

    def promote(self, version: str) -> None:
        """Put a version that is loaded into production."""
        self._change("POST", "promote", {"version": version, "wait": WAIT_SECONDS})

    def shadow(self, version: str, percent: float) -> None:
        """Mirror so much of the traffic to a version; 0 ends it."""
        self._change("PUT", "shadow", {"version": version, "weight": percent, "wait": WAIT_SECONDS})

    def metrics(self) -> str:
        """The Prometheus text."""
        return httpx.get(self.admin_url + "/metrics", timeout=10.0, trust_env=False).text

    def change_url(self, change: str) -> str:
        """Where a change of the tiny family is asked for."""
        return f"{self.admin_url}/v1/families/{tiny.FAMILY}/{change}"

    def _change(self, method: str, change: str, body: Mapping[str, object]) -> None:
        response = httpx.request(
            method, self.change_url(change), json={"reason": "benchmark", **body}, headers=CHANGE_HEADERS, timeout=30.0, trust_env=False
        )
        if not response.is_success:
            raise PointsmanRefused(asked=(method, change), answer=f"{response.status_code} {response.text}")

    def _state_of(self, version: str) -> str:
        fleet = httpx.get(self.admin_url + "/v1/fleet", timeout=10.0, trust_env=False).json()["versions"]
        return next((str(one["state"]) for one in fleet if one["version"] == version), "not loaded")

    def _serve_command(self) -> list[str]:
        gateways = [] if self._gateways is None else ["--gateways", str(self._gateways)]
        ports = ["--port", str(self.port), "--admin-port", str(self._admin_port)]
        return [*PROGRAM, "serve", "--data", str(self._data), *ports, *gateways]


CHANGE_HEADERS = {"If-Match": "*", "X-Actor": "benchmark"}


@contextmanager
def pointsman(scratch: Path) -> Iterator[Pointsman]:
    """Run Pointsman as it is by default."""
    with Pointsman(scratch) as running:
        yield running


def _run(*arguments: str) -> None:
    finished = subprocess.run([*PROGRAM, *arguments], capture_output=True, text=True, check=False, timeout=180)
    if finished.returncode:
        raise PointsmanRefused(asked=arguments, answer=finished.stderr.strip() or finished.stdout.strip())
