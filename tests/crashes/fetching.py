"""Scenes of a process that fetches or publishes a version and is killed at the n-th thing that it asks of the file system."""

import fcntl
import os
import resource
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier

from registry_client.address import Access, RegistryPlan, parse_registry
from registry_client.backends.files import FilesBackend
from registry_client.backends.opening import open_backend
from registry_client.blobs import Housekeeping
from registry_client.bundle import load_bundle
from registry_client.cache import Cache
from registry_client.client import RegistryClient
from registry_client.errors import RegistryError
from registry_client.transfers import Moved

FAMILY, VERSION = "digits", "1.0.0"
FILES = ("model.onnx", "weights/model.onnx.data")
KEEPING = Housekeeping(large=4096)
CHANGES = ("rename", "link", "symlink", "mkdir", "remove", "rmdir", "chmod", "truncate")
STEPS = frozenset({"open", "fcntl.flock"} | {f"os.{change}" for change in CHANGES})
LOCKS = frozenset({fcntl.F_OFD_SETLK, fcntl.F_SETLEASE})


@dataclass
class Killer:
    """Kills this process before the step of that number, counted from 0."""

    at: int
    count: int = 0

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        """Told by Python of every step."""
        if event in STEPS or (event == "fcntl.fcntl" and arguments[1] in LOCKS):
            if self.count == self.at:
                os.kill(os.getpid(), signal.SIGKILL)
            self.count += 1


def registry_of(folder: Path) -> RegistryClient:
    """The registry and the cache in a folder."""
    return RegistryClient(FilesBackend(folder / "registry"), Cache(folder / "cache", keeping=KEEPING))


def fetch(folder: str, at: int) -> int:
    """Fetch the version; how many steps it took."""
    client, killer = registry_of(Path(folder)), Killer(at)
    sys.addaudithook(killer)
    client.fetch(FAMILY, VERSION)
    return killer.count


def fetch_together(folder: str, threads: int) -> int:
    """Fetch the version with so many threads at once; how many got the files that were published, and sealed."""
    together = Barrier(threads)

    def fetch_one(_number: int) -> bool:
        together.wait()
        fetched = registry_of(Path(folder)).fetch(FAMILY, VERSION)
        fetched.refuse_change()
        return all((Path(folder) / "bundle" / path).read_bytes() == fetched.path(path).read_bytes() for path in FILES)

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(fetch_one, range(threads)))


def publish(folder: str, at: int) -> int:
    """Publish the bundle that lies there; how many steps it took."""
    client, killer = registry_of(Path(folder)), Killer(at)
    bundle = load_bundle(Path(folder) / "bundle")
    sys.addaudithook(killer)
    client.publish(bundle)
    return killer.count


def fetch_within(folder: str, most: int) -> str:
    """Fetch the version where no file may have more bytes than that: what is said of it."""
    return _within(most, lambda: registry_of(Path(folder)).fetch(FAMILY, VERSION))


def publish_within(folder: str, most: int) -> str:
    """Publish the bundle that lies there where no file may have more bytes than that: what is said of it."""
    return _within(most, lambda: registry_of(Path(folder)).publish(load_bundle(Path(folder) / "bundle")))


def _within(most: int, work: Callable[[], object]) -> str:
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    try:
        work()
    except RegistryError as error:
        return f"{error}; hint: {error.hint}"
    return "it did all of it"


def fetch_until(address: str, access: dict[str, str], cache: str, size: int) -> int:
    """Fetch the version from any registry, and be killed when so many bytes of a file are there; how many were never reached."""
    secret = access["password_file"]
    who = Access(access["username"], Path(secret) if secret else None, access["endpoint"], access["region"])
    plan = RegistryPlan(parse_registry(address), who)

    def kill(moved: Moved) -> None:
        if moved.done >= size:
            os.kill(os.getpid(), signal.SIGKILL)

    RegistryClient(open_backend(plan), Cache(Path(cache))).fetch(FAMILY, VERSION, told=kill)
    return size
