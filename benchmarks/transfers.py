"""`make bench-transfers`: how long a large file takes into a registry in a folder and from there into the cache, beside `cp`.

Both sides end with an fsync of the file and of its folder. In turns, each into a folder that is empty before, the source in the page cache,
and each just after a file of that size was written and removed.
A minute or two, and 5 GiB of the disk of the temporary folder (TMPDIR). The figures are kept in `benchmarks/results/transfers.json`;
`python -m benchmarks.readme` writes them into docs/registries.md.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import msgspec

from benchmarks.machine import Machine, look_around
from benchmarks.progress import say
from registry_client.backends.files import FilesBackend
from registry_client.bundle import load_bundle
from registry_client.cache import Cache
from registry_client.client import RegistryClient
from registry_client.files import sync_directory
from registry_client.transfers import refuse_without_room
from tests.fakes.bundles import write_files

RESULTS = "transfers.json"
SIZE = 2**30
ROUNDS = 7
ROOM = 5 * SIZE
WEIGHTS = "weights/model.onnx.data"
UNMEASURED = "Not measured yet: `make bench-transfers`, then `python -m benchmarks.readme`.\n"


class Measured(msgspec.Struct, frozen=True):
    """What was measured, and on what. Seconds for `size` bytes, one of each round."""

    machine: Machine
    size: int
    cp: list[float]
    publish: list[float]
    fetch: list[float]
    again: list[float]
    """A fetch of what is in the cache: its digest is computed again."""
    read: list[float]
    """Reading the bundle before it is published: its digest is computed."""
    sha256: list[float]
    """sha256 alone, of bytes in memory."""

    def ratio(self, times: list[float]) -> float:
        """The median beside that of `cp`."""
        return median(times) / median(self.cp)


def timed(action: Callable[[], object]) -> float:
    """Seconds that it takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


class Bench:
    """One large bundle in a folder, and what is done with it."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder, self.size = folder, size
        self._source = write_files(folder / "bundle")
        with (self._source / WEIGHTS).open("wb") as file:
            for _ in range(size // 2**26):
                file.write(os.urandom(2**26))
            file.flush()
            os.fsync(file.fileno())

    def round(self) -> dict[str, float]:
        """Each of them once."""
        bundle = load_bundle(self._source)
        copy, registry = self._folder / "copy", self._folder / "registry"
        client = RegistryClient(FilesBackend(registry), Cache(self._folder / "cache"))
        times = {
            "cp": self._settled(partial(self._cp, copy)),
            "publish": self._settled(partial(client.publish, bundle)),
            "fetch": self._settled(partial(client.fetch, "digits", "1.0.0")),
            "again": timed(partial(client.fetch, "digits", "1.0.0")),
            "read": timed(partial(load_bundle, self._source)),
            "sha256": self._hashing(),
        }
        for name in ("copy", "registry", "cache"):
            shutil.rmtree(self._folder / name)
        return times

    def _settled(self, action: Callable[[], object]) -> float:
        """Timed with the disk at rest, and with as much memory at hand as the file before it gave back: a virtual machine may lack it."""
        self._cp(self._folder / "scratch")
        shutil.rmtree(self._folder / "scratch")
        os.sync()
        return timed(action)

    def _cp(self, copy: Path) -> None:
        copy.mkdir()
        subprocess.run(["cp", "--reflink=never", str(self._source / WEIGHTS), str(copy / "file")], check=True)
        descriptor = os.open(copy / "file", os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
        sync_directory(copy)

    def _hashing(self) -> float:
        block = bytes(2**20)
        hasher = hashlib.sha256()

        def run() -> None:
            for _ in range(self.size // len(block)):
                hasher.update(block)

        return timed(run)


def measure(size: int = SIZE, rounds: int = ROUNDS) -> Measured:
    """All rounds, in a folder that is removed again. Raises `NotEnoughRoom`."""
    machine = look_around()
    with tempfile.TemporaryDirectory(prefix="pointsman-transfers-") as name:
        refuse_without_room(Path(name), ROOM * size // SIZE)
        bench = Bench(Path(name), size)
        found = list[dict[str, float]]()
        for number in range(rounds):
            found.append(bench.round())
            say(f"round {number + 1} of {rounds}: " + ", ".join(f"{what} {seconds:.2f} s" for what, seconds in found[-1].items()))
    return Measured(machine, size, **{what: [one[what] for one in found] for what in found[0]})


def markdown(measured: Measured | None) -> str:
    """The figures as they stand in the documentation."""
    if measured is None:
        return UNMEASURED
    machine = measured.machine
    where = f"{machine.cores} cores ({machine.model_name}), {machine.load_at_start:g} processes at work before"
    rows = [
        ("`cp`, then fsync", measured.cp),
        ("published into a folder", measured.publish),
        ("fetched from a folder into the cache", measured.fetch),
        ("fetched again: hashed in the cache", measured.again),
        ("bundle read before it is published: hashed", measured.read),
        ("sha256 alone", measured.sha256),
    ]
    lines = [
        f"{where}; {measured.size / 2**30:g} GiB, medians of {len(measured.cp)} rounds in turns:",
        "",
        "| | seconds | fastest | beside `cp` |",
        "|---|---|---|---|",
        *(f"| {what} | {median(times):.2f} | {min(times):.2f} | {measured.ratio(times):.2f} |" for what, times in rows),
    ]
    return "\n".join(lines) + "\n"


def read_transfers(path: Path) -> Measured | None:
    """What was measured last, if ever."""
    return msgspec.json.decode(path.read_bytes(), type=Measured) if path.exists() else None


def main() -> int:
    """Measure, keep and print."""
    measured = measure()
    path = Path(__file__).parent / "results" / RESULTS
    path.write_bytes(msgspec.json.format(msgspec.json.encode(measured)) + b"\n")
    print(markdown(measured))
    return 0


if __name__ == "__main__":
    sys.exit(main())
