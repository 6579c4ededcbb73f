"""What all tests share: hypothesis profiles, and private servers.

Times on a busy two-core machine say nothing, so no example has a deadline."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.fixtures.mlflow_server import MlflowServer
from tests.fixtures.oci_server import OciServer
from tests.fixtures.redis_server import RedisServer
from tests.fixtures.s3_server import S3Server

settings.register_profile("dev", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", deadline=None, max_examples=100, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ci" if os.environ.get("CI") else "dev")


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """An S3 of this test run's own; each test has a bucket of its own."""
    server = S3Server()
    try:
        yield server.up()
    finally:
        server.remove()


@pytest.fixture(scope="session")
def oci_server() -> Iterator[OciServer]:
    """A registry of OCI artifacts of this test run's own, where the machine has the program; each test has repositories of its own."""
    if not OciServer.is_here() and "oci" not in demanded():
        pytest.skip("there is no docker-registry on this machine")
    server = OciServer()
    try:
        yield server.up()
    finally:
        server.remove()


@pytest.fixture(scope="session")
def mlflow_server() -> Iterator[MlflowServer]:
    """An MLflow of this test run's own, where it is asked for: its environment takes a while to build. Tests of it empty it first."""
    if "mlflow" not in demanded():
        pytest.skip("an MLflow is built and started by `make registries`")
    server = MlflowServer()
    try:
        yield server.up()
    finally:
        server.remove()


def demanded() -> frozenset[str]:
    """The kinds of registry whose absence is a failure."""
    return frozenset(os.environ.get("POINTSMAN_REGISTRIES", "").split(","))


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis of this test run's own, set up as docs/state.md recommends; each test keeps to a prefix of its own."""
    server = RedisServer()
    try:
        yield server.start()
    finally:
        server.remove()
