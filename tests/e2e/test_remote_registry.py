"""A registry that is reached over the network: it is needed to bring a version in, and for nothing after that."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry_client.backends.opening import open_registry
from registry_client.bundle import load_bundle
from registry_client.cache import Cache
from registry_client.ledger import Ledger
from tests.e2e.calls import Caller
from tests.e2e.families import Bundles
from tests.e2e.installation import Installation
from tests.e2e.waiting import wait_for
from tests.fixtures.registry_homes import S3Home
from tests.fixtures.s3_server import S3Server

PATH = "/v1/families/digits/predict"


@pytest.fixture
def server() -> Iterator[S3Server]:
    """An S3 that the test may end."""
    server = S3Server()
    try:
        yield server.up()
    finally:
        server.remove()


@pytest.fixture
def remote(server: S3Server, bundles: Bundles, tmp_path: Path) -> Iterator[Installation]:
    """An installation whose versions are in S3."""
    home = S3Home(server, tmp_path)
    registry = open_registry(home.plan, Cache(tmp_path / "author"), Ledger.of(tmp_path))
    for version in ("1.0.0", "1.1.0"):
        registry.publish(load_bundle(bundles.directory / "digits" / version))
    installation = Installation.at(
        tmp_path / "site",
        registry=str(home.plan.address),
        registry_access__endpoint=server.url,
        registry_access__username=home.plan.access.username,
        registry_access__password_file=str(home.plan.access.password_file),
    )
    try:
        installation.start()
        yield installation
        assert installation.stop() == 0, installation.log
    finally:
        installation.clean_up()


def test_versions_come_from_s3_and_serve_on_without_it(remote: Installation, server: S3Server, bundles: Bundles) -> None:
    # given
    remote.do("promote", "digits", "1.0.0")
    request = bundles.traffic("digits")[0].request
    [replica] = remote.worker_pids("digits", "1.0.0")

    # when
    server.remove()
    os.kill(replica, signal.SIGKILL)
    wait_for(lambda: remote.worker_pids("digits", "1.0.0") - {replica}, "the replica is replaced from what is cached")

    # then
    with Caller(remote.port) as caller:
        answer = caller.post(PATH, request)
    assert (answer.status, answer.version) == (200, "1.0.0")
    assert [family["family"] for family in remote.get("families")["families"]] == ["digits"]
    refused = remote.run("promote", "digits", "1.1.0")
    assert refused.exit_code == 1
    assert "cannot be used" in refused.stderr
