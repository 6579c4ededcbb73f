import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from registry_client.backends.files import FilesBackend
from registry_client.cache import Cache
from registry_client.client import RegistryClient
from tests.fakes.bundles import MODEL, MODEL_YAML, write_files

WriteBundle = Callable[..., Path]


@pytest.fixture
def write_bundle(tmp_path: Path) -> WriteBundle:
    def write(name: str = "bundle", *, version: str = "1.0.0", model: bytes = MODEL, yaml: str = MODEL_YAML) -> Path:
        return write_files(tmp_path / name, version=version, model=model, yaml=yaml)

    return write


@pytest.fixture
def local_folder(tmp_path: Path) -> Iterator[Path]:
    """On a file system that grants leases: in memory, where there is such a place; what a container has else may be an overlay."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of its own below it
    with tempfile.TemporaryDirectory(prefix="pm-leases-", dir=memory if memory.is_dir() else tmp_path) as name:
        yield Path(name)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "registry"


@pytest.fixture
def backend(root: Path) -> FilesBackend:
    return FilesBackend(root)


@pytest.fixture
def repairs() -> list[str]:
    """What the cache reported as damaged."""
    return []


@pytest.fixture
def cache(tmp_path: Path, repairs: list[str]) -> Cache:
    return Cache(tmp_path / "cache", repairs.append)


@pytest.fixture
def client(backend: FilesBackend, cache: Cache) -> RegistryClient:
    return RegistryClient(backend, cache)
