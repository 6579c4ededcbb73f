"""What S3 does beside answering: conflicts that are none, lost answers, refusals, absence."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from registry_client.backends.base import Backend
from registry_client.backends.opening import open_backend
from registry_client.backends.s3 import CONFLICTS
from registry_client.bundle import load_bundle
from registry_client.cache import Cache
from registry_client.client import RegistryClient
from registry_client.errors import AccessRefused, RegistryUnavailable
from registry_client.manifest import Manifest
from tests.fakes.bundles import write_files
from tests.fixtures.registry_homes import S3Home, opened
from tests.fixtures.s3_server import S3Server
from tests.fixtures.servers import free_port
from tests.tools.meddling_proxy import Answered, Asked, MeddlingProxy

CONFLICT = b"<?xml version='1.0'?><Error><Code>ConditionalRequestConflict</Code><Message>try again</Message></Error>"


def creates(asked: Asked) -> bool:
    return asked.method == "PUT" and asked.headers.get("if-none-match") == "*"


@pytest.fixture
def home(s3_server: S3Server, tmp_path: Path) -> S3Home:
    return S3Home(s3_server, tmp_path)


@pytest.fixture
def manifest(home: S3Home, tmp_path: Path) -> Manifest:
    """A manifest whose files are in the registry already."""
    bundle, backend = load_bundle(write_files(tmp_path / "bundle")), opened(home)
    for artifact in bundle.manifest.artifacts:
        with bundle.path(artifact.path).open("rb") as file:
            backend.put_file(bundle.manifest, artifact, file)
    return bundle.manifest


def behind(home: S3Home, proxy: MeddlingProxy) -> Backend:
    return open_backend(replace(home.plan, access=replace(home.plan.access, endpoint=proxy.url)))


def conflicting(times: int, meanwhile: Callable[[], object] = lambda: None) -> Callable[[Asked], Answered | None]:
    """Answer so many conditional puts with the conflict that S3 reports while another one is under way."""
    left = [times]

    def meddle(asked: Asked) -> Answered | None:
        if not creates(asked) or not left[0]:
            return None
        left[0] -= 1
        meanwhile()
        return Answered(409, CONFLICT)

    return meddle


def test_a_conflict_with_a_publisher_who_then_fails_is_tried_again(home: S3Home, s3_server: S3Server, manifest: Manifest) -> None:
    # given
    with MeddlingProxy(s3_server.url, conflicting(2)) as proxy:
        # when
        created = behind(home, proxy).put_manifest(manifest)

    # then
    assert created
    assert len([asked for asked in proxy.asked if creates(asked)]) == 3
    assert opened(home).read_manifest("digits", "1.0.0").digest == manifest.digest


def test_a_conflict_with_a_publisher_who_succeeds_is_lost(home: S3Home, s3_server: S3Server, manifest: Manifest) -> None:
    # given
    other = msgspec.structs.replace(manifest, docs="the winner's")
    with MeddlingProxy(s3_server.url, conflicting(1, lambda: opened(home).put_manifest(other))) as proxy:
        # when
        created = behind(home, proxy).put_manifest(manifest)

    # then
    assert not created
    assert opened(home).read_manifest("digits", "1.0.0").digest == other.digest


def test_conflicts_without_end_are_an_error_and_not_a_success(home: S3Home, s3_server: S3Server, manifest: Manifest) -> None:
    # given
    with MeddlingProxy(s3_server.url, conflicting(10 * CONFLICTS)) as proxy, pytest.raises(RegistryUnavailable, match="in the way"):
        # when
        behind(home, proxy).put_manifest(manifest)

    # then
    assert len([asked for asked in proxy.asked if creates(asked)]) == CONFLICTS
    assert list(opened(home).families()) == []


def test_a_publisher_whose_answer_was_lost_is_not_told_that_another_has_the_version(
    home: S3Home, s3_server: S3Server, tmp_path: Path
) -> None:
    # given
    left = [1]

    def lose(asked: Asked) -> Answered | None:
        if not creates(asked) or not left[0]:
            return None
        left[0] -= 1
        return Answered(500, b"lost", after=True)

    bundle = load_bundle(write_files(tmp_path / "bundle"))
    with MeddlingProxy(s3_server.url, lose) as proxy:
        # when
        published = RegistryClient(behind(home, proxy), Cache(tmp_path / "cache")).publish(bundle)

    # then
    assert left == [0]
    assert published.manifest_digest == opened(home).read_manifest("digits", "1.0.0").digest


def test_a_refusal_is_told_from_absence(home: S3Home, s3_server: S3Server) -> None:
    with MeddlingProxy(s3_server.url, lambda _: Answered(403)) as proxy, pytest.raises(AccessRefused, match="refuses access") as refusal:
        behind(home, proxy).families()

    assert "hunter2" not in str(refusal.value)


def test_a_registry_that_is_away_is_said_to_be_and_what_is_cached_serves_on(home: S3Home, tmp_path: Path) -> None:
    # given
    digest = RegistryClient(opened(home), Cache(tmp_path / "cache")).publish(load_bundle(write_files(tmp_path / "bundle"))).manifest_digest
    RegistryClient(opened(home), Cache(tmp_path / "cache")).fetch("digits", "1.0.0")

    # when
    away = replace(home.plan, access=replace(home.plan.access, endpoint=f"http://127.0.0.1:{free_port()}"))
    client = RegistryClient(open_backend(away), Cache(tmp_path / "cache"))

    # then
    with pytest.raises(RegistryUnavailable, match="cannot be used"):
        client.families()
    assert client.fetch("digits", "1.0.0", expected_digest=digest).digest == digest
