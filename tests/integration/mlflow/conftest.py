"""What the tests of MLflow share: a real one that is empty, and a client that publishes to it."""

from pathlib import Path

import pytest

from registry_client.address import Access, MlflowAddress
from registry_client.backends.mlflow.backend import MlflowBackend
from registry_client.bundle import load_bundle
from registry_client.cache import Cache
from registry_client.client import Published, RegistryClient
from tests.fakes.bundles import MODEL_YAML, model_of, write_files
from tests.fixtures.mlflow_server import MlflowServer
from tests.fixtures.registry_homes import MlflowHome
from tests.integration.mlflow.registering import Publish


@pytest.fixture
def home(mlflow_server: MlflowServer) -> MlflowHome:
    return MlflowHome(mlflow_server)


@pytest.fixture
def server(home: MlflowHome) -> MlflowServer:
    return home.server


@pytest.fixture
def backend(server: MlflowServer) -> MlflowBackend:
    return MlflowBackend(MlflowAddress(server.url), Access())


@pytest.fixture
def client(backend: MlflowBackend, tmp_path: Path) -> RegistryClient:
    """Has a ledger, so it remembers what it has seen."""
    return RegistryClient(backend, Cache(tmp_path / "cache"))


@pytest.fixture
def publish(client: RegistryClient, tmp_path: Path) -> Publish:
    def run(version: str = "1.0.0", word: str = "same", yaml: str = MODEL_YAML) -> Published:
        return client.publish(load_bundle(write_files(tmp_path / f"{version}-{word}", version=version, model=model_of(word), yaml=yaml)))

    return run
