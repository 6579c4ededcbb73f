"""Every kind of registry in turn, with its real server, for whichever test of the contract asks for one.

A kind whose server this machine lacks is skipped, unless POINTSMAN_REGISTRIES names it: then its absence is a failure.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from registry_client.backends.base import Backend
from tests.contracts.registries.desk import Desk
from tests.fixtures.registry_homes import FilesHome, MlflowHome, OciHome, RegistryHome, S3Home, opened


@pytest.fixture(params=["files", "s3", "oci", "mlflow"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RegistryHome]:
    match request.param:
        case "files":
            yield FilesHome(tmp_path / "registry")
        case "s3":
            yield S3Home(request.getfixturevalue("s3_server"), tmp_path)
        case "oci":
            there = OciHome(request.getfixturevalue("oci_server"))
            yield there
            there.repair()
        case "mlflow":
            yield MlflowHome(request.getfixturevalue("mlflow_server"))
        case _:
            pytest.fail(request.param)


@pytest.fixture
def backend(home: RegistryHome) -> Backend:
    return opened(home)


@pytest.fixture
def desk(home: RegistryHome, tmp_path: Path) -> Desk:
    return Desk(tmp_path, home)
