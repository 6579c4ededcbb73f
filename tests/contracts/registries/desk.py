"""The desk of someone who publishes: bundles are written at it, and clients opened."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from registry_client.backends.base import Backend
from registry_client.bundle import Bundle, load_bundle
from registry_client.cache import Cache
from registry_client.client import Published, RegistryClient
from registry_client.manifest import Manifest
from tests.fakes.bundles import MODEL, MODEL_YAML, write_files
from tests.fixtures.registry_homes import RegistryHome, opened


@dataclass
class Desk:
    """Where bundles are written, and clients with a cache and a ledger of their own are opened."""

    folder: Path
    home: RegistryHome
    count: int = 0

    def client(self) -> RegistryClient:
        self.count += 1
        return RegistryClient(opened(self.home), Cache(self.folder / f"cache{self.count}"))

    def bundle(self, version: str = "1.0.0", *, model: bytes = MODEL, yaml: str = MODEL_YAML) -> Bundle:
        self.count += 1
        return load_bundle(write_files(self.folder / f"bundle{self.count}", version=version, model=model, yaml=yaml))

    def publish(self, version: str = "1.0.0", *, yaml: str = MODEL_YAML) -> Published:
        return self.client().publish(self.bundle(version, yaml=yaml))


def put_files(backend: Backend, bundle: Bundle) -> Manifest:
    for artifact in bundle.manifest.artifacts:
        with bundle.path(artifact.path).open("rb") as file:
            backend.put_file(bundle.manifest, artifact, file)
    return bundle.manifest


def at_once(count: int, work: Callable[[int], None]) -> None:
    """Run something several times at the same moment."""
    together = threading.Barrier(count)

    def run(number: int) -> None:
        together.wait()
        work(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
