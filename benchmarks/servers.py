"""The servers under measurement: each is started for its turn, proven to answer rightly, and stopped."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import httpx
import msgspec

from benchmarks import tiny
from benchmarks.errors import WrongAnswer
from benchmarks.processes import LOOPBACK, OK, ServerProcess, answers, free_port

TOLERANCE = 1e-4
RAY_ONGOING_REQUESTS = 100
"""Ray Serve's own default of 5 makes its router back off as soon as more clients come: on 2 cores 64 clients then got fewer
answers than one client did. A comparison against that would flatter us."""


class Server(Protocol):
    """A server that runs now."""

    @property
    def infer_url(self) -> str:
        """Where the tiny model answers."""
        ...

    def memory_mb(self) -> float:
        """MiB of all its processes."""
        ...


class Peer:
    """A peer program that runs now."""

    def __init__(self, process: ServerProcess, base_url: str) -> None:
        self._process, self.base_url = process, base_url

    @property
    def infer_url(self) -> str:
        """Where the tiny model answers."""
        return self.base_url + tiny.INFER_PATH

    def memory_mb(self) -> float:
        """MiB of all its processes."""
        return self._process.memory_mb()


@contextmanager
def peer(module: str, scratch: Path, *options: str) -> Iterator[Peer]:
    """Run one of `benchmarks.peers` on the tiny model."""
    model, port = tiny.write_model(scratch, tiny.FIRST), free_port()
    command = [sys.executable, "-m", f"benchmarks.peers.{module}", str(model), str(port), *options]
    base_url = f"http://{LOOPBACK}:{port}"
    with ServerProcess(command, scratch / f"{module}.log") as process:
        process.wait_until(answers(base_url + "/v2/health/ready"), f"start {module}")
        yield Peer(process, base_url)


@contextmanager
def handwritten(scratch: Path) -> Iterator[Peer]:
    """The hand-written process."""
    with peer("handwritten", scratch) as running:
        yield running


@contextmanager
def ray_serve(scratch: Path) -> Iterator[Peer]:
    """Ray Serve with room for as many requests as the benchmark has clients."""
    with peer("ray_serve", scratch, str(RAY_ONGOING_REQUESTS)) as running:
        yield running


@contextmanager
def ray_serve_stock_limits(scratch: Path) -> Iterator[Peer]:
    """Ray Serve with its own default limit as well."""
    with peer("ray_serve", scratch) as running:
        yield running


class _Output(msgspec.Struct):
    name: str
    shape: list[int]
    data: list[float]


class _Answer(msgspec.Struct):
    model_name: str
    outputs: list[_Output]


def prove_right(infer_url: str, version: str = tiny.FIRST) -> None:
    """Send the benchmark's request once and compare the answer with the model's own. Raises `WrongAnswer`."""
    (expected,) = tiny.answer_of(tiny.model_bytes(version), [tiny.EXAMPLE])
    response = httpx.post(infer_url, content=tiny.REQUEST, headers={"Content-Type": "application/json"}, timeout=30.0, trust_env=False)
    if response.status_code != OK or not is_right(response.content, expected):
        raise WrongAnswer(infer_url, f"{response.status_code} {response.text}")


def is_right(body: bytes, expected: list[float]) -> bool:
    """Whether a v2 response holds the one row that is expected."""
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except msgspec.DecodeError:
        return False
    if answer.model_name != tiny.FAMILY or [(output.name, output.shape) for output in answer.outputs] != [("y", [1, len(expected)])]:
        return False
    data = answer.outputs[0].data
    return len(data) == len(expected) and all(abs(got - wanted) <= TOLERANCE for got, wanted in zip(data, expected, strict=True))
